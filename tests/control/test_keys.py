"""Lock-out after wrong macs, keys that change while sessions stand, and who controls what."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from control.auth import Key
from control.controllers import Controlled
from control.endpoint import Endpoint
from control.events import HandLowered
from control.lockout import FAILURES_MAX
from control.server import Server, UnsafeListenError
from tests.control.conftest import ADMIN, CLUB, KEYS, READER, Serve
from tests.control.fake_daemon import FakeDaemon
from tests.control.wire import connected


async def fail(endpoint: Endpoint, times: int) -> None:
    """Prove wrong so often."""
    for _ in range(times):
        async with connected(endpoint, greet=False) as peer:
            await peer.greet()
            await peer.refusal("auth", key_id="admin", mac=bytes(32))
            assert (await peer.last_words())[0] == "unauthenticated"


async def test_too_many_wrong_macs_lock_an_address_out(serve: Serve) -> None:
    """With the right key too, and with the time to wait; whoever is in stays in."""
    served = await serve(*KEYS)
    async with connected(served.endpoint, ADMIN) as known:
        async with connected(served.endpoint, greet=False) as stranger:
            await stranger.greet()
            await fail(served.endpoint, FAILURES_MAX)
            assert (await stranger.last_words())[0] == "resource_exhausted"
        async with connected(served.endpoint, greet=False) as peer:
            event = await peer.receive()
            assert event["p"]["code"] == "resource_exhausted"
            assert 0 < event["p"]["retry_after_ms"] <= 60_000
        await known.result("ping")
    counters = served.server.counters()
    assert counters["wrong_macs"] == FAILURES_MAX
    assert (counters["lockouts"], counters["connections_locked_out"]) == (1, 1)
    assert served.log == [("control_locked_out", {"address": "127.0.0.1", "for_s": 60.0})]


async def test_fewer_wrong_macs_lock_nobody_out(serve: Serve) -> None:
    served = await serve(*KEYS)
    await fail(served.endpoint, FAILURES_MAX - 1)
    async with connected(served.endpoint, ADMIN) as peer:
        await peer.result("ping")


async def test_a_unix_socket_locks_nobody_out(serve: Serve, tmp_path: Path) -> None:
    """All who may open it have one address."""
    served = await serve(*KEYS, address=f"unix:{tmp_path}/c.sock")
    await fail(served.endpoint, FAILURES_MAX + 1)
    async with connected(served.endpoint, ADMIN) as peer:
        await peer.result("ping")


async def test_changed_keys_leave_sessions_of_those_that_remain(serve: Serve) -> None:
    """A new secret counts for the next session, new scopes at once, a key that is gone ends it."""
    served = await serve(*KEYS)
    async with (
        connected(served.endpoint, ADMIN) as admin,
        connected(served.endpoint, READER) as reader,
        connected(served.endpoint, CLUB) as club,
    ):
        await reader.result("events.subscribe")
        renewed = Key("admin", b"n" * 32, ("admin",))
        served.server.replace_keys([renewed, Key("reader", READER.secret, ("rooms:b",))])
        assert await club.last_words() == (
            "unauthenticated",
            "the key of this session is no more valid",
        )
        await admin.result("room.create", room="b1")
        await admin.result("room.create", room="a1")
        served.server.publish("a1", HandLowered(participant="p"))
        served.server.publish("b1", HandLowered(participant="p"))
        assert (await reader.event())["room"] == "b1"
        assert (await reader.refusal("room.get", room="a1"))["code"] == "not_found"
        await reader.result("room.close", room="b1")
        async with connected(served.endpoint, renewed):
            pass
    async with connected(served.endpoint, greet=False) as late:
        await late.greet()
        await late.refusal("auth", key_id="admin", mac=bytes(32))


async def test_the_last_key_is_not_taken_away_from_a_server_that_others_reach() -> None:
    """Nothing has changed then."""
    async with Server(FakeDaemon(), epoch="e", keys=[ADMIN]) as server:
        endpoint = await server.start("0.0.0.0:0")
        with pytest.raises(UnsafeListenError):
            server.replace_keys([])
        async with connected(endpoint, ADMIN) as peer:
            await peer.result("room.create", room="x")


async def test_it_tells_which_rooms_are_controlled(serve: Serve) -> None:
    """When that changes, and not for strangers or readers."""
    told: list[Controlled] = []
    served = await serve(*KEYS, on_controlled=told.append)
    everything, club = Controlled(everything=True), Controlled(prefixes=("club/",))
    async with connected(served.endpoint, READER), connected(served.endpoint, greet=False):
        assert told == []
        async with connected(served.endpoint, CLUB):
            async with connected(served.endpoint, ADMIN), connected(served.endpoint, ADMIN):
                assert told == [club, everything]
            await until(served, 2)
            assert told == [club, everything, club]
            served.server.replace_keys([READER, Key("club", CLUB.secret, ("rooms:a",))])
            assert told[3:] == [Controlled(prefixes=("a",))]
        await until(served, 1)
    assert told[4:] == [Controlled()]


async def until(served: object, ready: int) -> None:
    """So many ready sessions are left."""
    counters = served.server.counters  # type: ignore[attr-defined]
    async with asyncio.timeout(5):
        while counters()["connections_open"] - counters()["unauthenticated_open"] != ready:
            await asyncio.sleep(0)
