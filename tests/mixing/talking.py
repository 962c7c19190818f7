"""What tests of the mixer share: talkers with real encoders, a mixer on virtual time, listeners
with real decoders.
"""

from __future__ import annotations

import ctypes
import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from sfu.mixing import Frame, Mixer, OpenRoom, Packet, SetSource, StartOutput
from sfu.mixing.claims import level_of
from sfu.mixing.opus import RATE_HZ, Decoder, Encoder, Pcm, library

TICK_S = 0.02
BEGIN_S = 1_000.0
ROOM = 7

Sound = Callable[[int, int], Pcm]  # from sample, count

# Well-formed Opus, 20 ms of CELT. Said four times it decodes to ten million times full scale.
LOUD = bytes.fromhex(
    "f861fbc65139e821890d54574b27a0cf1af98407b5704d5797741c10f33c"
    "85dc64f5b19622c117c6535c27055c08641a007f00557ffd15281bfff7fc99"
)


def sine(hertz: float, peak: float) -> Sound:
    """A tone."""

    def sound(begin: int, count: int) -> Pcm:
        times = np.arange(begin, begin + count) / RATE_HZ
        return (peak * np.sin(2 * np.pi * hertz * times)).astype(np.float32)

    return sound


def speech(dbov: float, hertz: float = 140.0) -> Sound:
    """Syllables of a buzz: four a second, a pause of 0.6 s every 3 s; `dbov` while it speaks."""

    def sound(begin: int, count: int) -> Pcm:
        times = np.arange(begin, begin + count) / RATE_HZ
        buzz = sum(np.sin(2 * np.pi * hertz * k * times + k) / k for k in range(1, 12))
        syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * times)
        phrase = (times % 3.0) < 2.4
        shaped = np.asarray(buzz) * syllables * phrase
        return (shaped * 10 ** (dbov / 20) / 0.80).astype(np.float32)

    return sound


def level_dbov(sound: Pcm) -> float:
    """The level of a piece of sound."""
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-15))


def magnitude_db(sound: Pcm, hertz: float) -> float:
    """How much of one frequency there is: 0 for a sine that peaks at full scale."""
    times = np.arange(len(sound)) / RATE_HZ
    window = np.hanning(len(sound))
    picked = np.sum(sound * window * np.exp(-2j * np.pi * hertz * times))
    return float(20 * np.log10(2 * abs(picked) / window.sum() + 1e-12))


@dataclass
class Talker:
    """A source that says `sound` in frames of `frame_ms`."""

    source: int
    sound: Sound
    slot: int = 0
    frame_ms: int = 20
    claimed_level: int | None = None
    offset_ticks: int = 0  # of the slot's timeline against the clock
    bitrate_bps: int = 48_000
    expected_loss_percent: int = 0

    def __post_init__(self) -> None:
        self._encoder = Encoder(
            bitrate_bps=self.bitrate_bps,
            frame_ms=self.frame_ms,
            complexity=3,
            expected_loss_percent=self.expected_loss_percent,
        )
        self.ticks = self.frame_ms * 48

    def packets(self, begin_s: float, end_s: float, index: int = 0) -> Iterator[Packet]:
        """Each with the time at which its last sample was spoken as `at`."""
        for number in range(round((end_s - begin_s) * 1_000 / self.frame_ms)):
            spoken = self.sound(number * self.ticks, self.ticks)
            begins = begin_s + number * self.frame_ms / 1_000
            level = level_of(float(np.mean(spoken * spoken)))
            yield Packet(
                source=self.source,
                csrc=self.source + 100,
                index=index + number,
                time_ticks=round(begins * RATE_HZ) + self.offset_ticks,
                ticks=self.ticks,
                level=level if self.claimed_level is None else self.claimed_level,
                marker=number == 0,
                payload=self._encoder.encode(spoken),
                at=begins + self.frame_ms / 1_000,
            )


