"""Damaged frames against a live server: nothing is raised past its handler, nobody else disturbed.

Truncations cut a session short at every byte. Mutations are seeded; a failing seed is in the
message and repeats alone. A third damage the stream, a third only the payload behind a right length
prefix, a third the values of a well-formed request.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest

from control.events import HandLowered
from control.lockout import Lockout
from control.server import ServerLimits
from tests.control.conftest import ADMIN, Serve, Served
from tests.control.wire import Peer, connected, frame, request

MUTATIONS = 10_000
# As many peers at once as keep the server busy and the test short.
AT_ONCE = 50

COMMANDS = [
    request(3, "room.create", room="lobby", slots=3, metadata={"title": "Lobby", "n": [1, 2.5]}),
    request(4, "room.list", prefix="lo", page=0),
    request(
        5, "participant.join", room="lobby", participant="p", role="speaker", offer="v=0\r\n" * 40
    ),
    {**request(6, "participant.set_role", room="lobby", participant="p", role="listener")},
    {**request(7, "track.mute", room="lobby", participant="p", lock=True), "key": "k-1"},
    {**request(8, "hand.raise", room="lobby", participant="p"), "deadline_ms": 5_000},
    request(9, "room.snapshot", room="lobby"),
    request(10, "events.subscribe", rooms=["lobby"], since={"epoch": "e1", "seq": 1}),
    request(11, "server.info"),
    request(12, "ping"),
]
HELLO = frame(request(1, "hello", versions=[1], client="fuzz", key_id="admin"))
FRAMES = [HELLO, *map(frame, COMMANDS)]
ODD: list[Any] = [
    None,
    True,
    -1,
    2**63,
    2**64 - 1,
    -(2**63),
    float("nan"),
    float("inf"),
    "",
    "a\0b",
    "\u202e",
    "x" * 3_000,
    b"",
    b"\xff" * 200,
    [],
    {},
    [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]],
    {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {}}}}}}}}}},
    [None] * 2_000,
    {1: 2},
    msgpack.Timestamp(1),
    msgpack.ExtType(7, b"x"),
]


class Observer:
    """Another backend, whose answers and events must come whatever happens beside it."""

    def __init__(self, served: Served, peer: Peer) -> None:
        self._served = served
        self._peer = peer
        self._seq = served.server.seq

    async def check(self) -> None:
        """It is answered, gets the next event, and no bug was met."""
        await self._peer.result("ping")
        self._served.server.publish("observed", HandLowered(participant="p"))
        self._seq += 1
        assert (await self._peer.event())["seq"] == self._seq
        assert self._served.server.counters().get("bugs", 0) == 0, self._served.log


async def send_and_read_out(served: Served, data: bytes) -> bytes:
    """A peer that says this, ends its side, and reads whatever comes until the end."""
    endpoint: Any = served.endpoint
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def frames_in(data: bytes) -> Iterator[dict[str, Any]]:
    """What the server said, which must be whole frames."""
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        assert len(data) >= end, "the server's stream ended inside a frame"
        yield msgpack.unpackb(data[4:end])
        data = data[end:]


def mutate(rng: random.Random, data: bytes) -> bytes:
    """One to four small damages."""
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(damaged) + 1)
        kind = rng.randrange(5)
        if kind == 0 and at < len(damaged):
            damaged[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(damaged):
            damaged[at] = rng.choice((0x00, 0x7F, 0x80, 0xC0, 0xC1, 0xC7, 0xDB, 0xDF, 0xFF))
        elif kind == 2:
            damaged[at:at] = rng.randbytes(rng.randint(1, 8))
        elif kind == 3:
            del damaged[at : at + rng.randint(1, 8)]
        else:
            damaged[at:at] = damaged[: rng.randint(0, len(damaged))]
    return bytes(damaged)


def mutation(seed: int) -> bytes:
    """The stream of one damaged session."""
    rng = random.Random(seed)
    original = rng.choice(FRAMES)
    if seed % 3 == 0:
        damaged = mutate(rng, original)
    elif seed % 3 == 1:
        damaged = mutate(rng, original[4:])
        damaged = len(damaged).to_bytes(4, "big") + damaged
    else:
        damaged = frame(mutate_value(rng, msgpack.unpackb(original[4:])))
    return damaged if original is HELLO else HELLO + damaged


def mutate_value(rng: random.Random, value: Any) -> Any:
    """The value with one part of it replaced, renamed or dropped."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.1:
        return rng.choice(ODD)
    if isinstance(value, list):
        at = rng.randrange(len(value))
        return [*value[:at], mutate_value(rng, value[at]), *value[at + 1 :]]
    name = rng.choice(list(value))
    rest = {key: one for key, one in value.items() if key != name}
    if rng.random() < 0.2:
        return rest
    renamed = rng.choice(("", "room", "x" * 300)) if rng.random() < 0.1 else name
    return {**rest, renamed: mutate_value(rng, value[name])}


