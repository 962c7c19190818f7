"""A control server on loopback with a fake daemon behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from control.auth import Key
from control.endpoint import Endpoint
from control.server import Server, ServerLimits
from tests.control.fake_daemon import FakeDaemon

ADMIN = Key("admin", b"a" * 32, ("admin",))
READER = Key("reader", b"r" * 32, ("read",))
CLUB = Key("club", b"c" * 32, ("rooms:club/",))
KEYS = (ADMIN, READER, CLUB)


class Served:
    """A running server, its fake daemon, and what it logged."""

    def __init__(self, keys: tuple[Key, ...], limits: ServerLimits, **options: Any) -> None:
        self.daemon = FakeDaemon()
        self.log: list[tuple[str, dict[str, Any]]] = []
        self.server = Server(
            self.daemon,
            epoch="e1",
            node="n1",
            version="test/1",
            keys=keys,
            limits=limits,
            log=lambda event, /, **fields: self.log.append((event, fields)),
            wall_ms=lambda: 1_700_000_000_000,
            **options,
        )
        self.endpoint: Endpoint


Serve = Callable[..., Coroutine[Any, Any, Served]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start servers; whatever reaches the loop's exception handler fails the test."""
    running: list[Served] = []
    escaped: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: escaped.append(context))

    async def start(
        *keys: Key,
        address: str = "127.0.0.1:0",
        limits: ServerLimits | None = None,
        **options: Any,
    ) -> Served:
        served = Served(keys, limits or ServerLimits(), **options)
        served.endpoint = await served.server.start(address)
        running.append(served)
        return served

    yield start
    for served in running:
        await served.server.close(within_s=0.2)
    assert escaped == []


@pytest.fixture
async def served(serve: Serve) -> Served:
    """A server without keys."""
    return await serve()
