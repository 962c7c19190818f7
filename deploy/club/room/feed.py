"""What one page has yet to be told.

A feed keeps the latest statement of each topic, never a history: a page that reads slowly skips
states and costs no memory, and a page that comes back is told everything once more. What is no
state but an occurrence (a notice, a caption) is kept in a short line, the oldest dropped first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum

Render = Callable[[], str]

# Notices and captions that wait for one page: more than a person reads before the page does.
OCCURRENCES_MAX = 32


class Topic(Enum):
    """The kinds of statement that replace each other, in the order they are told."""

    DAEMON = "daemon"
    YOU = "you"
    ROOM = "room"
    LOCKED = "locked"
    SPEAKERS = "speakers"
    QUALITY = "quality"
    INVITED = "invited"
    REJOIN = "rejoin"
    LEFT = "left"
    ENDED = "ended"


# After these a page is told nothing more.
FINAL = frozenset({Topic.LEFT, Topic.ENDED})


class Feed:
    """One reader at a time; everything is called from the event loop only."""

    def __init__(self) -> None:
        self.is_over = False  # a final statement was posted
        self._due: dict[Topic, Render] = {}
        self._occurrences: deque[str] = deque(maxlen=OCCURRENCES_MAX)
        self._news = asyncio.Event()

    def post(self, topic: Topic, render: Render) -> None:
        """Tell `topic` when the page next reads; replaces what was not told yet. JSON text comes
        from `render`, called as late as possible. Nothing follows a final statement."""
        if self.is_over:
            return
        if topic in FINAL:
            self._due.pop(Topic.REJOIN, None)
            self.is_over = True
        self._due[topic] = render
        self._news.set()

    def add(self, statement: str) -> None:
        """Tell an occurrence, JSON, after the states that are due."""
        if self.is_over:
            return
        self._occurrences.append(statement)
        self._news.set()

    def withdraw(self, topic: Topic) -> None:
        """Do not tell `topic` after all."""
        self._due.pop(topic, None)

    async def take(self) -> list[str]:
        """Wait for news and take all of it, states in the order of `Topic`."""
        while not self._due and not self._occurrences:
            self._news.clear()
            await self._news.wait()
        due, self._due = self._due, {}
        occurrences = list(self._occurrences)
        self._occurrences.clear()
        states = [due[topic]() for topic in Topic if topic in due]
        return [*states, *occurrences]
