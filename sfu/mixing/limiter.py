"""No sample beyond full scale, and no distortion where that is avoidable: a look-ahead limiter.

Sound is delayed by the look-ahead and looked at in steps of 0.5 ms. Each step's peak says which
gain it needs; the gain is lowered in a straight line over the look-ahead, so that it is there when
the peak comes, stays for 5 ms, so that it does not follow single periods, and recovers with a time
constant of 20 ms. So a single click makes the others quieter for a blink. What is below full scale
passes bit for bit.
"""

from __future__ import annotations

import numpy as np

from .opus import Pcm

# A hair below full scale: what decodes from it overshoots a little all the same.
CEILING = 0.98
STEP_TICKS = 24
HOLD_STEPS = 10
RELEASE_S = 0.020
# So near to 1 that the last bit of the way is no step (-86 dB).
RESTING_FROM = 0.99995
# Share of what is missing to 1 that comes back within one step of 0.5 ms.
_RECOVERED = 1 - float(np.exp(-0.0005 / RELEASE_S))
_RAMP: Pcm = (np.arange(1, STEP_TICKS + 1, dtype=np.float32) / STEP_TICKS).astype(np.float32)


class Limiter:
    """One signal in blocks of `ticks`; what comes out is `look_ahead_ticks` late."""

    def __init__(self, ticks: int, look_ahead_steps: int) -> None:
        """At least one step of look-ahead."""
        assert ticks % STEP_TICKS == 0 and look_ahead_steps >= 1
        self.look_ahead_ticks = look_ahead_steps * STEP_TICKS
        self._ahead = look_ahead_steps
        self._line: Pcm = np.zeros(self.look_ahead_ticks, dtype=np.float32)
        # What the steps need that were seen lately and still have a say.
        self._needed: Pcm = np.ones(HOLD_STEPS + look_ahead_steps, dtype=np.float32)
        self._gain = 1.0
        self._rests = True

    def process(self, block: Pcm) -> None:
        """Limit `block` in place."""
        is_loud = float(block.max()) > CEILING or float(block.min()) < -CEILING
        seen = block.copy()
        ahead = self.look_ahead_ticks
        block[:ahead] = self._line
        block[ahead:] = seen[:-ahead]
        self._line[:] = seen[-ahead:]
        if is_loud or not self._rests:
            self._limit(seen, block)

    def _limit(self, seen: Pcm, leaving: Pcm) -> None:
        peaks = np.abs(seen).reshape(-1, STEP_TICKS).max(axis=1)
        known = np.concatenate((self._needed, CEILING / np.maximum(peaks, CEILING)))
        self._needed = known[len(peaks) :].astype(np.float32)
        gains = self._follow(known)
        steps = leaving.reshape(-1, STEP_TICKS)
        steps *= gains[:-1, None] + (gains[1:] - gains[:-1])[:, None] * _RAMP
        np.clip(leaving, -1, 1, out=leaving)
        self._gain = float(gains[-1])
        self._rests = self._gain >= RESTING_FROM and bool((self._needed == 1).all())
        if self._rests:
            self._gain = 1.0

    def _follow(self, known: Pcm) -> Pcm:
        """The gain at the end of each step that leaves now, preceded by the one before them.

        While a step leaves, all that came up to the look-ahead after it is known, and what left
        within the hold before it still counts.
        """
        windows = np.lib.stride_tricks.sliding_window_view(known, HOLD_STEPS + self._ahead + 1)
        gain = self._gain
        gains = [gain]
        for needed in windows.min(axis=1).tolist():
            if needed < gain:
                gain = max(needed, gain - (1 - needed) / self._ahead)
            else:
                gain = min(needed, gain + _RECOVERED * (1 - gain))
            gains.append(gain)
        return np.array(gains, dtype=np.float32)
