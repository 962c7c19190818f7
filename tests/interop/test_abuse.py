"""Whoever breaks the protocol is told so and gone, while a well-behaved backend notices nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import pytest

from control import Client, Key
from control.frames import FRAME_BYTES_MAX, FRAME_BYTES_MAX_UNAUTHENTICATED
from tests.control.wire import Peer, frame, request
from tests.interop.daemon import ROOT, Daemon, running
from tests.interop.polling import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# Local addresses, so that who abuses and who does not are not the same to the daemon.
ABUSER = "127.0.0.9"
GUESSER = "127.0.0.10"
ADMIN_SECRET, CLUB_SECRET = "a" * 32, "c" * 32
ADMIN = Key("admin", ADMIN_SECRET.encode())
CLUB = Key("club", CLUB_SECRET.encode())
# What a backend is owed on a machine of its own.
P99_MS = 20.0
# On a machine that is busy with other work the same backend is slow without any abuse: then it may
# be so many times as slow as that.
TIMES_CALM = 3.0
STRANGERS = 64
LORIS = 40
AUTHENTICATE_WITHIN_S = 5.0


def nested(depth: int) -> dict[str, Any]:
    """A map that many levels deep."""
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def sized(payload: bytes, size: int | None = None) -> bytes:
    """A frame, announced with another size than it has if one is given."""
    return (len(payload) if size is None else size).to_bytes(4, "big") + payload


MALFORMED = {
    "no MessagePack": sized(b"\xc1"),
    "no map": sized(msgpack.packb([1, 2])),
    "cut off": sized(msgpack.packb({"t": "req"})[:-1]),
    "more than one": sized(msgpack.packb({}) * 2),
    "too deep": frame({**request(1, "ping"), "p": nested(16)}),
    "an extension type": frame({"t": msgpack.ExtType(1, b"x")}),
    "a timestamp": sized(msgpack.packb({"t": msgpack.Timestamp(1)})),
    "a key that is no text": sized(msgpack.packb({1: 2})),
    "no request": frame({"t": "res", "id": 1, "ok": True, "p": {}}),
    "no id": frame({"t": "req", "m": "ping", "p": {}}),
    "nothing": sized(b""),
    "an array announced without end": sized(b"\x81\xa1a\xdd\xff\xff\xff\xff"),
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    keys = ",".join(
        f'{{id="{name}",secret="{secret}",scopes=["{scope}"]}}'
        for name, secret, scope in (
            (ADMIN.key_id, ADMIN_SECRET, "admin"),
            (CLUB.key_id, CLUB_SECRET, "rooms:club/"),
        )
    )
    with running(f"control.keys=[{keys}]") as started:
        yield started


@asynccontextmanager
async def dial(daemon: Daemon, key: Key | None = None, source: str = ABUSER) -> AsyncIterator[Peer]:
    """A raw connection from an address, ready if there is a key."""
    streams = await asyncio.open_connection(
        "127.0.0.1", daemon.ports.control, local_addr=(source, 0)
    )
    peer = Peer(*streams)
    try:
        if key is not None:
            await peer.greet(key)
        yield peer
    finally:
        peer.writer.transport.abort()


async def malformed(daemon: Daemon) -> None:
    """Each is told that it is no frame of this protocol, before and after authentication."""
    for what, data in MALFORMED.items():
        for key in (None, CLUB):
            async with dial(daemon, key) as peer:
                peer.writer.write(data)
                assert (await peer.last_words())[0] == "invalid_argument", what


async def oversized(daemon: Daemon) -> None:
    """The announcement alone is refused; nothing of the frame needs to come."""
    for key, limit in ((None, FRAME_BYTES_MAX_UNAUTHENTICATED), (CLUB, FRAME_BYTES_MAX)):
        for size in (limit + 1, 0xFFFF_FFFF):
            async with dial(daemon, key) as peer:
                peer.writer.write(sized(b"", size))
                assert (await peer.last_words())[0] == "resource_exhausted"


async def slow_loris(daemon: Daemon) -> None:
    """A hello that comes byte by byte is too late, however many of them come at once."""

    async def one() -> None:
        hello = frame(request(1, "hello", versions=[1], client="l" * 100))
        async with dial(daemon) as peer:

            async def drip() -> None:
                for byte in hello:
                    peer.writer.write(bytes([byte]))
                    await asyncio.sleep(0.2)

            dripping = asyncio.create_task(drip())
            try:
                await asyncio.sleep(AUTHENTICATE_WITHIN_S - 1.0)
                assert (await peer.last_words())[0] == "deadline_exceeded"
            finally:
                dripping.cancel()

    await asyncio.gather(*(one() for _ in range(LORIS)))


async def too_many_strangers(daemon: Daemon) -> None:
    """Those above the limit are told so at once; the limit is not reached for those inside."""
    refused = 0

    async def one(hold: asyncio.Event) -> None:
        nonlocal refused
        async with dial(daemon) as peer:
            first = asyncio.create_task(peer.receive())
            held = asyncio.create_task(hold.wait())
            await asyncio.wait([first, held], return_when=asyncio.FIRST_COMPLETED)
            held.cancel()
            if first.done():
                message = first.result()
                assert (message["m"], message["p"]["code"]) == (
                    "session.closed",
                    "resource_exhausted",
                )
                refused += 1
            else:
                first.cancel()
            await asyncio.gather(first, held, return_exceptions=True)

    hold = asyncio.Event()
    crowd = [asyncio.create_task(one(hold)) for _ in range(3 * STRANGERS)]
    await until(lambda: refused >= 2 * STRANGERS, lambda: f"{refused} were refused")
    hold.set()
    await asyncio.gather(*crowd)


async def requests_without_a_session(daemon: Daemon) -> None:
    """Sixteen are answered `unauthenticated`, then it is over."""
    for _ in range(20):
        async with dial(daemon) as peer:
            peer.send(*(request(number, "room.list") for number in range(100)))
            for number in range(16):
                answer = await peer.receive()
                assert (answer["id"], answer["err"]["code"]) == (number, "unauthenticated")
            assert (await peer.last_words())[0] == "resource_exhausted"


async def out_of_scope(daemon: Daemon) -> None:
    """Thousands of commands on what is none of a key's business: each is refused by its name."""
    asked: list[tuple[str, dict[str, Any], str]] = [
        ("room.close", {"room": "hall"}, "not_found"),
        ("room.create", {"room": "hall"}, "not_found"),
        ("participant.get", {"room": "hall", "participant": "red"}, "not_found"),
        ("server.drain", {"deadline_s": 0}, "permission_denied"),
        ("server.stats", {}, "permission_denied"),
        ("room.paint", {}, "unimplemented"),
        ("room.get", {"room": "hall", "colour": 1}, "invalid_argument"),
    ]
    async with dial(daemon, CLUB) as peer:
        for _ in range(200):
            for number, (method, fields, _) in enumerate(asked):
                peer.send(request(number, method, **fields))
            for number, (method, _, code) in enumerate(asked):
                answer = await peer.receive()
                assert (answer["id"], answer["err"]["code"]) == (number, code), method


