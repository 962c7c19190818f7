"""Event iterators without a connection: bounds and ends."""

from __future__ import annotations

import asyncio

import pytest

from control.events import Event, EventBody, EventsGap, HandLowered
from control.streams import EventStream


class Owner:
    """Notes what streams open and close."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.error: Exception | None = None

    async def opened(self, stream: EventStream) -> None:
        """Subscribe, or fail."""
        self.calls.append("open")
        if self.error is not None:
            raise self.error

    async def closed(self, stream: EventStream) -> None:
        """Unsubscribe."""
        self.calls.append("close")

    def stream(self, *rooms: str, events_max: int = 3) -> EventStream:
        """A stream of its own."""
        return EventStream(frozenset(rooms), self.opened, self.closed, events_max=events_max)


def event(seq: int, epoch: str = "e", body: EventBody | None = None) -> Event:
    """An event with this number."""
    lowered = HandLowered(participant="p")
    return Event(epoch=epoch, seq=seq, at=0, room="r", body=body or lowered)


async def test_events_come_in_order_and_the_iterator_ends_when_closed() -> None:
    """What was queued is still given."""
    owner = Owner()
    stream = owner.stream("r")
    async with stream:
        stream.put(event(1))
        stream.put(event(2))
        assert (await anext(stream)).seq == 1
        stream.end()
        assert [one.seq async for one in stream] == [2]
    assert owner.calls == ["open"]


async def test_closing_unsubscribes_once() -> None:
    """And wakes who waits."""
    owner = Owner()
    stream = owner.stream("r")
    waiting = asyncio.create_task(anext(stream, None))
    await asyncio.sleep(0)
    await stream.aclose()
    await stream.aclose()
    assert await waiting is None
    assert owner.calls == ["open", "close"]
    stream.put(event(1))
    assert [one async for one in stream] == []


async def test_a_stream_that_was_never_opened_closes_quietly() -> None:
    """There is nothing to unsubscribe."""
    owner = Owner()
    await owner.stream("r").aclose()
    assert owner.calls == []


async def test_a_refused_subscription_is_raised_and_can_be_tried_again() -> None:
    """At the step that asked for it."""
    owner = Owner()
    owner.error = ValueError("no")
    stream = owner.stream("r")
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            await anext(stream)
    assert owner.calls == ["open", "open"]


async def test_a_consumer_that_is_too_slow_gets_one_gap() -> None:
    """It spans what was dropped, the event that found the queue full included."""
    stream = Owner().stream("r")
    async with stream:
        for seq in range(1, 9):
            stream.put(event(seq))
        got = [await anext(stream) for _ in range(2)]
    assert got[0].body == EventsGap(from_=1, to=7) and got[0].seq == 7
    assert got[1].seq == 8


async def test_gaps_add_up() -> None:
    """A queue that fills again behind a gap loses nothing of its beginning."""
    stream = Owner().stream("r", events_max=2)
    async with stream:
        for seq in range(1, 8):
            stream.put(event(seq))
        first = await anext(stream)
    assert isinstance(first.body, EventsGap) and first.body.from_ == 1


async def test_a_gap_across_epochs_begins_at_zero() -> None:
    """Numbers of the old epoch mean nothing in the new one."""
    stream = Owner().stream("r", events_max=1)
    async with stream:
        stream.put(event(50, "old"))
        stream.put(event(2, "new"))
        assert (await anext(stream)).body == EventsGap(from_=0, to=2)


def test_a_stream_wants_its_rooms_and_the_daemon() -> None:
    """None stands for everything."""
    stream = EventStream(frozenset({"a"}), Owner().opened, Owner().closed)
    assert stream.wants("a") and stream.wants(None) and not stream.wants("b")
    assert EventStream(None, Owner().opened, Owner().closed).wants("b")
