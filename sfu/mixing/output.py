"""One encoder and what it sends: frames while somebody is heard, next to nothing otherwise.

A mix that has been silent for 200 ms is not encoded any more: what was sent of the silence has
emptied the listeners' decoders. For 2 s after that a frame of silence every 400 ms tells that the
stream lives, then nothing does. With the first sound a frame begins at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .claims import level_of
from .opus import RATE_HZ, Pcm
from .orders import Frame
from .tiers import FORMS

TICK_TICKS = 960
TICKS_PER_S = RATE_HZ // TICK_TICKS
SILENT_POWER = 10 ** (-65 / 10)  # -65 dBov: below the noise of any microphone that is open
HUSH_TICKS = 10  # 200 ms, as Opus waits before DTX
REFRESH_TICKS = 20  # 400 ms
FAREWELL_TICKS = HUSH_TICKS + 2 * TICKS_PER_S
# 20 ms of silence: CELT, full band, mono, one frame that says so.
SILENCE = b"\xf8\xff\xfe"
SILENCE_LEVEL = 127
CSRCS_MAX = 3


class Heard(NamedTuple):
    """One tick of a mix."""

    wide: Pcm  # 48 kHz
    narrow: Pcm | None  # 16 kHz, if any output wants it
    power: float
    csrcs: tuple[int, ...]  # the loudest first


class Output:
    """One stream of frames. `add` each tick, `skip` those that were skipped."""

    def __init__(self, room: int, number: int, tier: str, minus: int | None) -> None:
        """`tier` is one of `tiers.FORMS`."""
        form = FORMS[tier]
        self.minus = minus
        self.is_narrow = form.is_narrow
        self._room, self._number = room, number
        self._encoder = form.encoder()
        self._pcm: Pcm = np.zeros(self._encoder.samples, dtype=np.float32)
        self._address = self._pcm.ctypes.data
        self._ticks_per_frame = form.frame_ms * RATE_HZ // 1_000 // TICK_TICKS
        self._gathered = 0  # ticks of the frame that is being filled
        self._energy = 0.0
        self._prominence: dict[int, int] = {}  # by CSRC: how much was heard of whom
        # A stream that starts in silence says so at once: its listeners wait for a first frame.
        self._silent_ticks = HUSH_TICKS

    def add(self, heard: Heard, at: float) -> Frame | None:
        """A tick of the mix that begins at `at`; the frame that it completes."""
        if heard.power >= SILENT_POWER:
            if self._silent_ticks >= HUSH_TICKS and not self._gathered:
                self._encoder.reset()
            self._silent_ticks = 0
        else:
            self._silent_ticks += 1
        if self._silent_ticks > HUSH_TICKS and not self._gathered:
            return self._hush(at)
        self._gather(heard)
        return self._encode(at) if self._gathered == self._ticks_per_frame else None

    def skip(self) -> None:
        """Ticks were skipped: what was gathered joins nothing."""
        self._forget()

    def _gather(self, heard: Heard) -> None:
        sound = heard.narrow if self.is_narrow else heard.wide
        assert sound is not None
        begin = self._gathered * len(sound)
        self._pcm[begin : begin + len(sound)] = sound
        self._gathered += 1
        self._energy += heard.power
        for rank, csrc in enumerate(heard.csrcs[:CSRCS_MAX]):
            self._prominence[csrc] = self._prominence.get(csrc, 0) + CSRCS_MAX - rank

    def _encode(self, at: float) -> Frame:
        ticks = self._gathered
        begins = at - (ticks - 1) / TICKS_PER_S
        level = level_of(self._energy / ticks)
        csrcs = sorted(self._prominence, key=self._prominence.__getitem__, reverse=True)
        payload = self._encoder.encode_at(self._address)
        self._forget()
        heard = tuple(csrcs[:CSRCS_MAX])
        return Frame(self._room, self._number, payload, begins, ticks * TICK_TICKS, level, heard)

    def _hush(self, at: float) -> Frame | None:
        past = self._silent_ticks - HUSH_TICKS - 1
        if self._silent_ticks > FAREWELL_TICKS:
            self._silent_ticks = FAREWELL_TICKS + 1  # need not grow for ever
            return None
        if past % REFRESH_TICKS:
            return None
        return Frame(self._room, self._number, SILENCE, at, TICK_TICKS, SILENCE_LEVEL, ())

    def _forget(self) -> None:
        self._gathered = 0
        self._energy = 0.0
        self._prominence.clear()
