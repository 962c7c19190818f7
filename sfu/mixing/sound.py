"""Sound that is decoded and not yet played: a queue of samples in one piece of memory."""

from __future__ import annotations

import numpy as np

from .opus import PACKET_TICKS_MAX, Pcm

# The longest packet on top of what may be there when it is decoded: another one, and what
# stretching wants to see.
CAPACITY_TICKS = 3 * PACKET_TICKS_MAX


class Sound:
    """Samples in the order of their time."""

    __slots__ = ("_begin", "_end", "_memory")

    def __init__(self) -> None:
        self._memory: Pcm = np.zeros(CAPACITY_TICKS, dtype=np.float32)
        self._begin = 0
        self._end = 0

    @property
    def ticks(self) -> int:
        """How much there is."""
        return self._end - self._begin

    @property
    def view(self) -> Pcm:
        """All of it; good until the next call."""
        return self._memory[self._begin : self._end]

    def append(self, pcm: Pcm) -> None:
        """Put some at the end."""
        self._place(len(pcm))[:] = pcm

    def append_silence(self, ticks: int) -> None:
        """Put silence at the end."""
        self._place(ticks)[:] = 0

    def replace(self, pcm: Pcm) -> None:
        """Have this instead. It must not be a part of `view`."""
        self.clear()
        self.append(pcm)

    def clear(self) -> None:
        """Forget all."""
        self._begin = self._end = 0

    def take(self, row: Pcm) -> None:
        """Move the beginning into `row`; what is missing is silence."""
        ticks = min(len(row), self.ticks)
        row[:ticks] = self._memory[self._begin : self._begin + ticks]
        row[ticks:] = 0
        self._begin += ticks

    def _place(self, ticks: int) -> Pcm:
        if self._end + ticks > CAPACITY_TICKS:
            left = self.view.copy()
            self._begin, self._end = 0, len(left)
            assert self._end + ticks <= CAPACITY_TICKS
            self._memory[: self._end] = left
        place = self._memory[self._end : self._end + ticks]
        self._end += ticks
        return place
