"""One mix signal: everybody, or everybody but one echo group; its outputs share it."""

from __future__ import annotations

import numpy as np

from .limiter import Limiter
from .narrowing import FACTOR, Narrowing
from .opus import Pcm
from .orders import Frame
from .output import TICK_TICKS, Heard, Output

# 4 ms: all the delay that limiting adds.
LOOK_AHEAD_STEPS = 8

_QUIET: Pcm = np.zeros(TICK_TICKS, dtype=np.float32)
SILENCE = Heard(_QUIET, _QUIET[::FACTOR], 0.0, ())


class Bus:
    """`process` each tick; `outputs` by number."""

    def __init__(self, minus: int | None) -> None:
        self.minus = minus
        self.outputs: dict[int, Output] = {}
        self._limiter = Limiter(TICK_TICKS, LOOK_AHEAD_STEPS)
        self._narrowing = Narrowing(TICK_TICKS)
        self._rests = True  # nothing is left in limiter and filter

    def process(self, mixed: Pcm | None, csrcs: tuple[int, ...], at: float) -> list[Frame]:
        """Frames that this tick (None: silence) completes; `mixed` is overwritten."""
        heard = self._heard(mixed, csrcs)
        frames = [output.add(heard, at) for output in self.outputs.values()]
        return [frame for frame in frames if frame is not None]

    def skip(self) -> None:
        """Ticks were skipped."""
        for output in self.outputs.values():
            output.skip()

    def _heard(self, mixed: Pcm | None, csrcs: tuple[int, ...]) -> Heard:
        if mixed is None:
            if self._rests:
                return SILENCE
            mixed = np.zeros(TICK_TICKS, dtype=np.float32)
            self._rests = True  # one tick of silence is longer than both remember
        else:
            self._rests = False
        self._limiter.process(mixed)
        power = float(mixed @ mixed) / TICK_TICKS
        narrow = None
        if any(output.is_narrow for output in self.outputs.values()):
            narrow = self._narrowing.process(mixed)
        return Heard(mixed, narrow, power, csrcs)
