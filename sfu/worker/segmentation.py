"""When to send each listener's packets of a tick together: by load, and not back and forth.

A segmented send costs about half of what its packets cost alone, but a packet may wait up to 20 ms
for the others. So it is worth it when the processor is busy, and not before.
"""

from __future__ import annotations

from typing import Literal

SegmentationMode = Literal["auto", "on", "off"]

# Shares of a core. Switching on halves the load, so the way back starts below half of it.
ON_ABOVE = 0.6
OFF_BELOW = 0.2
# A switch is a change of delay that jitter buffers have to follow.
DWELL_S = 10.0
# A rush of joins passes sooner, and is not about media.
SUSTAINED_S = 3.0


class Segmentation:
    """Whether it is on; `observe` may change it in mode `auto`."""

    def __init__(self, mode: SegmentationMode) -> None:
        self._mode = mode
        self._changed_at = -DWELL_S
        self._wanted_since: float | None = None
        self.is_on = mode == "on"

    def observe(self, load: float, now: float) -> bool:
        """`load` is the share of a core used lately, 0 to 1; True when `is_on` has changed."""
        if self._mode != "auto":
            return False
        if (load > (OFF_BELOW if self.is_on else ON_ABOVE)) == self.is_on:
            self._wanted_since = None
            return False
        if self._wanted_since is None:
            self._wanted_since = now
        if now - self._wanted_since < SUSTAINED_S or now - self._changed_at < DWELL_S:
            return False
        self.is_on = not self.is_on
        self._changed_at = now
        self._wanted_since = None
        return True
