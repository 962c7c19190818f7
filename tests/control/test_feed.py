"""Numbering and fan-out of events."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from control.commands import EventsSubscribe, Position
from control.errors import ControlError
from control.events import EventsGap, HandLowered, RoomClosed, RoomUpdated, ServerDraining
from control.feed import Feed
from control.frames import FRAME_BYTES_MAX
from control.ring import Ring
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


def new_feed(events_max: int = 100) -> Feed:
    """A feed at a fixed time that holds so many events."""
    return Feed("e1", lambda: 5, Ring(events_max, 1_000_000))


def caught_up(feed: Feed, taker: Taker) -> list[tuple[int, str, Any]]:
    """Number, name and parameters of everything it is behind by."""
    frames: list[bytes] = []
    while feed.is_behind(taker):
        frames += feed.catch_up(taker)
    events = [msgpack.unpackb(frame[4:]) for frame in frames]
    return [(event["seq"], event["m"], event["p"]) for event in events]


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
    assert not (feed._all or feed._by_room or feed._of_rooms or feed._of_everything)


def test_types_filter_by_name_and_by_group() -> None:
    """As rooms do; gaps come to everybody who would have got the event."""
    feed, hands, server = new_feed(), Taker(), Taker()
    feed.subscribe(hands, EventsSubscribe(types=["hand.*", "room.closed"]))
    feed.subscribe(server, EventsSubscribe(rooms=["a"], types=["server.draining"]))
    feed.publish("a", BODY)
    feed.publish("a", RoomClosed(reason=""))
    feed.publish("a", RoomUpdated(state=room_state("a")))
    feed.publish(None, ServerDraining(deadline_ms=1))
    assert hands.seen == [(1, "a"), (2, "a")] and server.seen == [(4, None)]
    nothing = Taker()
    feed.subscribe(nothing, EventsSubscribe(types=[]))
    assert feed.publish("a", RoomUpdated(state=room_state("a"))) == 0


def test_a_position_in_the_past_is_replayed() -> None:
    """From the event after it; a subscriber at the present has nothing to catch up."""
    feed, taker = new_feed(), Taker()
    for _ in range(5):
        feed.publish("a", BODY)
    feed.subscribe(taker, EventsSubscribe(since=Position(epoch="e1", seq=5)))
    assert not feed.is_behind(taker)
    assert feed.subscribe(taker, EventsSubscribe(since=Position(epoch="e1", seq=3))) is None
    assert [seq for seq, _, _ in caught_up(feed, taker)] == [4, 5]
    assert feed.publish("a", BODY) == 1 and taker.seen == [(6, "a")]


def test_live_events_wait_until_the_past_is_told() -> None:
    """They are part of it, once."""
    feed, taker = new_feed(), Taker()
    feed.publish("a", BODY)
    feed.subscribe(taker, EventsSubscribe(since=Position(epoch="e1", seq=0)))
    assert feed.publish("a", BODY) == 0
    assert [seq for seq, _, _ in caught_up(feed, taker)] == [1, 2] and taker.seen == []


def test_replay_is_filtered_as_live_events_are() -> None:
    """By rooms, types and scopes."""
    feed, taker = new_feed(), Taker("a")
    for room in ("a1", "b", None, "a2"):
        feed.publish(room, BODY if room else ServerDraining(deadline_ms=1))
        feed.publish(room, RoomClosed(reason=""))
    start = Position(epoch="e1", seq=0)
    for wanted, expected in (
        (EventsSubscribe(since=start), [1, 2, 5, 6, 7, 8]),
        (EventsSubscribe(since=start, rooms=["a2", "b"]), [5, 6, 7, 8]),
        (EventsSubscribe(since=start, types=["hand.*"]), [1, 7]),
        (EventsSubscribe(since=start, rooms=["a1"], types=["server.*"]), [5]),
        (EventsSubscribe(since=start, rooms=[]), []),
    ):
        feed.subscribe(taker, wanted)
        assert [seq for seq, _, _ in caught_up(feed, taker)] == expected


def test_what_is_no_longer_held_is_a_gap_and_the_rest_follows() -> None:
    """At the position behind the gap; also for one that is overtaken under way."""
    feed, taker = new_feed(events_max=2), Taker()
    for _ in range(4):
        feed.publish("a", BODY)
    feed.subscribe(taker, EventsSubscribe(since=Position(epoch="e1", seq=1)))
    feed.publish("a", BODY)
    assert caught_up(feed, taker) == [
        (3, "events.gap", {"from": 2, "to": 3}),
        (4, "hand.lowered", {"participant": "p"}),
        (5, "hand.lowered", {"participant": "p"}),
    ]


def test_another_epoch_is_a_gap_from_zero() -> None:
    """Nothing of it is held; the present one goes on live."""
    feed, taker = new_feed(), Taker()
    feed.publish("a", BODY)
    other = EventsSubscribe(since=Position(epoch="e0", seq=900))
    assert feed.subscribe(taker, other) == EventsGap(from_=0, to=1)
    assert not feed.is_behind(taker) and feed.publish("a", BODY) == 1


def test_how_far_a_subscriber_is_can_be_asked() -> None:
    """So that it need not resume from the last event it happened to want."""
    feed, taker = new_feed(), Taker()
    assert feed.reached(taker) is None
    for _ in range(3):
        feed.publish("a", BODY)
    feed.subscribe(taker, EventsSubscribe(rooms=["b"], since=Position(epoch="e1", seq=1)))
    assert feed.reached(taker) == Position(epoch="e1", seq=1)
    feed.catch_up(taker)
    feed.publish("a", BODY)
    assert feed.reached(taker) == feed.position == Position(epoch="e1", seq=4)


def test_publishing_costs_nothing_for_other_rooms() -> None:
    """However many there are."""
    feed, takers = new_feed(), [Taker() for _ in range(50)]
    for number, taker in enumerate(takers):
        feed.subscribe(taker, EventsSubscribe(rooms=[str(number)]))
    assert list(feed._subscriptions_of("7")) == [feed._all[takers[7]]]


def test_a_subscriber_may_leave_while_it_is_being_told() -> None:
    """As one does that is cut off; the others get the event all the same."""
    feed, last = new_feed(), Taker()

    class Leaver(Taker):
        def send_event(self, frame: bytes) -> None:
            feed.unsubscribe(self)

    feed.subscribe(Leaver(), EventsSubscribe())
    feed.subscribe(last, EventsSubscribe())
    assert feed.publish("a", BODY) == 2 and feed.publish("a", BODY) == 1
    assert last.seen == [(1, "a"), (2, "a")]


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
