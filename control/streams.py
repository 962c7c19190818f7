"""(client) Event iterators: bounded, typed, indifferent to reconnects."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

import msgspec

from control.commands import Position
from control.errors import invalid
from control.events import Event, EventsGap
from control.filters import EventFilter, name_of

# Some minutes of a busy room. A consumer that is further behind needs a snapshot, not the past.
QUEUE_EVENTS_MAX: Final = 10_000


class EventStream:
    """`async for event in stream`. It subscribes at its first step, or at `async with`.

    It gives each event once, in order; a reconnect goes on where the last connection ended. Events
    that are no longer to be had, or that its consumer is too slow for, are replaced by one
    `EventsGap` (`from_` is 0 and `Event.epoch` another when the daemon has lost its state): then
    `room_snapshot` gives the state. Ends when it or its client is closed; raises ControlError when
    the daemon refuses the subscription.
    """

    def __init__(
        self,
        wanted: EventFilter,
        on_open: Callable[[EventStream], Awaitable[None]],
        on_close: Callable[[EventStream], Awaitable[None]],
        *,
        since: Position | None = None,
        events_max: int = QUEUE_EVENTS_MAX,
    ) -> None:
        self.wanted: Final = wanted
        self.since: Final = since
        self._on_open = on_open
        self._on_close = on_close
        self._events_max = events_max
        self._queue: deque[Event] = deque()
        self._has_news = asyncio.Event()
        self._reached: Position | None = None
        self._is_ahead = False
        self._is_open = False
        self._is_closed = False

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        await self._open()
        while not self._queue:
            if self._is_closed:
                raise StopAsyncIteration
            self._has_news.clear()
            await self._has_news.wait()
        return self._queue.popleft()

    async def aclose(self) -> None:
        """Unsubscribe and end. Idempotent."""
        if not self._is_closed:
            self.end()
            if self._is_open:
                await self._on_close(self)

    def end(self) -> None:
        """End after what is queued."""
        self._is_closed = True
        self._has_news.set()

    # What the client's events go through.

    @property
    def has_begun(self) -> bool:
        """Whether the daemon has been asked for its events."""
        return self._reached is not None

    def begin(self, present: Position) -> None:
        """The daemon sends what this stream wants, behind `since` or from its present on."""
        if self._reached is not None:
            return
        since = self.since or present
        self._is_ahead = since.epoch == present.epoch and since.seq > present.seq
        if self._is_ahead:
            return
        self._reached = since
        if since.epoch != present.epoch:
            self._reached = present
            at, body = time.time_ns() // 1_000_000, EventsGap(from_=0, to=present.seq)
            here = Event(epoch=present.epoch, seq=present.seq, at=at, room=None, body=body)
            self._put(here)

    def check(self) -> None:
        """Raises ControlError(invalid_argument) if `since` is yet to come."""
        if self._is_ahead:
            raise invalid("since.seq", "this position is yet to come")

    def take(self, event: Event) -> bool:
        """Queue the event if it is wanted, and new here. Returns whether it is wanted."""
        reached = self._reached
        if reached is None:
            return False
        is_wanted = self.wanted.passes(event.room, name_of(event))
        if reached.epoch == event.epoch:
            if event.seq <= reached.seq:
                return is_wanted
            if isinstance(event.body, EventsGap) and event.body.from_ <= reached.seq:
                event = _gap(reached.seq + 1, event)  # others here asked for more of the past
        self._reached = Position(epoch=event.epoch, seq=event.seq)
        if is_wanted:
            self._put(event)
        return is_wanted

    def _put(self, event: Event) -> None:
        if self._is_closed:
            return
        if len(self._queue) >= self._events_max:
            event = self._overflow(event)
        self._queue.append(event)
        self._has_news.set()

    def _overflow(self, event: Event) -> Event:
        first = self._queue[0]
        self._queue.clear()
        from_ = first.body.from_ if isinstance(first.body, EventsGap) else first.seq
        # Numbers of another epoch do not count in this one.
        return _gap(from_ if first.epoch == event.epoch else 0, event)

    async def _open(self) -> None:
        if not self._is_open and not self._is_closed:
            self._is_open = True
            try:
                await self._on_open(self)
            except BaseException:
                self._is_open = False
                raise


def _gap(from_: int, event: Event) -> Event:
    """What stands for the events from `from_` up to this one, at its position."""
    body = EventsGap(from_=from_, to=event.seq)
    return msgspec.structs.replace(event, room=None, body=body)
