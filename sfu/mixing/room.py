"""One room: its voices, levelled and ducked, added up into as many mixes as are listened to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .bus import Bus
from .claims import level_db
from .ducking import Ducking
from .opus import Pcm
from .orders import Frame, Packet, StartOutput
from .output import SILENT_POWER, TICK_TICKS, TICKS_PER_S, Output
from .source import Source
from .sources import Sources
from .stats import Counts
from .tiers import FORMS

TICK_S = 1 / TICKS_PER_S
# Five tiers for all who only listen, and 20 mixes for those who are on stage.
OUTPUTS_MAX = 25
# What is quieter is not named as heard.
SILENT_DB = level_db(SILENT_POWER)


class Room:
    """`take` packets, `tick` every 20 ms."""

    def __init__(self, number: int, slots: int, counts: Counts) -> None:
        self._number = number
        self._counts = counts
        self.sources = Sources(slots, counts)
        self._ducking = Ducking()
        self._buses: dict[int | None, Bus] = {}
        self._bus_of: dict[int, Bus] = {}  # by output
        rows = self.sources.voices_max
        self._rows: Pcm = np.zeros((rows, TICK_TICKS), dtype=np.float32)
        self._mixed: Pcm = np.zeros(TICK_TICKS, dtype=np.float32)

    @property
    def encoders(self) -> int:
        """How many outputs there are."""
        return len(self._bus_of)

    def start(self, order: StartOutput) -> None:
        """One more output. `ValueError` for a number in use, an unknown tier or too many."""
        if order.output in self._bus_of:
            raise ValueError(f"output {order.output} runs already")
        if len(self._bus_of) >= OUTPUTS_MAX:
            raise ValueError(f"more than {OUTPUTS_MAX} outputs")
        if order.tier not in FORMS:
            raise ValueError(f"no mix of tier {order.tier}")
        output = Output(self._number, order.output, order.tier, order.minus)
        bus = self._buses.get(order.minus)
        if bus is None:
            bus = self._buses[order.minus] = Bus(order.minus)
        bus.outputs[order.output] = output
        self._bus_of[order.output] = bus

    def stop(self, output: int) -> None:
        """One output less. `ValueError` when there is none of this number."""
        bus = self._bus_of.pop(output, None)
        if bus is None:
            raise ValueError(f"no output {output}")
        del bus.outputs[output]
        if not bus.outputs:
            del self._buses[bus.minus]

    def take(self, slot: int, packets: Sequence[Packet]) -> None:
        """Packets of one slot."""
        self.sources.take(slot, packets)

    def skip(self) -> None:
        """Ticks were skipped."""
        for bus in self._buses.values():
            bus.skip()

    def tick(self, clock: int, at: float) -> list[Frame]:
        """Mix the tick that begins at `clock` (room ticks), which is `at` (seconds)."""
        playing = self._pull(clock)
        loudness = self._level(playing)
        ranks = sorted(range(len(playing)), key=loudness.__getitem__, reverse=True)
        frames: list[Frame] = []
        for bus in self._buses.values():
            heard = [i for i in ranks if _is_heard(playing[i], bus.minus)]
            csrcs = tuple(playing[i].csrc for i in heard if loudness[i] >= SILENT_DB)
            frames += bus.process(self._add(heard), csrcs, at)
        self._counts.encoded_frames += len(frames)
        return frames

    def _pull(self, clock: int) -> list[Source]:
        """Those who say something in this tick, in the order of their rows."""
        playing: list[Source] = []
        for source in list(self.sources.speaking.values()):
            assert source.voice is not None
            if source.voice.pull(clock, self._rows[len(playing)]):
                playing.append(source)
            else:
                self.sources.rest(source)
        return playing

    def _level(self, playing: list[Source]) -> list[float]:
        """Bring each row to its loudness in the mix; returns these, with the bonus, in dB."""
        rows = self._rows[: len(playing)]
        powers = np.einsum("ij,ij->i", rows, rows) / TICK_TICKS
        levels = [level_db(power) for power in powers.tolist()]
        for source, power, db in zip(playing, powers.tolist(), levels, strict=True):
            assert source.voice is not None
            source.levelling.observe(power, db, TICK_S)
            source.claims.observe(source.voice.claimed, power, TICK_S)
        urgent = any(source.is_priority and source.levelling.is_voiced for source in playing)
        duck_db = self._ducking.advance(is_voiced=urgent, seconds=TICK_S)
        loudness: list[float] = []
        for row, source, db in zip(rows, playing, levels, strict=True):
            gain_db = source.levelling.gain_db + (0.0 if source.is_priority else duck_db)
            source.amplify(row, math.pow(10, gain_db / 20))
            loudness.append(db + gain_db + source.bonus_db)
        return loudness

    def _add(self, heard: list[int]) -> Pcm | None:
        """The sum of these rows; None: of none."""
        if not heard:
            return None
        np.copyto(self._mixed, self._rows[heard[0]])
        for i in heard[1:]:
            self._mixed += self._rows[i]
        return self._mixed


def _is_heard(source: Source, minus: int | None) -> bool:
    return minus is None or (source.echo_group is not None and source.echo_group != minus)
