"""The numbered stream of events: who gets which, from which number on. No IO.

Every event of the daemon gets the next number, whether or not anybody listens, so a position means
the same on every connection. It is encoded once, for all subscribers and for the ring of those that
may be asked for later.

A subscriber is live, or it catches up: then it is behind at a number of its own, publishing passes
it by, and `catch_up` hands it slices of the ring, one whenever it has room. The slice that reaches
the present makes it live, within the same call, so nothing comes between. When the ring has moved
on beyond its number, it is told of the gap, exactly of what is missing, and goes on behind it.

    subscribe        -> live, or behind if `since` lies in the past
    catch_up         behind -> behind, or live at the end of the ring
    unsubscribe      -> gone
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from control.commands import EventsSubscribe, Position
from control.envelope import encode_event
from control.errors import invalid
from control.events import Event, EventBody, EventsGap
from control.filters import EventFilter
from control.frames import FRAME_BYTES_MAX
from control.ring import Record, Ring

# One slice of a replay: what a connection writes at once, and no more than half a millisecond of
# looking at events that it does not want.
SLICE_BYTES: Final = 65_536
SLICE_RECORDS: Final = 1_024


class Subscriber(Protocol):
    """A connection, as the feed sees it."""

    def sees(self, room: str | None) -> bool:
        """Whether the room exists for it."""

    def send_event(self, frame: bytes) -> None:
        """Take one encoded event; never raises, never waits."""


@dataclass(eq=False, slots=True)
class _Subscription:
    """What one subscriber gets. `behind`: the number it reads next; None: it is live."""

    subscriber: Subscriber
    wanted: EventFilter
    types: frozenset[str] | None
    behind: int | None = None

    def wants(self, record: Record) -> bool:
        """Whether this event of the past is for it."""
        return (
            (self.types is None or record.name in self.types)
            and self.wanted.passes_room(record.room)
            and self.subscriber.sees(record.room)
        )


class Feed:
    """Numbers events and fans them out. `wall_ms` gives unix milliseconds."""

    def __init__(self, epoch: str, wall_ms: Callable[[], int], ring: Ring) -> None:
        self.epoch: Final = epoch
        self.ring: Final = ring
        self._wall_ms = wall_ms
        self._all: dict[Subscriber, _Subscription] = {}
        self._of_everything: dict[_Subscription, None] = {}
        self._of_rooms: dict[_Subscription, None] = {}
        self._by_room: dict[str, dict[_Subscription, None]] = {}

    @property
    def seq(self) -> int:
        """The number of the last event."""
        return self.ring.last

    @property
    def position(self) -> Position:
        """Where the stream stands: the number of the last event."""
        return Position(epoch=self.epoch, seq=self.seq)

    def publish(self, room: str | None, body: EventBody) -> int:
        """Number an event and hand it to its live subscribers. Returns how many got it."""
        seq, name = self.seq + 1, body.method
        frame = self._encode(seq, room, body)
        self.ring.append(Record(seq, room, name, frame))
        count = 0
        # A list, because whoever is cut off for reading too slowly unsubscribes meanwhile.
        for one in list(self._subscriptions_of(room)):
            if one.behind is None and (one.types is None or name in one.types):
                if one.subscriber.sees(room):
                    one.subscriber.send_event(frame)
                    count += 1
        return count

    def frame_now(self, body: EventBody) -> bytes:
        """An event for one connection alone: at the present position, with no number of its own."""
        return self._frame(self.seq, None, body)

    # Subscribers.

    def subscribe(self, subscriber: Subscriber, command: EventsSubscribe) -> EventsGap | None:
        """Replace what this subscriber gets; `is_behind` tells whether there is to be caught up.

        Returns the gap it has to be told of at once: `since` is of another epoch. Raises
        invalid_argument for a position that is yet to come.
        """
        behind, gap = self._judge(command.since)
        self.unsubscribe(subscriber)
        wanted = EventFilter.of(command.rooms, command.types)
        if wanted.is_nothing:
            return None
        one = _Subscription(subscriber, wanted, wanted.known_types(), behind)
        self._all[subscriber] = one
        if wanted.rooms is None:
            self._of_everything[one] = None
            return gap
        self._of_rooms[one] = None
        for room in wanted.rooms:
            self._by_room.setdefault(room, {})[one] = None
        return gap

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Forget a subscriber; unknown ones are fine."""
        one = self._all.pop(subscriber, None)
        if one is None:
            return
        self._of_everything.pop(one, None)
        self._of_rooms.pop(one, None)
        for room in one.wanted.rooms or ():
            listeners = self._by_room[room]
            del listeners[one]
            if not listeners:
                del self._by_room[room]

    def is_behind(self, subscriber: Subscriber) -> bool:
        """Whether `catch_up` has more for it."""
        one = self._all.get(subscriber)
        return one is not None and one.behind is not None

    def reached(self, subscriber: Subscriber) -> Position | None:
        """Up to where everything was handed to this subscriber; None: it has no subscription."""
        one = self._all.get(subscriber)
        if one is None:
            return None
        return Position(epoch=self.epoch, seq=self.seq if one.behind is None else one.behind - 1)

    def catch_up(self, subscriber: Subscriber) -> list[bytes]:
        """The next slice for one that is behind, perhaps empty; the last one makes it live."""
        one = self._all[subscriber]
        assert one.behind is not None
        piece = self.ring.read(
            one.behind, one.wants, bytes_max=SLICE_BYTES, records_max=SLICE_RECORDS
        )
        one.behind = None if piece.following > self.seq else piece.following
        if piece.missing is None:
            return piece.frames
        first, last = piece.missing
        # At the position behind the gap, so that one may resume from there.
        return [self._frame(last, None, EventsGap(from_=first, to=last)), *piece.frames]

    def _subscriptions_of(self, room: str | None) -> Iterator[_Subscription]:
        yield from self._of_everything
        yield from self._of_rooms if room is None else self._by_room.get(room, ())

    def _judge(self, since: Position | None) -> tuple[int | None, EventsGap | None]:
        """The number to be caught up from, or the gap that cannot be."""
        if since is None or since == self.position:
            return None, None
        if since.epoch != self.epoch:
            return None, EventsGap(from_=0, to=self.seq)
        if since.seq > self.seq:
            raise invalid("since.seq", "this position is yet to come")
        return since.seq + 1, None

    def _encode(self, seq: int, room: str | None, body: EventBody) -> bytes:
        frame = self._frame(seq, room, body)
        if len(frame) <= FRAME_BYTES_MAX:
            return frame
        # It cannot be sent, so subscribers learn that they miss it.
        return self._frame(seq, room, EventsGap(from_=seq, to=seq))

    def _frame(self, seq: int, room: str | None, body: EventBody) -> bytes:
        event = Event(epoch=self.epoch, seq=seq, at=self._wall_ms(), room=room, body=body)
        return encode_event(event)
