"""How long a participant may be silent: the answering side of consent freshness (RFC 7675).

The peer checks at its own interval, 2.5 s in Chromium and 4 to 6 s in most others. Whoever checks
every 6 s is not missing after 5, so the patience grows with the intervals seen lately.
"""

from __future__ import annotations

# RFC 7675 5.1: consent checks come every 5 s, varied by 0.8 to 1.2.
INTERVAL_S_MAX = 6.0
# Of the longest interval seen lately: a check may be a little late.
_MARGIN = 1.25
# Each shorter interval after it takes this much off the longest.
_FADE = 0.8


class Consent:
    """When something authentic was last heard, and how long to wait for more."""

    __slots__ = ("_interval_s", "_patience_s", "heard_at")

    def __init__(self, patience_s: float, now: float) -> None:
        self._patience_s = patience_s
        self._interval_s = 0.0
        self.heard_at = now

    def heard(self, now: float) -> None:
        """Something authentic arrived."""
        # Compared by hand, here and below: this comes thousands of times a second.
        interval_s = now - self.heard_at
        if interval_s < 0.0:
            return
        if interval_s > INTERVAL_S_MAX:
            interval_s = INTERVAL_S_MAX
        faded_s = self._interval_s * _FADE
        self._interval_s = interval_s if interval_s > faded_s else faded_s
        self.heard_at = now

    @property
    def suspect_at(self) -> float:
        """When silence becomes suspicious."""
        usual_s = self._interval_s * _MARGIN
        return self.heard_at + (usual_s if usual_s > self._patience_s else self._patience_s)
