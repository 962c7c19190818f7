"""(client) What a client's event streams add up to, and how far the daemon has told it. No IO.

There is one subscription for all streams of a client: the union of what they want. It is asked for
again when that union changes and on every new connection, always from the position that is known to
be complete, so nothing falls between two subscriptions. What comes twice by that is dropped by each
stream, which knows how far it is.

    position    everything up to there that was asked for has come; None: nothing was asked for
    ask()       the command; its answer, taken in before whatever follows it, moves the position
                to where that subscription begins
    take()      moves it on by events, `reach()` by the answers to pings
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from functools import partial, reduce

from control.commands import EventsSubscribe, PingResult, Position
from control.events import Event
from control.filters import NOTHING, EventFilter
from control.streams import EventStream


class Follower:
    """The streams of one client. They are forgotten when nobody else holds them."""

    def __init__(self) -> None:
        self.position: Position | None = None
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()
        self._asked: EventFilter | None = NOTHING  # None: it is not known what the daemon took in
        self._asked_streams = 0
        self._has_moved = False

    def __iter__(self) -> Iterator[EventStream]:
        return iter(tuple(self._streams))

    def add(self, stream: EventStream) -> None:
        """One more; `is_stale` until it was asked for."""
        self._streams.add(stream)

    def discard(self, stream: EventStream) -> None:
        """One less."""
        self._streams.discard(stream)

    @property
    def is_stale(self) -> bool:
        """Whether the daemon has to be asked, for more or for less."""
        if not all(stream.has_begun for stream in self._streams):
            return True
        return self._asked != self._wanted()

    @property
    def has_fewer(self) -> bool:
        """Whether streams have ended since the daemon was asked; cheap."""
        return len(self._streams) < self._asked_streams

    @property
    def is_following(self) -> bool:
        """Whether a new connection has something to go on with."""
        return self.position is not None or bool(self._streams)

    def ask(self, epoch: str) -> tuple[EventsSubscribe, Callable[[Position], None]]:
        """What to ask the daemon of this epoch for, and who takes in the answer."""
        wanted, since, streams = self._wanted(), self._since(epoch), tuple(self._streams)
        self._asked = None
        return wanted.command(since), partial(self._begin, wanted, since, streams)

    def take(self, event: Event) -> bool:
        """Hand an event to the streams. Returns whether any of them wants it."""
        self.position = Position(epoch=event.epoch, seq=event.seq)
        self._has_moved = True
        return any([stream.take(event) for stream in self])

    def reach(self, answer: PingResult) -> None:
        """A ping was answered: everything up to its position has come, without events to show."""
        if answer.position is not None and self.position is not None:
            self.position = answer.position

    def has_rested(self) -> bool:
        """Whether no event has moved the position since this was asked last."""
        rested = self.position is not None and not self._has_moved
        self._has_moved = False
        return rested

    def _begin(
        self,
        wanted: EventFilter,
        since: Position | None,
        streams: Iterable[EventStream],
        present: Position,
    ) -> None:
        self._asked, self._asked_streams = wanted, len(self._streams)
        self.position = None if wanted.is_nothing else since or present
        for stream in streams:
            stream.begin(present)

    def _wanted(self) -> EventFilter:
        return reduce(EventFilter.union, (stream.wanted for stream in self), NOTHING)

    def _since(self, epoch: str) -> Position | None:
        """The oldest position that anybody has to go on from.

        One of another epoch is answered with a gap, for all who have begun; the others tell
        themselves.
        """
        if self.position is not None and self.position.epoch != epoch:
            return self.position
        fresh = [stream.since for stream in self if not stream.has_begun]
        known = [one for one in (self.position, *fresh) if one is not None and one.epoch == epoch]
        return min(known, key=lambda one: one.seq, default=None)
