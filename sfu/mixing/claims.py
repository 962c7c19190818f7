"""Whether a publisher tells the truth about how loud it is.

A level in a header extension is what a client says, and it decides who gets a slot. What is
decoded cannot lie: where both differ by more than 10 dB for 2 s of sound, what was measured counts
until they have agreed for as long. Of what is quiet on both sides nothing is said: it makes no
difference. Of who claims nothing what is measured counts from the first packet on.
"""

from __future__ import annotations

import math

LIE_DB = 10.0
LIE_S = 2.0
# Up within two frames, down across the pause between syllables, as levels of packets are smoothed.
ATTACK_S, RELEASE_S = 0.04, 0.4
# Quieter than this nobody is voiced, so neither side is taken for quieter.
LEAST_DB = -60.0
_LEAST_POWER = 10 ** (LEAST_DB / 10)
LEVEL_MAX = 127
NO_CLAIM = -1


def level_db(power: float) -> float:
    """dBov of a mean square (full-scale square wave: 0), not below -127."""
    return max(-127.0, 10 * math.log10(power)) if power > 0 else -127.0


def level_of(power: float) -> int:
    """The same as a header extension says it: 0 loudest, 127 silence (RFC 6464)."""
    return round(-min(0.0, level_db(power)))


def _smoothed(before: float, power: float, seconds: float) -> float:
    time_s = ATTACK_S if power > before else RELEASE_S
    return before + min(1.0, seconds / time_s) * (power - before)


class Claims:
    """What one source says, beside what is heard of it."""

    __slots__ = ("_claimed", "_differing_s", "_heard", "is_lying")

    def __init__(self) -> None:
        self._claimed = self._heard = 0.0  # mean squares, smoothed
        self._differing_s = 0.0  # for how long it has not been as `is_lying` says
        self.is_lying = False

    @property
    def measured(self) -> int:
        """-dBov of what was heard lately."""
        return level_of(self._heard)

    def observe(self, claimed: int, power: float, seconds: float) -> None:
        """For `seconds` of this mean square the packets claimed so much (-dBov, NO_CLAIM)."""
        self._heard = _smoothed(self._heard, power, seconds)
        if claimed == NO_CLAIM:
            self.is_lying, self._differing_s = True, 0.0
            return
        self._claimed = _smoothed(self._claimed, 10 ** (-claimed / 10), seconds)
        if max(self._heard, self._claimed) <= _LEAST_POWER:
            return
        heard_db = level_db(max(self._heard, _LEAST_POWER))
        claimed_db = level_db(max(self._claimed, _LEAST_POWER))
        if (abs(heard_db - claimed_db) > LIE_DB) == self.is_lying:
            self._differing_s = 0.0
            return
        self._differing_s += seconds
        if self._differing_s >= LIE_S:
            self.is_lying = not self.is_lying
            self._differing_s = 0.0
