"""(client) Event iterators: bounded, typed, indifferent to reconnects."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

from control.events import Event, EventsGap

# Some minutes of a busy room. A consumer that is further behind needs a snapshot, not the past.
QUEUE_EVENTS_MAX: Final = 10_000


class EventStream:
    """`async for event in stream`. It subscribes at its first step, or at `async with`.

    Events that its consumer is too slow for are replaced by one `EventsGap`, which also comes when
    a reconnect missed some: then `room_snapshot` gives the state. Ends when it or its client is
    closed; raises ControlError when the daemon refuses the subscription.
    """

    def __init__(
        self,
        rooms: frozenset[str] | None,
        on_open: Callable[[EventStream], Awaitable[None]],
        on_close: Callable[[EventStream], Awaitable[None]],
        *,
        events_max: int = QUEUE_EVENTS_MAX,
    ) -> None:
        self.rooms = rooms
        self._on_open = on_open
        self._on_close = on_close
        self._events_max = events_max
        self._queue: deque[Event] = deque()
        self._has_news = asyncio.Event()
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

    def wants(self, room: str | None) -> bool:
        """Whether events of the room were asked for. None is the daemon itself: always."""
        return self.rooms is None or room is None or room in self.rooms

    def put(self, event: Event) -> None:
        """Queue an event; too many become a gap."""
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
        body = EventsGap(from_=from_ if first.epoch == event.epoch else 0, to=event.seq)
        return Event(epoch=event.epoch, seq=event.seq, at=event.at, room=None, body=body)

    async def _open(self) -> None:
        if not self._is_open and not self._is_closed:
            self._is_open = True
            try:
                await self._on_open(self)
            except BaseException:
                self._is_open = False
                raise
