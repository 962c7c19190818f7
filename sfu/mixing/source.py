"""One source of a room: who it is, and what its sound is like. Its voice comes and goes."""

from __future__ import annotations

import numpy as np

from .claims import Claims
from .levelling import Levelling
from .limiter import CEILING
from .opus import Pcm
from .orders import SetSource
from .stats import Counts
from .voice import TICK_TICKS, Voice

# A voice that bangs while it is turned up is turned down within 1 ms, so that it does not push the
# others down.
GUARD_TICKS = 48

_RAMP: Pcm = (np.arange(1, TICK_TICKS + 1, dtype=np.float32) / TICK_TICKS).astype(np.float32)


class Source:
    """What is remembered of a source while its room is open."""

    __slots__ = (
        "_gain", "bonus_db", "claims", "csrc", "echo_group", "is_priority", "levelling",
        "number", "slot", "voice",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.csrc = 0
        self.echo_group: int | None = None  # None: not known, so it may be anybody's own voice
        self.bonus_db = 0.0
        self.is_priority = False
        self.claims = Claims()
        self.levelling = Levelling()
        self._gain = 1.0  # at the end of its last tick
        self.slot: int | None = None
        self.voice: Voice | None = None

    def describe(self, order: SetSource) -> None:
        """Take over who it is."""
        self.csrc = order.csrc
        self.echo_group = order.echo_group
        self.bonus_db = order.bonus_db
        self.is_priority = order.is_priority

    def speak(self, slot: int, counts: Counts) -> Voice:
        """The voice that packets of `slot` go to."""
        if self.voice is None:
            self.voice = Voice(counts)
        elif self.slot != slot:
            self.voice.move()
        self.slot = slot
        return self.voice

    def amplify(self, row: Pcm, gain: float) -> None:
        """Pass from the gain it had to `gain` over this tick, in place.

        One that is above 1 is never so high that the voice alone exceeds full scale.
        """
        before = self._gain
        if max(gain, before) > 1.0 and (peak := float(np.abs(row).max())) * gain > CEILING:
            self._hold_down(row, min(gain, max(1.0, CEILING / peak)))
        elif before != gain:
            row *= before + np.float32(gain - before) * _RAMP
            self._gain = gain
        elif gain != 1.0:
            row *= gain

    def _hold_down(self, row: Pcm, gain: float) -> None:
        row[:GUARD_TICKS] *= np.linspace(self._gain, gain, GUARD_TICKS, dtype=np.float32)
        row[GUARD_TICKS:] *= gain
        np.clip(row, -1, 1, out=row)
        self._gain = gain
