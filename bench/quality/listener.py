"""A listener: jitter buffer of fixed length, requests for what is missing, decoding."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bench.quality.opus import Decoder, Pcm, has_fec
from bench.quality.room import FIRST_SEQUENCE, Packet

STEP_S = 0.02
# Beyond the round trip, before it is asked again: what is under way may be jittered.
ASK_MARGIN_S = 0.006


@dataclass
class Fate:
    """How each frame came to be heard, by its index."""

    concealed: set[int] = field(default_factory=set)
    by_fec: set[int] = field(default_factory=set)


class Listener:
    """`begins`: when the first packet comes if nothing delays it; frames play `buffer_s` later."""

    def __init__(self, begins: float, buffer_s: float, round_trip_s: float, *, asks: bool) -> None:
        self._begins = begins
        self._buffer_s = buffer_s
        self._round_trip_s = round_trip_s
        self._asks = asks
        self.patience_s = round_trip_s + ASK_MARGIN_S  # before the same is asked for again
        self._frames: dict[int, bytes] = {}
        self._missing: dict[int, float] = {}  # by when it may be asked for
        self._newest = -1
        self._decoder = Decoder()
        self._sound: list[Pcm] = []
        self.fate = Fate()

    @property
    def sound(self) -> Pcm:
        """Everything heard, at 16 kHz."""
        return np.concatenate(self._sound)

    def has(self, frame: int) -> bool:
        """Whether it came, in time or not."""
        return frame in self._frames

    def plays_at(self, frame: int) -> float:
        """When the frame is due at the loudspeaker."""
        return self._begins + self._buffer_s + frame * STEP_S

    def take(self, packet: Packet) -> None:
        """A packet came; frames of a continuous voice are numbered like its packets."""
        newest = packet.sequence - FIRST_SEQUENCE
        for ago, opus in (*packet.copies, (0, packet.opus)):
            self._frames.setdefault(newest - ago, opus)
            self._missing.pop(newest - ago, None)
        gap = range(self._newest + 1, newest)
        self._missing |= {frame: 0.0 for frame in gap if frame not in self._frames}
        self._newest = max(self._newest, newest)

    def wanted(self, now: float) -> list[int]:
        """Sequence numbers to ask for now: not asked within a round trip, and in time to be heard
        if the answer comes after one.
        """
        if not self._asks:
            return []
        answer_at = now + self._round_trip_s
        self._missing = {
            frame: again_at
            for frame, again_at in self._missing.items()
            if answer_at <= self.plays_at(frame)
        }
        due = [frame for frame, again_at in self._missing.items() if now >= again_at]
        for frame in due:
            self._missing[frame] = now + self.patience_s
        return [FIRST_SEQUENCE + frame for frame in due]

    def play(self) -> None:
        """The next 20 ms for the loudspeaker."""
        frame = len(self._sound)
        opus, following = self._frames.get(frame), self._frames.get(frame + 1)
        if opus is not None:
            sound = self._decoder.decode(opus)
        elif following is not None and has_fec(following):
            sound = self._decoder.recover(following)
            self.fate.by_fec.add(frame)
        else:
            sound = self._decoder.conceal()
            self.fate.concealed.add(frame)
        self._sound.append(sound)
