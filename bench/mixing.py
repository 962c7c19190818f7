"""What mixing a room costs, whatever its audience: `python -m bench.mixing`, `sfu-bench mixing`.

Speakers who talk all the time go through the mixer alone, in virtual time, with one encoder for
each tier. Beside it runs the floor: the same packets through as many Opus decoders and encoders,
and nothing else. `ratio` is floor / ours: 1 would mean that everything else a mixer does is free.

Numbers are CPU time as a share of one core: 20 ms of sound cost so much of 20 ms.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from bench import speech
from sfu.mixing.mixer import Mixer
from sfu.mixing.opus import Decoder, Encoder
from sfu.mixing.orders import OpenRoom, Packet, SetSource, StartOutput
from sfu.mixing.output import TICK_TICKS, TICKS_PER_S
from sfu.mixing.tiers import FORMS

EXIT_MISSED = 1
ROUNDS = 5
WARM_UP_TICKS = 100
_SEED = 1
_BEGIN = 1_000.0


@dataclass(frozen=True)
class Report:
    """What was measured; percentages are of one core."""

    speakers: int
    tiers: str
    mixing_percent: float
    floor_percent: float
    ratio: float  # floor / ours
    tick_p50_us: float
    tick_p99_us: float
    by_tier_percent: dict[str, float]  # a room with this tier alone
    silent_percent: float  # the same room while nobody talks


@dataclass(frozen=True)
class Cost:
    """Of a run of ticks."""

    cpu_percent: float
    ticks_us: tuple[float, ...]


def measure(arguments: argparse.Namespace) -> Report:
    """All of it, in about so many seconds."""
    tiers = arguments.tiers.split(",")
    voices = [speech.voice(_SEED, number).steps for number in range(arguments.speakers)]
    # Ticks last about a millisecond; each round runs ours and the floor.
    ticks = max(50, round(arguments.seconds * 1e3 / (2 * ROUNDS)))
    ours: list[Cost] = []
    floors: list[Cost] = []
    for _ in range(ROUNDS):
        ours.append(run(_mixing(voices, tiers), ticks))
        floors.append(run(_floor(voices, tiers), ticks))
    every_us = [one for cost in ours for one in cost.ticks_us]
    return Report(
        speakers=arguments.speakers,
        tiers=arguments.tiers,
        mixing_percent=statistics.median(one.cpu_percent for one in ours),
        floor_percent=statistics.median(one.cpu_percent for one in floors),
        ratio=statistics.median(
            floor.cpu_percent / mine.cpu_percent for mine, floor in zip(ours, floors, strict=True)
        ),
        tick_p50_us=float(np.percentile(every_us, 50)),
        tick_p99_us=float(np.percentile(every_us, 99)),
        by_tier_percent={tier: run(_mixing(voices, [tier]), ticks).cpu_percent for tier in tiers},
        silent_percent=run(_mixing([], tiers), ticks).cpu_percent,
    )


def run(step: Callable[[int], object], ticks: int) -> Cost:
    """`step` with the number of each tick, one after the other; the first ones are not counted."""
    for tick in range(WARM_UP_TICKS):
        step(tick)
    ticks_us = []
    cpu_s = time.process_time()
    for tick in range(WARM_UP_TICKS, WARM_UP_TICKS + ticks):
        begun = time.perf_counter()
        step(tick)
        ticks_us.append(1e6 * (time.perf_counter() - begun))
    spent_s = time.process_time() - cpu_s
    return Cost(100 * spent_s * TICKS_PER_S / ticks, tuple(ticks_us))


Steps = Sequence[tuple[bytes, int]]


def _mixing(voices: Sequence[Steps], tiers: Sequence[str]) -> Callable[[int], object]:
    """A mixer with one room; each tick takes a packet of every voice."""
    mixer = Mixer(_BEGIN)
    mixer.apply(OpenRoom(1, slots=max(1, len(voices))))
    for output, tier in enumerate(tiers):
        mixer.apply(StartOutput(1, output, tier))
    for slot in range(len(voices)):
        mixer.apply(SetSource(1, source=slot, csrc=slot + 1, echo_group=slot + 1))

    def step(tick: int) -> None:
        deadline = mixer.next_deadline()
        for slot, steps in enumerate(voices):
            mixer.take(1, slot, [_packet(slot, tick, steps, deadline - 0.5 / TICKS_PER_S)])
        mixer.tick(deadline)

    return step


def _packet(slot: int, tick: int, steps: Steps, at: float) -> Packet:
    opus, level = steps[tick % len(steps)]
    time_ticks = tick * TICK_TICKS
    return Packet(slot, slot + 1, tick, time_ticks, TICK_TICKS, level, not tick, opus, at)


def _floor(voices: Sequence[Steps], tiers: Sequence[str]) -> Callable[[int], object]:
    """Decoders and encoders alone; what is encoded is the first voice."""
    decoders = [Decoder() for _ in voices]
    encoders = [_Filling(tier) for tier in tiers]

    def step(tick: int) -> None:
        sounds = [
            decoder.decode(steps[tick % len(steps)][0])
            for decoder, steps in zip(decoders, voices, strict=True)
        ]
        for encoder in encoders:
            encoder.add(sounds[0])

    return step


class _Filling:
    """An encoder with the frame that is being filled."""

    def __init__(self, tier: str) -> None:
        form = FORMS[tier]
        self._every = form.frame_ms * TICKS_PER_S // 1_000
        self._encoder: Encoder = form.encoder()
        self._frame = np.zeros(self._encoder.samples, dtype=np.float32)
        self._size = self._encoder.samples // self._every
        self._filled = 0

    def add(self, sound: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
        """20 ms at 48 kHz; every third sample stands for a filter where the encoder takes fewer."""
        begin = self._filled * self._size
        self._frame[begin : begin + self._size] = sound[:: len(sound) // self._size]
        self._filled = (self._filled + 1) % self._every
        if not self._filled:
            self._encoder.encode(self._frame)


def as_text(report: Report) -> str:
    """The report for people."""
    lines = [
        f"one room, {report.speakers} speakers into {report.tiers}; CPU in % of a core",
        f"  ours   {report.mixing_percent:6.2f}   a tick {report.tick_p50_us:.0f} us, "
        f"p99 {report.tick_p99_us:.0f} us",
        f"  floor  {report.floor_percent:6.2f}   libopus alone",
        f"  ratio  {report.ratio:6.2f}   floor / ours, 1 is the best there is",
        "one tier alone",
        *(f"  {tier:6s} {cost:6.2f}" for tier, cost in report.by_tier_percent.items()),
        f"nobody talks {report.silent_percent:.2f}",
    ]
    return "\n".join(lines)


def parse_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.mixing", description=__doc__)
    parser.add_argument("--speakers", type=int, default=3, metavar="N")
    parser.add_argument("--tiers", default="B1,B2,B3,B4", metavar="TIER,...")
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long it takes")
    parser.add_argument(
        "--require", type=float, metavar="PERCENT", help="exit 1 when mixing takes more of a core"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(words)
    if not 1 <= arguments.speakers <= 6:
        parser.error("--speakers is 1 to 6, as many as a room has slots at most")
    if not set(arguments.tiers.split(",")) <= set(FORMS):
        parser.error(f"--tiers are of {', '.join(FORMS)}")
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    arguments = parse_arguments(words)
    report = measure(arguments)
    print(json.dumps(asdict(report)) if arguments.json else as_text(report))
    if arguments.require is not None and report.mixing_percent > arguments.require:
        print(
            f"bench.mixing: {report.mixing_percent:.2f} % is above {arguments.require} %",
            file=sys.stderr,
        )
        return EXIT_MISSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
