"""A client that is cut off again and again: each of its streams gets everything once, or a gap."""

from __future__ import annotations

from typing import Any

import msgpack
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from control.commands import PingResult, Position
from control.envelope import parse_reply
from control.errors import ControlError
from control.events import Event, EventBody, EventsGap, HandLowered, RoomClosed
from control.feed import Feed
from control.filters import EventFilter
from control.follower import Follower
from control.ring import Ring
from control.streams import EventStream

EPOCH = "e1"
BODIES: tuple[EventBody, ...] = (HandLowered(participant="p"), RoomClosed(reason="r"))
ROOMS = ("a", "b", "c")
ROOM_SETS = st.none() | st.sets(st.sampled_from(ROOMS), max_size=2)
TYPE_SETS = st.none() | st.sets(st.sampled_from(("hand.lowered", "room.*")))


async def nothing(stream: EventStream) -> None:
    """Streams are opened and closed by the test."""


class Stream(EventStream):
    """Remembers where it began."""

    first: Position | None = None

    def begin(self, present: Position) -> None:
        """As it does."""
        super().begin(present)
        self.first = self.first or self.since or present


class Link:
    """A connection: what the daemon sent and the client has not read; answers are callables."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.is_asked = False  # and has not answered: a client asks one thing at a time

    def sees(self, room: str | None) -> bool:
        """Everything."""
        return True

    def send_event(self, frame: bytes) -> None:
        """On its way."""
        self.waiting.append(parse_reply(msgpack.unpackb(frame[4:])))


class Reconnecting(RuleBasedStateMachine):
    """Streams come and go, connections break with anything on the way, the ring is short."""

    @initialize(events_max=st.integers(0, 20))
    def begin(self, events_max: int) -> None:
        """A daemon, and a client connected to it."""
        self.feed = Feed(EPOCH, lambda: 5, Ring(events_max, 100_000))
        self.follower = Follower()
        self.streams: list[Stream] = []
        self.published: list[tuple[str, str]] = []
        self.link = Link()

    @rule(room=st.sampled_from(ROOMS), body=st.sampled_from(BODIES), count=st.integers(1, 3))
    def publish(self, room: str, body: EventBody, count: int) -> None:
        """Something happens."""
        for _ in range(count):
            self.published.append((room, body.method))
            self.feed.publish(room, body)

    @rule(rooms=ROOM_SETS, types=TYPE_SETS, back=st.none() | st.integers(0, 12))
    def open_stream(self, rooms: set[str] | None, types: set[str] | None, back: int | None) -> None:
        """From now, or from some way back."""
        seq = None if back is None else max(0, self.feed.seq - back)
        since = None if seq is None else Position(epoch=EPOCH, seq=seq)
        stream = Stream(EventFilter.of(rooms, types), nothing, nothing, since=since)
        self.streams.append(stream)
        self.follower.add(stream)
        self._ask()

    @rule(number=st.integers(0, 5))
    def close_stream(self, number: int) -> None:
        """The daemon is asked for less."""
        if self.streams:
            stream = self.streams.pop(number % len(self.streams))
            self.follower.discard(stream)
            self._ask()

    @rule()
    def ping(self) -> None:
        """Answered by how far the daemon has sent."""
        answer = PingResult(position=self.feed.reached(self.link))
        self.link.waiting.append(lambda: self.follower.reach(answer))

    @rule()
    def replay(self) -> None:
        """The daemon has time for one slice."""
        if self.feed.is_behind(self.link):
            for frame in self.feed.catch_up(self.link):
                self.link.send_event(frame)

    @rule(count=st.integers(1, 4))
    def read(self, count: int) -> None:
        """The client reads some of what is on its way."""
        ready, self.link.waiting = self.link.waiting[:count], self.link.waiting[count:]
        for one in ready:
            if isinstance(one, Event):
                self.follower.take(one)
            else:
                one()

    @rule()
    def cut(self) -> None:
        """Whatever is on its way is lost; the next connection goes on."""
        self.feed.unsubscribe(self.link)
        self.link = Link()
        if self.follower.is_following:
            self._ask()

    def _ask(self) -> None:
        """What the streams want now; while an answer is on its way, after that."""
        if self.link.is_asked:
            return
        self.link.is_asked = True
        command, on_result = self.follower.ask(EPOCH)
        try:
            assert self.feed.subscribe(self.link, command) is None
        except ControlError as error:
            raise AssertionError("nobody asked for the future") from error
        present, link = self.feed.position, self.link

        def answered() -> None:
            link.is_asked = False
            on_result(present)
            if self.follower.is_stale:
                self._ask()

        self.link.waiting.append(answered)

    @invariant()
    def each_stream_has_everything_up_to_the_position(self) -> None:
        """From where it began; in order, once, nothing else, holes only where a gap was told."""
        position = self.follower.position
        for stream in self.streams:
            if stream.has_begun and position is not None:
                self._check(stream, position.seq)

    def _check(self, stream: Stream, complete: int) -> None:
        began = stream.first
        assert began is not None
        at = began.seq
        for event in stream._queue:
            assert event.seq > at
            end = event.seq - 1
            if isinstance(event.body, EventsGap):
                assert event.body.to == event.seq and event.body.from_ > at
                end = event.body.from_ - 1
            else:
                assert self._is_for(stream, event.seq)
            assert not any(self._is_for(stream, one) for one in range(at + 1, end + 1))
            at = event.seq
        assert not any(self._is_for(stream, one) for one in range(at + 1, complete + 1))

    def _is_for(self, stream: EventStream, seq: int) -> bool:
        return stream.wanted.passes(*self.published[seq - 1])

    def teardown(self) -> None:
        """Left in peace, the client gets to the present."""
        if hasattr(self, "feed"):
            while self.feed.is_behind(self.link):
                self.replay()
            while self.link.is_asked or self.feed.is_behind(self.link):
                self.read(len(self.link.waiting))
                self.replay()
            self.ping()
            self.read(len(self.link.waiting))
            self.each_stream_has_everything_up_to_the_position()
            if self.follower.position is not None:
                assert self.follower.position == self.feed.position


TestReconnecting = Reconnecting.TestCase
TestReconnecting.settings = settings(max_examples=150, stateful_step_count=50)
