"""Which events somebody asked for: rooms and types. The daemon and the SDK judge alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from control.commands import EventsSubscribe, Position
from control.events import EVENTS, Event, EventsGap, SessionClosed, UnknownEvent

_ANY_OF_GROUP: Final = ".*"
# Whoever asks for some types has to learn all the same that events are missing, or that it is over.
ALWAYS: Final = frozenset({EventsGap.method, SessionClosed.method})


@dataclass(frozen=True)
class EventFilter:
    """`rooms` None: all, empty: nothing at all. `types`, names or `group.*`; None: all.

    Events of the daemon itself have no room and pass every filter of rooms but the empty one.
    """

    rooms: frozenset[str] | None = None
    types: frozenset[str] | None = None

    @classmethod
    def of(cls, rooms: Iterable[str] | None, types: Iterable[str] | None) -> Self:
        """From lists as they are on the wire."""
        return cls(
            rooms=None if rooms is None else frozenset(rooms),
            types=None if types is None else frozenset(types),
        )

    @property
    def is_nothing(self) -> bool:
        """Whether it lets nothing pass, whatever comes."""
        return self.rooms is not None and not self.rooms

    def passes(self, room: str | None, name: str) -> bool:
        """Whether an event of this room and name was asked for."""
        return self.passes_room(room) and self.passes_type(name)

    def passes_room(self, room: str | None) -> bool:
        """Whether events of this room (None: the daemon) were asked for."""
        if self.rooms is None:
            return True
        return bool(self.rooms) if room is None else room in self.rooms

    def passes_type(self, name: str) -> bool:
        """Whether events of this name were asked for."""
        if self.types is None or name in self.types or name in ALWAYS:
            return True
        return name.partition(".")[0] + _ANY_OF_GROUP in self.types

    def known_types(self) -> frozenset[str] | None:
        """The names of this version's events that pass; None: all of them."""
        if self.types is None:
            return None
        return frozenset(filter(self.passes_type, EVENTS))

    def union(self, other: EventFilter) -> EventFilter:
        """A filter that passes at least what either of the two passes."""
        if self.is_nothing or other.is_nothing:
            return other if self.is_nothing else self
        return EventFilter(_union(self.rooms, other.rooms), _union(self.types, other.types))

    def command(self, since: Position | None) -> EventsSubscribe:
        """What asks a daemon for it."""
        return EventsSubscribe(
            rooms=None if self.rooms is None else sorted(self.rooms),
            types=None if self.types is None else sorted(self.types),
            since=since,
        )


NOTHING: Final = EventFilter(rooms=frozenset())


def name_of(event: Event) -> str:
    """The name on the wire, also of events that this SDK has no type for."""
    return event.body.name if isinstance(event.body, UnknownEvent) else event.body.method


def _union(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    return None if one is None or other is None else one | other
