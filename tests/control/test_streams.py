"""Event iterators without a connection: bounds and ends."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from control.commands import Position
from control.events import Event, EventBody, EventsGap, HandLowered
from control.filters import EventFilter
from control.streams import EventStream

START = Position(epoch="e", seq=0)


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

    def stream(
        self, *rooms: str, events_max: int = 3, since: Position | None = None
    ) -> EventStream:
        """A stream of its own, which the daemon began at its number 0."""
        wanted = EventFilter.of(rooms, None)
        stream = EventStream(wanted, self.opened, self.closed, since=since, events_max=events_max)
        stream.begin(START)
        return stream


def event(seq: int, epoch: str = "e", body: EventBody | None = None) -> Event:
    """An event with this number."""
    lowered = HandLowered(participant="p")
    return Event(epoch=epoch, seq=seq, at=0, room="r", body=body or lowered)


async def test_events_come_in_order_and_the_iterator_ends_when_closed() -> None:
    """What was queued is still given."""
    owner = Owner()
    stream = owner.stream("r")
    async with stream:
        stream.take(event(1))
        stream.take(event(2))
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
    stream.take(event(1))
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
            stream.take(event(seq))
        got = [await anext(stream) for _ in range(2)]
    assert got[0].body == EventsGap(from_=1, to=7) and got[0].seq == 7
    assert got[1].seq == 8


async def test_gaps_add_up() -> None:
    """A queue that fills again behind a gap loses nothing of its beginning."""
    stream = Owner().stream("r", events_max=2)
    async with stream:
        for seq in range(1, 8):
            stream.take(event(seq))
        first = await anext(stream)
    assert isinstance(first.body, EventsGap) and first.body.from_ == 1


async def test_a_gap_across_epochs_begins_at_zero() -> None:
    """Numbers of the old epoch mean nothing in the new one."""
    stream = Owner().stream("r", events_max=1)
    async with stream:
        stream.take(event(50, "old"))
        stream.take(event(2, "new"))
        assert (await anext(stream)).body == EventsGap(from_=0, to=2)


async def test_a_stream_takes_what_it_wants_once() -> None:
    """Its rooms and the daemon; what it is sent again is dropped, and says that it was wanted."""
    stream = Owner().stream("r")
    wanted = msgspec.structs.replace(event(3), room=None)
    assert stream.take(event(1)) and stream.take(event(1)) and stream.take(wanted)
    assert not stream.take(msgspec.structs.replace(event(4), room="other"))
    stream.end()
    assert [one.seq for one in stream._queue] == [1, 3]


async def test_nothing_is_taken_before_the_daemon_was_asked() -> None:
    """What others of the client are sent is none of a new stream's."""
    owner = Owner()
    stream = EventStream(EventFilter(), owner.opened, owner.closed)
    assert not stream.has_begun and not stream.take(event(7))
    stream.begin(Position(epoch="e", seq=8))
    stream.take(event(8))
    stream.take(event(9))
    stream.begin(Position(epoch="e", seq=20))
    stream.take(event(10))
    assert [one.seq for one in stream._queue] == [9, 10]


async def test_a_stream_goes_on_behind_since() -> None:
    """Whatever the present of the daemon is."""
    owner = Owner()
    since = Position(epoch="e", seq=4)
    stream = EventStream(EventFilter(), owner.opened, owner.closed, since=since)
    stream.begin(Position(epoch="e", seq=9))
    for seq in (4, 5, 9, 10):
        stream.take(event(seq))
    assert [one.seq for one in stream._queue] == [5, 9, 10]


async def test_since_of_another_epoch_is_a_gap_up_to_the_present() -> None:
    """Told once, though the daemon tells it as well."""
    stream = Owner().stream("r", since=Position(epoch="old", seq=4))
    stream.take(event(0, body=EventsGap(from_=0, to=0)))
    stream.take(event(1))
    assert [(one.seq, one.body) for one in stream._queue] == [
        (0, EventsGap(from_=0, to=0)),
        (1, event(1).body),
    ]


async def test_a_gap_is_told_from_where_the_stream_is() -> None:
    """Another stream of the client may have asked for more of the past."""
    stream = Owner().stream("r")
    stream.take(event(5))
    stream.take(event(4, body=EventsGap(from_=2, to=4)))
    stream.take(event(8, body=EventsGap(from_=2, to=8)))
    bodies = [one.body for one in stream._queue]
    assert bodies == [event(5).body, EventsGap(from_=6, to=8)]
