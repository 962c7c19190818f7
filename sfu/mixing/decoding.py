"""A source's packets into sound, whatever is missing of them.

A missing frame is decoded from the copy in the packet after it, if there is one (in-band FEC),
and is concealed otherwise. Concealment repeats what was, so after 60 ms it is made up; it fades
then and is spent 20 ms later.

A payload may be such that libopus decodes it to millions of times full scale. It is clipped here,
before anybody measures it or adds it to others, whom the limiter would turn down as far.
"""

from __future__ import annotations

import numpy as np

from .opus import Decoder, OpusError, Pcm, has_fec, packet_ticks
from .stats import Counts

CONCEALED_TICKS_MAX = 2_880  # 60 ms
FADE_TICKS = 960
# What is left of a voice that ends: short enough to say nothing new.
TAIL_TICKS = 480
# Comfort noise, of which DTX sends a frame every 400 ms, is not longer, and speech is not so short.
# Played, these frames would be heard as breaths of noise.
COMFORT_BYTES_MAX = 10
COMFORT_TICKS_MIN = 960  # shorter frames of speech may be as small

_ENDING: Pcm = np.linspace(1, 0, TAIL_TICKS, dtype=np.float32)


def is_comfort(payload: bytes) -> bool:
    """Whether the talker only says that it is silent."""
    return len(payload) <= COMFORT_BYTES_MAX and packet_ticks(payload) >= COMFORT_TICKS_MIN


class Decoding:
    """One decoder and how long it has been making things up."""

    __slots__ = ("_counts", "_decoder", "_run_ticks")

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._decoder = Decoder()
        self._run_ticks = 0

    @property
    def is_spent(self) -> bool:
        """Concealment has faded to nothing."""
        return self._run_ticks >= CONCEALED_TICKS_MAX + FADE_TICKS

    def packet(self, payload: bytes) -> Pcm | None:
        """What a packet says; None, and counted, when it is no Opus."""
        try:
            sound = _bounded(self._decoder.decode(payload))
        except OpusError:
            self._counts.bad_packets += 1
            return None
        self._counts.decoded_ticks += len(sound)
        self._run_ticks = 0
        return sound

    def missing(self, ticks: int, following: bytes | None = None) -> Pcm:
        """What a frame of `ticks` (a multiple of 2.5 ms) might have said.

        `following` is the packet right after it, if that came.
        """
        if following is not None and has_fec(following):
            try:
                sound = _bounded(self._decoder.decode_fec(following, ticks))
            except OpusError:
                return self._conceal(ticks)  # the packet itself will be counted when it is due
            self._counts.recovered_ticks += ticks
            self._run_ticks = 0
            return sound
        return self._conceal(ticks)

    def tail(self) -> Pcm:
        """10 ms in which the voice fades, because nothing follows."""
        return _bounded(self._decoder.conceal(TAIL_TICKS)) * _ENDING

    def _conceal(self, ticks: int) -> Pcm:
        self._counts.concealed_ticks += ticks
        sound = _bounded(self._decoder.conceal(ticks))
        begin = self._run_ticks
        self._run_ticks += ticks
        if self._run_ticks > CONCEALED_TICKS_MAX:
            over = np.arange(begin - CONCEALED_TICKS_MAX, self._run_ticks - CONCEALED_TICKS_MAX)
            sound *= (1 - over / FADE_TICKS).clip(0, 1).astype(np.float32)
        return sound


def _bounded(sound: Pcm) -> Pcm:
    """`sound`, in place, within full scale; what is no number is silence."""
    # Both are false of no number. Speech is asked twice and written never.
    if not (sound.max() <= 1.0 and sound.min() >= -1.0):
        np.nan_to_num(sound, copy=False, nan=0.0)
        sound.clip(-1.0, 1.0, out=sound)
    return sound
