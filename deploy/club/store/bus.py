"""The bus: short messages from whoever changed something to all pages that show it.

Within a process a message is handed over at once. On PostgreSQL it also reaches the club's other
processes, by NOTIFY; with SQLite there are none. Nothing is kept: a listener that was away gets no
old messages, but `RESUMED`, upon which it reads anew what it shows.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Any, Self
from weakref import WeakSet

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.store.wire import Wire

# The topic of the message that says: others may have been missed, look for yourself.
RESUMED = "bus.resumed"
# PostgreSQL refuses notifications of 8000 bytes or more; the envelope takes less than 200 of them.
PAYLOAD_BYTES_MAX = 7000
# A page that is that far behind is not reading; it gets RESUMED in place of what it missed.
WAITING_MAX = 256

_PENDING = "club.bus"
_log = structlog.get_logger(__name__)

Message = tuple[str, dict[str, Any]]


class Listening(AsyncIterator[Message]):
    """What one listener has yet to read. It hears from the moment it exists until it is closed, or
    until nobody holds it any more.
    """

    def __init__(self, topics: Iterable[str]) -> None:
        self.topics = frozenset(topics)
        self._waiting: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """How many messages are yet to be read."""
        return len(self._waiting)

    def hand(self, topic: str, payload: dict[str, Any]) -> None:
        """Put a message in line. A full line is replaced by one RESUMED."""
        if self._is_closed or (topic not in self.topics and topic != RESUMED):
            return
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.clear()
            topic, payload = RESUMED, {}
        self._waiting.append((topic, payload))
        self._arrived.set()

    async def __anext__(self) -> Message:
        while not self._waiting:
            if self._is_closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    def close(self) -> None:
        """End the iteration, after what is in line."""
        self._is_closed = True
        self._arrived.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Bus:
    """Of one process. `wire` leads to the other ones; None with SQLite."""

    def __init__(self, wire: Wire | None = None) -> None:
        self._listeners: WeakSet[Listening] = WeakSet()
        self._wire = wire
        if wire is not None:
            wire.on_message = self._from_wire
            wire.on_resumed = lambda: self._deliver(RESUMED, {})

    @property
    def listeners(self) -> int:
        """How many there are."""
        return len(self._listeners)

    def publish(self, topic: str, payload: dict[str, Any]) -> None:
        """Tell everybody now. ValueError if `payload` is too long for PostgreSQL's NOTIFY."""
        text = _encode(topic, payload)
        self._deliver(topic, payload)
        if self._wire is not None:
            self._wire.send(text)

    def publish_after(self, tx: AsyncSession, topic: str, payload: dict[str, Any]) -> None:
        """Tell everybody once `tx` (from `Store.begin`) is committed; nobody if it is rolled back.

        ValueError if `payload` is too long for PostgreSQL's NOTIFY.
        """
        publish_after(tx, topic, payload)

    def listen(self, topics: Iterable[str]) -> Listening:
        """Everything published on `topics` from now on, and RESUMED when some may be missing."""
        listening = Listening(topics)
        self._listeners.add(listening)
        return listening

    async def within(self, tx: AsyncSession) -> None:
        """Add to `tx` what other processes are told by its commit (Store.begin calls this)."""
        pending = tx.sync_session.info.get(_PENDING)
        if pending and self._wire is not None:
            await self._wire.send_within(tx, [text for _, _, text in pending])

    def committed(self, tx: AsyncSession) -> None:
        """Tell this process what `tx` published (Store.begin calls this)."""
        for topic, payload, _ in tx.sync_session.info.pop(_PENDING, ()):
            self._deliver(topic, payload)

    def close(self) -> None:
        """End all listeners' iterations."""
        for listening in tuple(self._listeners):
            listening.close()

    def _deliver(self, topic: str, payload: dict[str, Any]) -> None:
        for listening in tuple(self._listeners):
            listening.hand(topic, payload)

    def _from_wire(self, text: str) -> None:
        try:
            topic, payload = json.loads(text)
        except ValueError:
            _log.warning("bus.unreadable", text=text[:80])
            return
        self._deliver(topic, payload)


def publish_after(tx: AsyncSession, topic: str, payload: dict[str, Any]) -> None:
    """The same for services, which have a transaction but no bus: `Bus.publish_after`."""
    pending = tx.sync_session.info.setdefault(_PENDING, [])
    pending.append((topic, payload, _encode(topic, payload)))


def _encode(topic: str, payload: dict[str, Any]) -> str:
    text = json.dumps([topic, payload], ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"{topic}: over {PAYLOAD_BYTES_MAX} bytes; publish ids, not contents")
    return text
