"""Whose turn it is to be told the past.

A backend may come back with all its connections at once, and each wants to be told what it missed.
One of them gets one slice in each turn of the loop, so that the loop, which may also carry media,
is never held for longer than a slice takes, and live events and answers go on in between.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Replayer(Protocol):
    """A connection that may be behind."""

    def replay(self) -> bool:
        """Send one slice. True: it would take another one at once."""


class Replays:
    """Those who would take a slice now, in order of their turns."""

    def __init__(self) -> None:
        self._waiting: dict[Replayer, None] = {}
        self._turn: asyncio.Handle | None = None

    def add(self, one: Replayer) -> None:
        """It would take a slice; adding it twice changes nothing."""
        self._waiting[one] = None
        self._call_soon()

    def discard(self, one: Replayer) -> None:
        """It is gone; unknown ones are fine."""
        self._waiting.pop(one, None)
        if not self._waiting and self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _call_soon(self) -> None:
        if self._waiting and self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        one = next(iter(self._waiting))
        del self._waiting[one]
        if one.replay():
            self._waiting[one] = None
        self._call_soon()
