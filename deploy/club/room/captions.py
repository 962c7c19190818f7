"""Where a recogniser of speech would come in.

The club has none. One that listens as a participant of the daemon's rooms, or that reads what the
speakers' browsers recognise, is given to `LiveRooms(captions=...)`: it is told who begins and stops
to speak, and publishes texts, which all pages of the room are told at once and nobody keeps.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

# A caption is a line or two; what is longer is cut.
CAPTION_CHARS_MAX = 400


class Publish(Protocol):
    """Tell the pages of a room what somebody says; `is_final` when it will not be corrected."""

    def __call__(self, room_id: str, member_id: str, text: str, *, is_final: bool) -> None: ...


class Recogniser(Protocol):
    """Turns speech into text, somewhere else. Its methods are called from the event loop and must
    not wait.
    """

    def begin(self, publish: Publish) -> None:
        """Called once, before anything else."""

    def started(self, room_id: str, member_id: str) -> None:
        """Somebody begins to speak."""

    def stopped(self, room_id: str, member_id: str) -> None:
        """Somebody stops, or has gone."""


class Captions:
    """Tells a recogniser what changes, if there is one."""

    def __init__(self, recogniser: Recogniser | None, publish: Publish) -> None:
        self._recogniser = recogniser
        self._speaking: dict[str, frozenset[str]] = {}
        if recogniser is not None:
            recogniser.begin(publish)

    def hear(self, room_id: str, speaking: Collection[str]) -> None:
        """From now on these speak, and nobody else."""
        if self._recogniser is None:
            return
        before = self._speaking.pop(room_id, frozenset())
        if speaking:
            self._speaking[room_id] = frozenset(speaking)
        for member_id in sorted(before - set(speaking)):
            self._recogniser.stopped(room_id, member_id)
        for member_id in sorted(set(speaking) - before):
            self._recogniser.started(room_id, member_id)

    def rooms(self) -> list[str]:
        """Rooms in which somebody speaks."""
        return list(self._speaking)