def stereo(
    talker: Talker, left: Sound, right: Sound, begin_s: float, seconds: float
) -> list[Packet]:
    """The talker's packets in two channels."""
    opus, error = library(), ctypes.c_int()
    state = ctypes.c_void_p(opus.opus_encoder_create(RATE_HZ, 2, 2_049, ctypes.byref(error)))
    packets: list[Packet] = []
    for packet in talker.packets(begin_s, begin_s + seconds):
        begin = len(packets) * talker.ticks
        both = np.stack((left(begin, talker.ticks), right(begin, talker.ticks)), axis=1)
        wire = ctypes.create_string_buffer(1_500)
        sound = np.ascontiguousarray(both)
        size = opus.opus_encode_float(state, sound.ctypes.data, talker.ticks, wire, 1_500)
        packets.append(replace(packet, payload=wire.raw[:size]))
    opus.opus_encoder_destroy(state)
    return packets


@dataclass
class Listener:
    """What one output says."""

    frames: list[Frame] = field(default_factory=list)
    emitted: list[float] = field(default_factory=list)  # when each came

    def hear(self) -> Pcm:
        """All of it; where nothing was sent is silence."""
        decoder = Decoder()
        first = self.frames[0].at
        last = self.frames[-1]
        sound = np.zeros(round((last.at - first) * RATE_HZ) + last.ticks, dtype=np.float32)
        for frame in self.frames:
            begin = round((frame.at - first) * RATE_HZ)
            sound[begin : begin + frame.ticks] = decoder.decode(frame.payload)
        return sound


class Stage:
    """A mixer with one room on virtual time."""

    def __init__(self, slots: int = 3, begin_s: float = BEGIN_S) -> None:
        self.mixer = Mixer(begin_s)
        self.mixer.apply(OpenRoom(ROOM, slots))
        self.listeners: dict[int, Listener] = {}
        self.now = begin_s
        self._coming: list[tuple[float, int, int, Packet]] = []
        self._order = itertools.count()

    def listen(self, output: int = 0, tier: str = "B1", minus: int | None = None) -> Listener:
        """Start an output."""
        self.mixer.apply(StartOutput(ROOM, output, tier, minus))
        return self.listeners.setdefault(output, Listener())

    def know(self, source: int, group: int | None = None, *, is_priority: bool = False) -> None:
        """Tell the mixer who a source is."""
        group = source if group is None else group
        self.mixer.apply(SetSource(ROOM, source, source + 100, group, 0.0, is_priority))

    def send(self, slot: int, packets: Iterable[Packet]) -> None:
        """Let packets come at their `at`."""
        for packet in packets:
            heapq.heappush(self._coming, (packet.at, next(self._order), slot, packet))

    def talk(self, talker: Talker, seconds: float, begin_s: float = 0.0) -> None:
        """From `begin_s` after now on."""
        begin = self.now + begin_s
        self.send(talker.slot, talker.packets(begin, begin + seconds))

    def run(self, seconds: float, each_tick: Callable[[float], None] | None = None) -> None:
        """Let time pass."""
        end = self.now + seconds
        while (deadline := self.mixer.next_deadline()) <= end + 1e-9:
            self._deliver(deadline)
            self.now = deadline
            for frame in self.mixer.tick(deadline):
                listener = self.listeners[frame.output]
                listener.frames.append(frame)
                listener.emitted.append(deadline)
            if each_tick is not None:
                each_tick(deadline)
        self.now = end

    def _deliver(self, now: float) -> None:
        while self._coming and self._coming[0][0] <= now:
            _, _, slot, packet = heapq.heappop(self._coming)
            self.mixer.take(ROOM, slot, [packet])


TONE = sine(440, 0.1)
# The steepest step between two samples of TONE.
STEP = 0.1 * 2 * np.pi * 440 / RATE_HZ

Change = Callable[[list[Packet]], Iterable[Packet]]


def hear(change: Change, talker: Talker | None = None, seconds: float = 4.0) -> tuple[Stage, Pcm]:
    """What a listener hears of one talker (of TONE) whose packets were changed on their way."""
    stage = Stage()
    listener = stage.listen()
    talker = talker or Talker(1, TONE)
    stage.know(talker.source)
    stage.send(talker.slot, change(list(talker.packets(stage.now, stage.now + seconds))))
    stage.run(seconds + 0.5)
    return stage, listener.hear()


def seconds_of(sound: Pcm, begin: float, end: float) -> Pcm:
    """A piece of it."""
    return sound[round(begin * RATE_HZ) : round(end * RATE_HZ)]
