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


class Segmentation:
    """Whether it is on; `observe` may change it in mode `auto`."""

    def __init__(self, mode: SegmentationMode) -> None:
        self._mode = mode
        self._changed_at = -DWELL_S
        self.is_on = mode == "on"

    def observe(self, load: float, now: float) -> bool:
        """`load` is the share of a core used lately, 0 to 1; True when `is_on` has changed."""
        if self._mode != "auto" or now - self._changed_at < DWELL_S:
            return False
        wanted = load > (OFF_BELOW if self.is_on else ON_ABOVE)
        if wanted == self.is_on:
            return False
        self.is_on = wanted
        self._changed_at = now
        return True
