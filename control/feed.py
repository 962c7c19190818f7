"""The numbered stream of events, and who gets which.

Every event of the daemon gets the next number, whether or not anybody listens, so a position means
the same on every connection. An event is encoded once, when its first subscriber is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from control.commands import EventsSubscribe, Position
from control.envelope import encode_event
from control.errors import invalid
from control.events import Event, EventBody, EventsGap
from control.frames import FRAME_BYTES_MAX


class Subscriber(Protocol):
    """A connection, as the feed sees it."""

    def sees(self, room: str | None) -> bool:
        """Whether the room exists for it."""

    def send_event(self, frame: bytes) -> None:
        """Take one encoded event; never raises, never waits."""


class Feed:
    """Numbers events and fans them out. `wall_ms` gives unix milliseconds."""

    def __init__(self, epoch: str, wall_ms: Callable[[], int]) -> None:
        self.epoch: Final = epoch
        self.seq = 0
        self._wall_ms = wall_ms
        self._of_everything: dict[Subscriber, None] = {}
        self._of_rooms: dict[Subscriber, frozenset[str]] = {}
        self._by_room: dict[str, dict[Subscriber, None]] = {}

    @property
    def position(self) -> Position:
        """Where the stream stands: the number of the last event."""
        return Position(epoch=self.epoch, seq=self.seq)

    def publish(self, room: str | None, body: EventBody) -> int:
        """Number an event and hand it to its subscribers. Returns how many got it."""
        self.seq += 1
        receivers = [one for one in self._subscribers_of(room) if one.sees(room)]
        if receivers:
            frame = self._encode(room, body)
            for receiver in receivers:
                receiver.send_event(frame)
        return len(receivers)

    def frame_now(self, body: EventBody) -> bytes:
        """An event for one connection alone: at the present position, with no number of its own."""
        return self._frame(None, body)

    def subscribe(self, subscriber: Subscriber, command: EventsSubscribe) -> EventsGap | None:
        """Replace what this subscriber gets. Returns the gap it has to be told of, if any.

        Raises invalid_argument for a position that is yet to come.
        """
        gap = self._gap_since(command.since)
        self.unsubscribe(subscriber)
        if command.rooms is None:
            self._of_everything[subscriber] = None
        elif command.rooms:
            self._of_rooms[subscriber] = frozenset(command.rooms)
            for room in command.rooms:
                self._by_room.setdefault(room, {})[subscriber] = None
        return gap

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Forget a subscriber; unknown ones are fine."""
        self._of_everything.pop(subscriber, None)
        for room in self._of_rooms.pop(subscriber, ()):
            listeners = self._by_room[room]
            del listeners[subscriber]
            if not listeners:
                del self._by_room[room]

    def _subscribers_of(self, room: str | None) -> Iterator[Subscriber]:
        yield from self._of_everything
        yield from self._of_rooms if room is None else self._by_room.get(room, ())

    def _gap_since(self, since: Position | None) -> EventsGap | None:
        if since is None or since == self.position:
            return None
        if since.epoch != self.epoch:
            return EventsGap(from_=0, to=self.seq)
        if since.seq > self.seq:
            raise invalid("since.seq", "this position is yet to come")
        return EventsGap(from_=since.seq + 1, to=self.seq)

    def _encode(self, room: str | None, body: EventBody) -> bytes:
        frame = self._frame(room, body)
        if len(frame) <= FRAME_BYTES_MAX:
            return frame
        # It cannot be sent, so subscribers learn that they miss it.
        return self._frame(room, EventsGap(from_=self.seq, to=self.seq))

    def _frame(self, room: str | None, body: EventBody) -> bytes:
        event = Event(epoch=self.epoch, seq=self.seq, at=self._wall_ms(), room=room, body=body)
        return encode_event(event)
