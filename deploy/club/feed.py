"""What one page has yet to be told.

A feed keeps the latest statement of each topic, never a history: a page that reads slowly skips
states and costs no memory, and a page that comes back is told everything once more. There are as
many topics as `Topic` has members, and that is the limit of a feed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum

Render = Callable[[], str]


class Topic(Enum):
    """The kinds of statement a page hears, in the order they are told."""

    DAEMON = "daemon"
    YOU = "you"
    ROOM = "room"
    SPEAKERS = "speakers"
    REJOIN = "rejoin"
    LEFT = "left"


class Feed:
    """One reader at a time; `post` is called from the event loop only."""

    def __init__(self) -> None:
        self._due: dict[Topic, Render] = {}
        self._news = asyncio.Event()

    def post(self, topic: Topic, render: Render) -> None:
        """Tell `topic` when the page next reads; replaces what was not told yet. JSON text comes
        from `render`, called as late as possible."""
        self._due[topic] = render
        self._news.set()

    def withdraw(self, topic: Topic) -> None:
        """Do not tell `topic` after all."""
        self._due.pop(topic, None)

    async def take(self) -> list[str]:
        """Wait for news and take all of it, in the order of `Topic`."""
        while not self._due:
            self._news.clear()
            await self._news.wait()
        due, self._due = self._due, {}
        return [due[topic]() for topic in Topic if topic in due]
