"""48 kHz to 16 kHz: for tiers whose bitrate carries no more than 8 kHz anyway, which are cheaper to
encode so, and sound better than with their bits spread over the full band.

A windowed sinc, computed only where a sample is kept. Flat to 6.8 kHz, -60 dB from 8.6 kHz on.
"""

from __future__ import annotations

import numpy as np

from .opus import Pcm

FACTOR = 3
NARROW_HZ = 16_000
TAPS = 96
_CUTOFF_HZ, _BETA = 7_700, 6.0


def _design() -> Pcm:
    middle = (np.arange(TAPS) - (TAPS - 1) / 2) * 2 * _CUTOFF_HZ / (FACTOR * NARROW_HZ)
    taps = np.sinc(middle) * np.kaiser(TAPS, _BETA)
    return np.ascontiguousarray(taps / taps.sum(), dtype=np.float32)


_FILTER = _design()


class Narrowing:
    """One signal in blocks of `ticks` at 48 kHz."""

    def __init__(self, ticks: int) -> None:
        assert ticks % FACTOR == 0
        self._line: Pcm = np.zeros(TAPS - FACTOR + ticks, dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(self._line, TAPS)
        self._windows = windows[::FACTOR]
        self._ticks = ticks

    def process(self, block: Pcm) -> Pcm:
        """The same at 16 kHz, 1 ms later."""
        kept = len(self._line) - self._ticks
        self._line[:kept] = self._line[self._ticks :]
        self._line[kept:] = block
        narrow: Pcm = self._windows @ _FILTER
        return narrow
