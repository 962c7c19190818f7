"""Whatever happens in whatever order, a subscriber gets what it asked for once, or a true gap."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import msgpack
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from control import feed as feeds
from control.commands import EventsSubscribe, Position
from control.events import EventBody, EventsGap, HandLowered, RoomClosed, ServerUndrained
from control.feed import Feed
from control.filters import EventFilter
from control.ring import Ring

EPOCH = "e1"
BODIES: tuple[EventBody, ...] = (HandLowered(participant="p"), RoomClosed(reason="r"))
ROOMS = ("a", "b", "c")
TYPES = ("hand.lowered", "room.*", "server.undrained")
READERS = st.integers(0, 2)


class Reader:
    """A backend: subscribes, is cut off, resumes from the last event it has got."""

    def __init__(self, scope: tuple[str, ...]) -> None:
        self.scope = scope
        self.wanted = EventFilter()
        self.is_subscribed = False
        self.since = 0  # where the present claim to completeness begins
        self.got: list[dict[str, Any]] = []

    def sees(self, room: str | None) -> bool:
        """Its scopes."""
        return room is None or room in self.scope

    def send_event(self, frame: bytes) -> None:
        """Keep it."""
        self.got.append(msgpack.unpackb(frame[4:]))

    @property
    def last(self) -> int:
        """The position it would resume from."""
        return self.got[-1]["seq"] if self.got else self.since

    def begin(self, seq: int) -> None:
        """Forget; from here on it has to be told everything."""
        self.since, self.got = seq, []


class Interleavings(RuleBasedStateMachine):
    """Any order of publishing, subscribing, reading, being cut off, and resuming."""

    @initialize(events_max=st.integers(0, 8), bytes_max=st.integers(0, 700))
    def begin(self, events_max: int, bytes_max: int) -> None:
        """A small ring and small slices, so that they are often overtaken."""
        self.feed = Feed(EPOCH, lambda: 5, Ring(events_max, bytes_max))
        self.published: list[tuple[str | None, EventBody]] = []
        self.readers = [Reader(ROOMS), Reader(("a",)), Reader(("b", "c"))]

    @rule(room=st.sampled_from(ROOMS), body=st.sampled_from(BODIES))
    def publish(self, room: str, body: EventBody) -> None:
        """Of a room."""
        self.published.append((room, body))
        self.feed.publish(room, body)

    @rule()
    def publish_of_the_daemon(self) -> None:
        """Without a room."""
        self.published.append((None, ServerUndrained()))
        self.feed.publish(None, ServerUndrained())

    @rule(
        number=READERS,
        rooms=st.none() | st.sets(st.sampled_from(ROOMS), min_size=1),
        types=st.none() | st.sets(st.sampled_from(TYPES)),
        back=st.none() | st.integers(0, 12),
    )
    def subscribe(
        self, number: int, rooms: set[str] | None, types: set[str] | None, back: int | None
    ) -> None:
        """With any filter, from now or from some way back."""
        reader = self.readers[number]
        reader.wanted = EventFilter.of(rooms, types)
        start = self.feed.seq if back is None else max(0, self.feed.seq - back)
        self._subscribe(reader, None if back is None else start)
        reader.begin(start)

    @rule(number=READERS)
    def resume(self, number: int) -> None:
        """With the filter it had, from the last event it got; what it has already still counts."""
        self._subscribe(self.readers[number], self.readers[number].last)

    @rule(number=READERS)
    def cut(self, number: int) -> None:
        """The connection breaks between two events."""
        self.feed.unsubscribe(self.readers[number])
        self.readers[number].is_subscribed = False

    @rule(number=READERS, bytes_max=st.integers(1, 300), records_max=st.integers(1, 4))
    def drain(self, number: int, bytes_max: int, records_max: int) -> None:
        """The reader takes one slice."""
        self._drain(self.readers[number], bytes_max, records_max)

    def _drain(self, reader: Reader, bytes_max: int, records_max: int) -> None:
        if not self.feed.is_behind(reader):
            return
        oldest = self.feed.ring.first
        with (
            patch.object(feeds, "SLICE_BYTES", bytes_max),
            patch.object(feeds, "SLICE_RECORDS", records_max),
        ):
            frames = self.feed.catch_up(reader)
        for frame in frames:
            reader.send_event(frame)
            event = reader.got[-1]
            assert event["m"] != EventsGap.method or event["p"]["to"] == oldest - 1

    def _subscribe(self, reader: Reader, since: int | None) -> None:
        position = None if since is None else Position(epoch=EPOCH, seq=since)
        assert self.feed.subscribe(reader, reader.wanted.command(position)) is None
        reader.is_subscribed = True

    @invariant()
    def everybody_has_everything_up_to_where_they_are(self) -> None:
        """In order, once, nothing else, and holes only where a gap was told."""
        for reader in self.readers:
            reached = self.feed.reached(reader)
            assert (reached is not None) == reader.is_subscribed
            if reached is not None:
                self._check(reader, reached.seq)

    def _check(self, reader: Reader, reached: int) -> None:
        at = reader.since
        for event in reader.got:
            seq, end = event["seq"], event["seq"] - 1
            assert at < seq <= reached
            if event["m"] == EventsGap.method:
                assert event["p"] == {"from": event["p"]["from"], "to": seq}
                end = event["p"]["from"] - 1
                assert end >= at
            else:
                assert (event.get("room"), event["m"]) == self._name(seq)
                assert self._is_for(reader, seq)
            assert not any(self._is_for(reader, one) for one in range(at + 1, end + 1))
            at = seq
        assert not any(self._is_for(reader, one) for one in range(at + 1, reached + 1))

    def _name(self, seq: int) -> tuple[str | None, str]:
        room, body = self.published[seq - 1]
        return room, body.method

    def _is_for(self, reader: Reader, seq: int) -> bool:
        room, name = self._name(seq)
        return reader.sees(room) and reader.wanted.passes(room, name)

    def teardown(self) -> None:
        """In the end everybody gets to the present, in a bounded number of slices."""
        for reader in getattr(self, "readers", ()):
            for _ in range(self.feed.seq + 1):
                self._drain(reader, 1, 1)
            assert not self.feed.is_behind(reader)
        if hasattr(self, "feed"):
            self.everybody_has_everything_up_to_where_they_are()


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=80, stateful_step_count=40)


def test_a_filter_asks_for_what_it_passes() -> None:
    """Its command is itself on the wire."""
    wanted = EventFilter.of(["b", "a"], ["hand.*"])
    assert wanted.command(None) == EventsSubscribe(rooms=["a", "b"], types=["hand.*"])
    assert EventFilter.of(["a", "b"], ["hand.*"]) == wanted
