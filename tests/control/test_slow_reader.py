"""A subscriber that does not read: cut off with a reason, at nobody else's cost."""

from __future__ import annotations

import asyncio
from typing import Any

from control.connection import Connection
from control.events import HandLowered
from control.server import ServerLimits
from tests.control.conftest import Serve, Served
from tests.control.wire import connected, frame, request

BACKLOG_BYTES = 65_536
# More than the kernel's buffers and the transport's take in on loopback.
FLOOD = 400
BODY = HandLowered(participant="p" * 60_000)


async def test_a_blocked_subscriber_is_cut_off_and_others_get_everything(serve: Serve) -> None:
    """Its stream ends well framed, with `resource_exhausted`, after events in order."""
    served = await serve(limits=ServerLimits(backlog_bytes=BACKLOG_BYTES))
    async with connected(served.endpoint) as blocked, connected(served.endpoint) as reader:
        await blocked.result("events.subscribe")
        await reader.result("events.subscribe")
        blocked.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for number in range(1, FLOOD + 1):
            served.server.publish("r", BODY)
            assert (await reader.event())["seq"] == number
        counters = served.server.counters()
        assert counters["cutoffs"] == 1
        blocked.writer.transport.resume_reading()  # type: ignore[attr-defined]
        seen = []
        while (event := await blocked.receive())["m"] != "session.closed":
            seen.append(event["seq"])
        assert event["p"]["code"] == "resource_exhausted"
        assert seen == list(range(1, len(seen) + 1)) and len(seen) < FLOOD
        await reader.result("ping")
    assert counters["connections_open"] == 2


async def test_a_blocked_subscriber_that_never_reads_again_is_gone_soon(serve: Serve) -> None:
    """It does not keep its connection by being deaf."""
    served = await serve(limits=ServerLimits(backlog_bytes=BACKLOG_BYTES))
    async with connected(served.endpoint) as blocked, connected(served.endpoint) as other:
        await blocked.result("events.subscribe")
        blocked.writer.transport.pause_reading()  # type: ignore[attr-defined]
        while not served.server.counters().get("cutoffs"):
            served.server.publish("r", BODY)
            await other.result("ping")
        began = asyncio.get_running_loop().time()
        while served.server.counters()["connections_open"] > 1:
            await asyncio.sleep(0.02)
            await other.result("ping")
        assert asyncio.get_running_loop().time() - began < 3.0


async def test_a_peer_that_does_not_read_its_answers_has_to_wait(serve: Serve) -> None:
    """Its requests stay in its socket; it is not cut off for asking much, and nothing is lost."""
    served = await serve()
    asked = 2_000
    async with connected(served.endpoint) as peer, connected(served.endpoint) as other:
        await peer.result("room.create", room="x", metadata={"a": "x" * 10_000})
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        peer.send(*(request(number, "room.get", room="x") for number in range(asked)))
        while len(served.daemon.done) < 100:
            await other.result("ping")
        for _ in range(200):
            await other.result("ping")
        assert len(served.daemon.done) < asked
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert [(await peer.receive())["id"] for _ in range(asked)] == list(range(asked))
    assert served.server.counters().get("cutoffs", 0) == 0


async def test_large_answers_asked_for_at_once_are_no_slow_reading(serve: Serve) -> None:
    """A backend that is back takes snapshots of all its rooms; they come as fast as it reads."""
    served = await serve(limits=ServerLimits(backlog_bytes=4_194_304))
    asked = 60
    async with connected(served.endpoint) as peer:
        for number in range(50):
            await peer.result("room.create", room=f"r{number}", metadata={"a": "x" * 16_000})
        for method, fields in (("room.list", {}), ("room.snapshot", {"room": "r0"})):
            peer.send(*(request(1_000 + one, method, **fields) for one in range(asked)))
            assert [(await peer.receive())["ok"] for _ in range(asked)] == [True] * asked
    assert served.server.counters().get("cutoffs", 0) == 0


class Sink(asyncio.Transport):
    """A transport whose network takes everything at once, so that writing never blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_reading_now = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def write(self, data: Any) -> None:
        """Take it."""
        self.written += data

    def pause_reading(self) -> None:
        """As asyncio's."""
        self.is_reading_now = False

    def resume_reading(self) -> None:
        """As asyncio's."""
        self.is_reading_now = True

    def is_closing(self) -> bool:
        """Never."""
        return False


async def test_a_reader_that_keeps_up_is_never_left_waiting(served: Served) -> None:
    """What piles up within one turn of the loop stops the reading only until it is out."""
    connection, sink = Connection(served.server._hub), Sink()
    connection.connection_made(sink)
    connection.data_received(frame(request(0, "hello", versions=[1], client="t")))
    connection.data_received(frame(request(1, "events.subscribe")))
    for _ in range(10):
        served.server.publish("r", BODY)
    connection.data_received(frame(request(2, "ping")))
    assert not sink.is_reading_now
    for _ in range(3):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    assert sink.is_reading_now
    reached = {"position": {"epoch": "e1", "seq": 10}}
    assert sink.written.endswith(frame({"t": "res", "id": 2, "ok": True, "p": reached}))
