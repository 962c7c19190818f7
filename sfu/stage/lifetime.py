"""When a room ends by itself: empty for long, or for long without anybody who may change it.

A room is controlled while a connection is there that may change it. A backend that is restarted
comes back within seconds and finds its rooms; one that never does must not leave people in rooms
that nobody moderates, if the room's `orphan_policy` says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .settings import RoomSettings

REASON_EMPTY = "empty"
REASON_ORPHANED = "orphaned"

# A room with an empty timeout of 0 closes when its last participant leaves, but a new one must not
# close before its first can come.
FIRST_JOIN_GRACE_S = 60.0


class Ending(NamedTuple):
    """When a room ends unless something changes, and the reason it will give."""

    at: float
    reason: str


class Lifetime:
    """Of one room, which begins at `now` with nobody in it and nobody who controls it."""

    __slots__ = ("_empty_since", "_had_anybody", "_orphan_since")

    def __init__(self, now: float) -> None:
        self._empty_since: float | None = now
        self._orphan_since: float | None = now
        self._had_anybody = False

    def fill(self) -> None:
        """Somebody is in the room."""
        self._empty_since = None
        self._had_anybody = True

    def empty(self, now: float) -> None:
        """The last participant left."""
        self._empty_since = now

    def set_controlled(self, controlled: bool, now: float) -> None:
        """Whether anybody is connected who may change the room."""
        if controlled:
            self._orphan_since = None
        elif self._orphan_since is None:
            self._orphan_since = now

    def ending(self, settings: RoomSettings) -> Ending | None:
        """The earlier of the two ends, None when neither is in sight."""
        ending = None
        if self._empty_since is not None:
            ending = Ending(self._empty_since + self._empty_timeout_s(settings), REASON_EMPTY)
        if self._orphan_since is not None and settings.orphan_policy == "close":
            orphaned_at = self._orphan_since + settings.orphan_timeout_s
            if ending is None or orphaned_at < ending.at:
                ending = Ending(orphaned_at, REASON_ORPHANED)
        return ending

    def _empty_timeout_s(self, settings: RoomSettings) -> float:
        timeout_s = settings.empty_timeout_s
        return FIRST_JOIN_GRACE_S if timeout_s == 0 and not self._had_anybody else timeout_s
