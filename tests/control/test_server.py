"""The server on the wire: sessions, refusals, scopes, limits, listening, closing."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import socket
import stat
import struct
import tracemalloc
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

import control.server
from control.commands import RoomCreate
from control.errors import ErrorCode
from control.events import HandLowered
from control.server import Server, ServerLimits, UnsafeListenError
from tests.control.conftest import ADMIN, CLUB, KEYS, READER, Serve, Served
from tests.control.fake_daemon import FakeDaemon
from tests.control.wire import connected, frame, request

LOWERED = HandLowered(participant="p")


async def test_hello_tells_who_and_how_much(served: Served) -> None:
    """Version, node, epoch, a challenge of its own, and the limits."""
    challenges = set()
    for _ in range(2):
        async with connected(served.endpoint, greet=False) as peer:
            hello = await peer.result("hello", versions=[1], client="t")
            challenges.add(hello.pop("challenge"))
    limits = hello.pop("limits")
    expected = {"version": 1, "server": "test/1", "node": "n1", "epoch": "e1"}
    assert hello == {**expected, "auth_required": False}
    assert limits["frame_bytes"] == 1_048_576 and limits["frame_bytes_unauthenticated"] == 4_096
    assert {len(one) for one in challenges} == {32} and len(challenges) == 2


async def test_a_command_is_run_and_answered(served: Served) -> None:
    """With the documented shape of a room."""
    async with connected(served.endpoint) as peer:
        room = (await peer.result("room.create", room="lobby", slots=2))["room"]
    assert served.daemon.done == [RoomCreate(room="lobby", slots=2)]
    assert room["counts"] == {"moderator": 0, "speaker": 0, "listener": 0}
    assert (room["slots"], room["speakers"], room["metadata"]) == (2, [], {})


async def test_info_tells_the_limits_of_the_server_beside_the_daemon_s(served: Served) -> None:
    """With the same names in limits and use."""
    async with connected(served.endpoint) as peer, connected(served.endpoint, greet=False):
        info = await peer.result("server.info")
    assert info["limits"]["rooms"] == 10
    assert info["limits"].keys() == info["use"].keys()
    assert (info["limits"]["connections"], info["use"]["connections"]) == (1_024, 2)
    assert (info["limits"]["unauthenticated"], info["use"]["unauthenticated"]) == (64, 1)
    assert (info["limits"]["idempotency_keys"], info["use"]["idempotency_keys"]) == (10_000, 0)


async def test_refusals_carry_code_and_detail(served: Served) -> None:
    """Unknown commands, bad parameters, and what the daemon itself refuses."""
    async with connected(served.endpoint) as peer:
        for method in ("server.paint", "room.paint", "no.such", "hello.again"):
            assert (await peer.refusal(method, room="x"))["code"] == "unimplemented"
        bad = await peer.refusal("room.create", room="x", slots=7)
        assert (bad["code"], bad["detail"]) == ("invalid_argument", {"field": "slots"})
        gone = await peer.refusal("room.get", room="x")
        assert (gone["code"], gone["detail"]) == ("not_found", {"what": "room"})
        envelope = await peer.ask_with({"p": 5}, "room.get")
        assert envelope["err"]["detail"] == {"field": "p"}


async def test_keys_are_asked_for(serve: Serve) -> None:
    """Right key in, wrong mac out with its reason, and nothing before."""
    served = await serve(*KEYS)
    async with connected(served.endpoint, greet=False) as peer:
        assert (await peer.refusal("room.get", room="x"))["code"] == "unauthenticated"
        assert (await peer.greet(ADMIN))["scopes"] == ["admin"]
        await peer.result("room.create", room="x")
    async with connected(served.endpoint, greet=False) as peer:
        await peer.greet()
        refused = await peer.refusal("auth", key_id="admin", mac=bytes(32))
        assert refused["code"] == "unauthenticated"
        assert (await peer.last_words())[0] == "unauthenticated"


async def test_scopes_hold(serve: Serve) -> None:
    """A reader changes nothing; for a prefix other rooms do not exist."""
    served = await serve(*KEYS)
    async with connected(served.endpoint, ADMIN) as admin:
        for room in ("club/1", "other"):
            await admin.result("room.create", room=room)
    async with connected(served.endpoint, READER) as reader:
        assert len((await reader.result("room.list"))["rooms"]) == 2
        assert (await reader.refusal("room.close", room="other"))["code"] == "permission_denied"
    async with connected(served.endpoint, CLUB) as club:
        assert [one["room"] for one in (await club.result("room.list"))["rooms"]] == ["club/1"]
        gone = await club.refusal("room.get", room="other")
        assert (gone["code"], gone["detail"]) == ("not_found", {"what": "room"})
        await club.result("room.close", room="club/1")


async def test_a_frame_may_be_large_only_after_auth(serve: Serve) -> None:
    """4 KiB before, 1 MiB after; the limit is told and the connection closed."""
    served = await serve(*KEYS)
    async with connected(served.endpoint, greet=False) as peer:
        await peer.greet()
        peer.writer.write((4_097).to_bytes(4, "big"))
        assert await peer.last_words() == (
            "resource_exhausted",
            "a frame of 4097 bytes; at most 4096 here",
        )
    async with connected(served.endpoint, ADMIN) as peer:
        refused = await peer.refusal("room.create", room="x" * 100_000)
        assert refused["detail"] == {"field": "room"}
        peer.writer.write((1_048_577).to_bytes(4, "big"))
        assert (await peer.last_words())[0] == "resource_exhausted"


@pytest.mark.parametrize("junk", [b"\0\0\0\1\xc1", b"\0\0\0\0", frame([]), frame({"t": "req"})])
async def test_a_malformed_frame_closes_its_connection_alone(served: Served, junk: bytes) -> None:
    """With a reason, and after what was asked before it has been answered."""
    async with connected(served.endpoint) as peer, connected(served.endpoint) as other:
        peer.send(request(1, "ping"))
        peer.writer.write(junk)
        assert (await peer.receive())["id"] == 1
        assert (await peer.last_words())[0] == "invalid_argument"
        await other.result("ping")
    assert served.server.counters()["protocol_errors"] == 1


async def test_a_stranger_has_limited_time(serve: Serve) -> None:
    """Then it is told and closed, though it keeps asking."""
    served = await serve(*KEYS, limits=ServerLimits(authenticate_within_s=0.05))
    async with connected(served.endpoint, greet=False) as peer:
        await peer.greet()
        assert (await peer.last_words())[0] == "deadline_exceeded"
    async with connected(served.endpoint, ADMIN) as peer:
        await asyncio.sleep(0.1)
        await peer.result("ping")


async def test_strangers_are_limited_in_number(serve: Serve) -> None:
    """Whoever is in stays in, and a place is free again when a stranger leaves."""
    served = await serve(*KEYS, limits=ServerLimits(unauthenticated=1))
    async with connected(served.endpoint, ADMIN) as known:
        async with connected(served.endpoint, greet=False) as stranger:
            await stranger.greet()
            async with connected(served.endpoint, greet=False) as late:
                code, message = await late.last_words()
                assert code == "resource_exhausted" and "unauthenticated" in message
            await stranger.result("ping")
        await known.result("ping")
        while served.server.counters()["unauthenticated_open"]:
            await known.result("ping")
        async with connected(served.endpoint, CLUB):
            pass
    assert served.server.counters()["connections_refused"] == 1


async def test_who_is_refused_and_stays_takes_no_more_than_its_share(serve: Serve) -> None:
    """Being told of a limit takes a moment; a flood that does not hang up is not told."""
    served = await serve(ADMIN, limits=ServerLimits(connections=4, unauthenticated=2))
    async with AsyncExitStack() as stack:
        for _ in range(30):
            await stack.enter_async_context(connected(served.endpoint, greet=False))
        while served.server.counters()["connections_refused"] < 28:
            await asyncio.sleep(0)
        assert served.server.counters()["connections_open"] <= 6


async def test_connections_are_limited_in_number(serve: Serve) -> None:
    """One too many is told so."""
    served = await serve(limits=ServerLimits(connections=1))
    async with connected(served.endpoint), connected(served.endpoint, greet=False) as late:
        assert "connections" in (await late.last_words())[1]


async def test_closing_tells_everybody_and_ends_in_time(served: Served) -> None:
    """Also those who do not hang up."""
    async with connected(served.endpoint) as peer, connected(served.endpoint) as deaf:
        began = asyncio.get_running_loop().time()
        closing = asyncio.create_task(served.server.close(within_s=0.3, message="bye"))
        assert await peer.last_words() == ("unavailable", "bye")
        await closing
        assert asyncio.get_running_loop().time() - began < 1.0
        assert await deaf.last_words() == ("unavailable", "bye")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", served.endpoint.port)  # type: ignore[union-attr]


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "example.test:0", "192.0.2.1:0"])
async def test_without_keys_it_listens_on_this_machine_only(address: str) -> None:
    """A clear refusal before anything is bound."""
    server = Server(FakeDaemon(), epoch="e")
    with pytest.raises(UnsafeListenError, match="without keys"):
        await server.start(address)
    with_keys = Server(FakeDaemon(), epoch="e", keys=[ADMIN])
    if address.startswith("0"):
        await with_keys.start(address)
    await with_keys.close()


async def test_a_taken_port_is_an_os_error(served: Served) -> None:
    """Which the daemon turns into one line."""
    server = Server(FakeDaemon(), epoch="e")
    with pytest.raises(OSError, match="in use"):
        await server.start(str(served.endpoint))


async def test_a_unix_socket_is_private_and_cleaned_up(serve: Serve, tmp_path: Path) -> None:
    """A stale file is replaced, a live one is not, and nothing stays behind."""
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    served = await serve(address=f"unix:{path}")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    async with connected(served.endpoint) as peer:
        await peer.result("room.create", room="x")
    second = Server(FakeDaemon(), epoch="e")
    with pytest.raises(OSError, match="in use"):
        await second.start(f"unix:{path}")
    await served.server.close(within_s=0.2)
    assert not path.exists()


async def test_it_counts(served: Served) -> None:
    """What an operator wants to see moving."""
    async with connected(served.endpoint) as peer:
        await peer.result("events.subscribe")
        served.server.publish("r", LOWERED)
        await peer.refusal("room.get", room="x")
        counters = served.server.counters()
    assert counters["connections"] == counters["connections_open"] == 1
    assert counters["requests"] == 3 and counters["responses_ok"] == 2
    assert counters["errors_not_found"] == counters["events"] == counters["events_sent"] == 1


async def test_closing_stands_a_peer_that_has_just_reset(served: Served) -> None:
    """Its socket is dead before the loop has noticed."""
    async with connected(served.endpoint) as peer:
        linger = struct.pack("ii", 1, 0)
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        peer.writer.transport.abort()
        await asyncio.sleep(0)
        await served.server.close(within_s=0.2)
    assert served.server.counters()["connections_open"] == 0


async def test_a_key_holds_its_answer_and_not_what_was_asked(served: Served) -> None:
    """Large commands that are refused would otherwise be kept for a minute, however many."""
    line = {"participant": "p" * 100, "role": "listener"}
    async with connected(served.endpoint) as peer:
        tracemalloc.start()
        try:
            for number in range(10):
                envelope = {"key": f"k{number}"}
                fields = {"room": "x", "participants": [line] * 4_000}
                answer = await peer.ask_with(envelope, "room.sync", **fields)
                assert answer["err"]["code"] == "not_found"
                served.daemon.done.clear()
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] < 500_000
        finally:
            tracemalloc.stop()


def test_every_counter_exists_from_the_start() -> None:
    """A dashboard sees a zero and not a gap, and nothing is counted that it has not seen."""
    sources = Path(control.server.__file__).parent.glob("*.py")
    counted = {
        name
        for source in sources
        for name in re.findall(r'counters\["([a-z_]+)"\]', source.read_text(encoding="utf-8"))
    }
    counters = Server(FakeDaemon(), epoch="e").counters()
    assert counted and counted <= set(counters)
    assert {f"errors_{code.value}" for code in ErrorCode} <= set(counters)
    assert set(counters.values()) == {0}