async def test_every_truncation_ends_one_session_and_nothing_else(serve: Serve) -> None:
    """The stream of a whole session, cut at every byte."""
    served = await serve(limits=ServerLimits(unauthenticated=500))
    session = HELLO + b"".join(map(frame, COMMANDS))
    async with connected(served.endpoint) as peer:
        await peer.result("events.subscribe", rooms=["observed"])
        observer = Observer(served, peer)
        for first in range(0, len(session), AT_ONCE):
            cuts = range(first, min(first + AT_ONCE, len(session)))
            said = await asyncio.gather(*(send_and_read_out(served, session[:cut]) for cut in cuts))
            for one in said:
                assert all(message["t"] in ("res", "evt") for message in frames_in(one))
            await observer.check()


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
async def test_mutations_end_one_session_and_nothing_else(serve: Serve, part: int) -> None:
    """Ten thousand in all; whatever the server answers is whole frames of known kinds."""
    served = await serve(limits=ServerLimits(unauthenticated=500))
    seeds = range(part * MUTATIONS // 4, (part + 1) * MUTATIONS // 4)
    async with connected(served.endpoint) as peer:
        await peer.result("events.subscribe", rooms=["observed"])
        observer = Observer(served, peer)
        for first in range(seeds.start, seeds.stop, AT_ONCE):
            batch = range(first, min(first + AT_ONCE, seeds.stop))
            said = await asyncio.gather(
                *(send_and_read_out(served, mutation(seed)) for seed in batch)
            )
            for seed, one in zip(batch, said, strict=True):
                kinds = {message["t"] for message in frames_in(one)}
                assert kinds <= {"res", "evt"}, f"seed {seed}"
            await observer.check()
    counters = served.server.counters()
    assert counters["protocol_errors"] > 500 and counters["responses_ok"] > 2_000
    assert counters["errors_invalid_argument"] > 200


async def test_mutated_authentication_lets_nobody_in(serve: Serve) -> None:
    """A thousand damaged `auth` frames, answered with no success but for harmless damage."""
    lockout = Lockout(failures_max=10_000)
    served = await serve(ADMIN, limits=ServerLimits(unauthenticated=500), lockout=lockout)
    rng = random.Random(1)
    async with connected(served.endpoint, ADMIN) as observer:
        for _ in range(1_000):
            async with connected(served.endpoint, greet=False) as peer:
                challenge = (await peer.greet())["challenge"]
                mac = ADMIN.mac(challenge)
                damaged = bytearray(mac)
                damaged[rng.randrange(32)] ^= 1 << rng.randrange(8)
                auth = request(2, "auth", key_id="admin", mac=bytes(damaged))
                peer.send(auth, request(3, "room.list"))
                refused = await peer.receive()
                assert refused["id"] == 2 and refused["err"]["code"] == "unauthenticated"
                assert (await peer.last_words())[0] == "unauthenticated"
        await observer.result("ping")
    assert served.daemon.done == []
