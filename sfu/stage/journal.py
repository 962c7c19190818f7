"""What happened in a room, in order, until its worker takes it; and the time as it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from control.events import EventBody


class RoomEvent(NamedTuple):
    """Something that happened, before it is numbered; `room` None for the server itself."""

    room: str | None
    body: EventBody


class Journal:
    """Of one room. `wall_at_zero` is unix seconds at `now == 0.0`."""

    __slots__ = ("_events", "_room_id", "_wall_at_zero")

    def __init__(self, room_id: str, wall_at_zero: float) -> None:
        self._room_id = room_id
        self._wall_at_zero = wall_at_zero
        self._events: list[RoomEvent] = []

    def tell(self, body: EventBody) -> None:
        """This has happened."""
        self._events.append(RoomEvent(self._room_id, body))

    def take(self) -> list[RoomEvent]:
        """What happened since the last call."""
        taken, self._events = self._events, []
        return taken

    def unix_ms(self, now: float) -> int:
        """The same moment in unix milliseconds."""
        return round((self._wall_at_zero + now) * 1000)
