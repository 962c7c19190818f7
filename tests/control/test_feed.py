"""Numbering and fan-out of events."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from control.commands import EventsSubscribe, Position
from control.errors import ControlError
from control.events import EventsGap, HandLowered, RoomUpdated, ServerDraining
from control.feed import Feed
from control.frames import FRAME_BYTES_MAX
from tests.control.fake_daemon import room_state

BODY = HandLowered(participant="p")


class Taker:
    """Takes events of rooms that begin with a prefix."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.frames: list[bytes] = []

    def sees(self, room: str | None) -> bool:
        """Rooms with the prefix, and the daemon itself."""
        return room is None or room.startswith(self.prefix)

    def send_event(self, frame: bytes) -> None:
        """Keep it."""
        self.frames.append(frame)

    @property
    def seen(self) -> list[tuple[int, str | None]]:
        """Number and room of each event."""
        maps: list[dict[str, Any]] = [msgpack.unpackb(frame[4:]) for frame in self.frames]
        return [(one["seq"], one.get("room")) for one in maps]


def new_feed() -> Feed:
    """A feed at a fixed time."""
    return Feed("e1", lambda: 5)


def test_every_event_is_numbered_whether_or_not_anybody_listens() -> None:
    """A position means the same everywhere."""
    feed, taker = new_feed(), Taker()
    assert feed.publish("a", BODY) == 0
    feed.subscribe(taker, EventsSubscribe())
    assert feed.publish("a", BODY) == 1
    assert taker.seen == [(2, "a")] and feed.position == Position(epoch="e1", seq=2)


def test_an_event_is_encoded_once() -> None:
    """All subscribers get the same object."""
    feed, takers = new_feed(), [Taker() for _ in range(3)]
    for taker in takers:
        feed.subscribe(taker, EventsSubscribe(rooms=["a"]))
    feed.publish("a", BODY)
    assert len({id(taker.frames[0]) for taker in takers}) == 1


def test_rooms_and_scopes_filter() -> None:
    """Both have to agree; events of the daemon go to every subscriber."""
    feed = new_feed()
    everything, one_room, scoped, nothing = Taker(), Taker(), Taker("a"), Taker()
    feed.subscribe(everything, EventsSubscribe())
    feed.subscribe(one_room, EventsSubscribe(rooms=["b", "b"]))
    feed.subscribe(scoped, EventsSubscribe())
    feed.subscribe(nothing, EventsSubscribe(rooms=[]))
    for room in ("a", "b", None):
        feed.publish(room, BODY if room else ServerDraining(deadline_ms=1))
    assert everything.seen == [(1, "a"), (2, "b"), (3, None)]
    assert one_room.seen == [(2, "b"), (3, None)]
    assert scoped.seen == [(1, "a"), (3, None)]
    assert nothing.seen == []


def test_the_last_subscription_counts_and_leaves_nothing_behind() -> None:
    """Changing and dropping filters does not grow the tables."""
    feed, taker = new_feed(), Taker()
    feed.subscribe(taker, EventsSubscribe(rooms=["a", "b"]))
    feed.subscribe(taker, EventsSubscribe(rooms=["b"]))
    assert feed.publish("a", BODY) == 0 and feed.publish("b", BODY) == 1
    feed.unsubscribe(taker)
    feed.unsubscribe(taker)
    assert feed.publish("b", BODY) == 0
    assert not feed._by_room and not feed._of_rooms and not feed._of_everything


def test_a_position_in_the_past_is_answered_with_the_gap() -> None:
    """From the event after it, or from the beginning of another epoch."""
    feed, taker = new_feed(), Taker()
    for _ in range(5):
        feed.publish("a", BODY)
    present, past = Position(epoch="e1", seq=5), Position(epoch="e1", seq=3)
    assert feed.subscribe(taker, EventsSubscribe(since=present)) is None
    assert feed.subscribe(taker, EventsSubscribe(since=past)) == EventsGap(from_=4, to=5)
    other = Position(epoch="e0", seq=900)
    assert feed.subscribe(taker, EventsSubscribe(since=other)) == EventsGap(from_=0, to=5)


def test_a_position_in_the_future_is_refused() -> None:
    """And the subscription that stood before goes on."""
    feed, taker = new_feed(), Taker()
    feed.subscribe(taker, EventsSubscribe())
    with pytest.raises(ControlError) as refused:
        feed.subscribe(taker, EventsSubscribe(since=Position(epoch="e1", seq=1)))
    assert refused.value.detail == {"field": "since.seq"}
    assert feed.publish("a", BODY) == 1


def test_an_event_too_large_for_a_frame_becomes_a_gap() -> None:
    """Its subscribers learn that they miss it."""
    feed, taker = new_feed(), Taker()
    feed.subscribe(taker, EventsSubscribe())
    state = room_state("a", metadata={"big": "x" * FRAME_BYTES_MAX})
    feed.publish("a", RoomUpdated(state=state))
    event = msgpack.unpackb(taker.frames[0][4:])
    assert (event["m"], event["p"]) == ("events.gap", {"from": 1, "to": 1})