async def half_closed(daemon: Daemon) -> None:
    """Who asks and says no more is done with; what was asked is done."""
    for number in range(20):
        room = f"club/half-{number}"
        async with dial(daemon, CLUB) as peer:
            peer.send(request(7, "room.create", room=room))
            peer.writer.write_eof()
            async with asyncio.timeout(5):
                await peer.reader.read()  # to its end
        async with dial(daemon, CLUB) as witness:
            await witness.result("room.close", room=room)


async def never_reading(daemon: Daemon) -> None:
    """A subscriber that reads nothing is cut off; who does not read its answers has to wait."""
    before = await metric(daemon, "rostrum_control_cutoffs_total")
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    narrow.bind((ABUSER, 0))
    narrow.connect(("127.0.0.1", daemon.ports.control))
    deaf = Peer(*await asyncio.open_connection(sock=narrow, limit=4_096))
    await deaf.greet(CLUB)
    await deaf.result("events.subscribe")
    deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
    cutoffs = before
    async with dial(daemon, CLUB) as loud:
        await loud.result("room.create", room="club/loud")
        for number in range(2_000):
            text = f"{number}".ljust(16_000)
            await loud.result("room.update", room="club/loud", metadata={"text": text})
            if number % 100 == 99:
                cutoffs = await metric(daemon, "rostrum_control_cutoffs_total")
                if cutoffs > before:
                    break
        await loud.result("room.close", room="club/loud")
    deaf.writer.transport.abort()
    assert cutoffs == before + 1


