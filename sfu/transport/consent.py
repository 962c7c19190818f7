"""How long a participant may be silent: the answering side of consent freshness (RFC 7675).

The peer checks at its own interval, 2.5 s in Chromium and 4 to 6 s in most others. Whoever checks
every 6 s is not missing after 5, so the patience grows with the intervals seen lately.
"""

from __future__ import annotations

import math

# From the answer to a restart to the first check with it: the backend's way to the client and back
# through the new network, with a lost check or two.
RESTART_GRACE_S = 5.0
# RFC 7675 5.1: consent to send is over by then, whatever else is known of the client.
CONSENT_S_MAX = 30.0
# RFC 7675 5.1: consent checks come every 5 s, varied by 0.8 to 1.2.
INTERVAL_S_MAX = 6.0
# Of the longest interval seen lately: a check may be a little late.
_MARGIN = 1.25
# Each shorter interval after it takes this much off the longest.
_FADE = 0.8


class Consent:
    """When something authentic was last heard, and how long to wait for more."""

    __slots__ = ("_gone_after_s", "_interval_s", "_patience_s", "_restarted_at", "heard_at")

    def __init__(self, patience_s: float, gone_after_s: float, now: float) -> None:
        self._patience_s = patience_s
        self._gone_after_s = gone_after_s
        self._restarted_at = -math.inf
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

    def restart(self, now: float) -> None:
        """New credentials were given out: whoever was quiet gets RESTART_GRACE_S for a check."""
        self._restarted_at = now

    @property
    def gone_at(self) -> float:
        """When silence becomes final."""
        heard_at = self.heard_at
        gone_at = heard_at + self._gone_after_s
        if self._restarted_at < heard_at:
            return gone_at
        grace_ends_at = min(self._restarted_at + RESTART_GRACE_S, heard_at + CONSENT_S_MAX)
        return max(gone_at, grace_ends_at)

    @property
    def suspect_at(self) -> float:
        """When silence becomes suspicious."""
        usual_s = self._interval_s * _MARGIN
        return self.heard_at + (usual_s if usual_s > self._patience_s else self._patience_s)
