"""A TCP relay whose connections can be cut, so that the client's mending is seen from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from control import Client
from control.endpoint import Endpoint, TcpEndpoint
from tests.control.conftest import Served


class Proxy:
    """Relays to `target`, which may be changed between connections."""

    def __init__(self, target: Endpoint) -> None:
        self.target = target
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._changed = asyncio.Condition()
        self._is_flowing = asyncio.Event()  # what comes from the target
        self._is_flowing.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection that stands."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def stall(self) -> None:
        """Let nothing of the target through until `flow`."""
        self._is_flowing.clear()

    def flow(self) -> None:
        """Let through what waited."""
        self._is_flowing.set()

    def stop(self) -> None:
        """Cut, and accept no more."""
        self.flow()
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    async def accepted(self, count: int) -> None:
        """Wait until so many connections have been relayed in all."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._count >= count)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(self.target, TcpEndpoint)
        far = await asyncio.open_connection(self.target.host, self.target.port)
        self._writers |= {writer, far[1]}
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        async with self._changed:
            self._count += 1
            self._changed.notify_all()
        always = asyncio.Event()
        always.set()
        await asyncio.gather(_pump(reader, far[1], always), _pump(far[0], writer, self._is_flowing))


@asynccontextmanager
async def through_proxy(served: Served, **settings: Any) -> AsyncIterator[tuple[Proxy, Client]]:
    """A client whose connection can be broken."""
    async with Proxy(served.endpoint) as proxy:
        async with Client("127.0.0.1", proxy.port, **settings) as client:
            yield proxy, client


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_flowing: asyncio.Event
) -> None:
    try:
        while data := await reader.read(65_536):
            await is_flowing.wait()
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