async def metric(daemon: Daemon, name: str) -> float:
    """Of the operators' page, read in a thread."""
    return await asyncio.to_thread(daemon.metric, name)


async def guesses(daemon: Daemon) -> None:
    """A wrong mac ends the session, and after five of them nobody comes from there for a while."""
    wrong = Key(ADMIN.key_id, b"guessed" * 5)
    for _ in range(5):
        async with dial(daemon, source=GUESSER) as peer:
            hello = await peer.result("hello", versions=[1], client="t")
            mac = wrong.mac(hello["challenge"])
            refused = await peer.refusal("auth", key_id=wrong.key_id, mac=mac)
            assert refused["code"] == "unauthenticated"
            assert (await peer.last_words())[0] == "unauthenticated"
    async with dial(daemon, source=GUESSER) as peer:
        closed = await peer.receive()
        assert closed["p"]["code"] == "resource_exhausted"
        assert 0 < closed["p"]["retry_after_ms"] <= 60_000


ABUSES: tuple[Callable[[Daemon], Awaitable[None]], ...] = (
    malformed,
    oversized,
    requests_without_a_session,
    out_of_scope,
    half_closed,
    never_reading,
    guesses,
)


class Healthy:
    """The well-behaved backend's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def latencies_ms(self) -> list[float]:
        """Since the last call, sorted; AssertionError when it has failed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(b"\n")
        async with asyncio.timeout(5):
            line = await self._process.stdout.readline()
        assert line, "the healthy backend failed"
        return sorted(json.loads(line))


@asynccontextmanager
async def healthy(daemon: Daemon) -> AsyncIterator[Healthy]:
    """A backend at work, for the length of an `async with`."""
    words = (str(daemon.ports.control), ADMIN.key_id, ADMIN_SECRET, "healthy")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.interop.healthy", *words),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**22,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"ready\n"
        yield Healthy(process)
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 5)


def p99(latencies_ms: list[float]) -> float:
    """Of sorted ones."""
    assert len(latencies_ms) > 100
    return latencies_ms[len(latencies_ms) * 99 // 100]


async def test_abuse_is_answered_as_the_page_says_beside_a_backend_at_work(daemon: Daemon) -> None:
    """All kinds at once, for as long as the slowest takes."""
    async with healthy(daemon) as backend:
        await backend.latencies_ms()
        await asyncio.sleep(1.0)
        calm = p99(await backend.latencies_ms())
        await too_many_strangers(daemon)
        await asyncio.gather(slow_loris(daemon), one_after_another(daemon))
        beside = p99(await backend.latencies_ms())
    assert beside < max(P99_MS, TIMES_CALM * calm), (calm, beside)
    async with Client("127.0.0.1", daemon.ports.control, key=ADMIN) as client:
        stats = await client.server_stats()
    assert stats["bugs"] == 0


async def one_after_another(daemon: Daemon) -> None:
    """Whatever does not take its time."""
    for abuse in ABUSES:
        await abuse(daemon)
