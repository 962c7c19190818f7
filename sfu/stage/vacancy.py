"""How long a room has been empty, and when that ends it."""

from __future__ import annotations

# A room with an empty timeout of 0 closes when its last participant leaves, but a new one must not
# close before its first can come.
FIRST_JOIN_GRACE_S = 60.0


class Vacancy:
    """Starts empty at `now`."""

    def __init__(self, now: float) -> None:
        self._since: float | None = now
        self._had_anybody = False

    def fill(self) -> None:
        """Somebody is in the room."""
        self._since = None
        self._had_anybody = True

    def begin(self, now: float) -> None:
        """The last participant left."""
        self._since = now

    def ends_at(self, timeout_s: float) -> float | None:
        """When the room expires if nobody comes, None while somebody is there."""
        if self._since is None:
            return None
        if timeout_s == 0 and not self._had_anybody:
            timeout_s = FIRST_JOIN_GRACE_S
        return self._since + timeout_s
