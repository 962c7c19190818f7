"""Every treatment against every line: which calls are made, and what they came to together."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from bench.quality.hearing import Line, hear
from bench.quality.losses import PATTERNS, Pattern
from bench.quality.score import pesq_of
from bench.quality.treatments import BUFFER_MS, BUFFERS_MS, TREATMENTS, Treatment
from bench.quality.voices import voice

LOSSES = (0.0, 0.05, 0.1, 0.2, 0.3)
# The line of the goals, on which buffers and voices are compared, too.
TYPICAL_PATTERN: Pattern = "random"
TYPICAL_LOSS = 0.1


@dataclass(frozen=True)
class Case:
    """What is compared: a treatment on a kind of line."""

    treatment: Treatment
    pattern: Pattern
    loss: float


@dataclass(frozen=True)
class Call:
    """One voice (a name or a file) in one case; another seed loses other packets."""

    case: Case
    voice: str
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What a listener of one call heard; ratios are of the frames of speech."""

    case: Case
    voice: str
    seed: int
    pesq: float
    lost: float
    never_came: float
    concealed: float
    by_fec: float
    wire_kbit_s: float


@dataclass(frozen=True)
class Spread:
    """Mean and range over voices and seeds."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """ValueError without values."""
        known = list(values)
        return cls(statistics.fmean(known), min(known), max(known))


def cases() -> tuple[Case, ...]:
    """Everything that is told of: without loss only once, as there is no pattern in it."""
    lossless = [Case(one, TYPICAL_PATTERN, 0.0) for one in TREATMENTS]
    lossy = [
        Case(one, pattern, loss)
        for pattern in PATTERNS
        for loss in LOSSES
        if loss
        for one in TREATMENTS
    ]
    buffered = [
        Case(one, TYPICAL_PATTERN, TYPICAL_LOSS)
        for treatment in TREATMENTS
        for one in buffered_alike(treatment)
    ]
    return tuple(dict.fromkeys([*lossless, *lossy, *buffered]))


def buffered_alike(treatment: Treatment) -> list[Treatment]:
    """The same with other jitter buffers: long ones only where there is something to wait for."""
    lengths_ms = [ms for ms in BUFFERS_MS if treatment.repeats or ms <= BUFFER_MS]
    return [replace(treatment, buffer_ms=ms) for ms in lengths_ms]


def calls(voices: Sequence[str], seeds: int) -> Iterator[Call]:
    """Voice by voice, so that each is synthesized and encoded once in a process."""
    for name in voices:
        for case in cases():
            for seed in range(seeds if case.loss else 1):
                yield Call(case, name, seed)


def _heard(call: Call) -> Outcome:
    who = voice(call.voice)
    # Voices meet different losses, treatments of one voice the same ones.
    line = Line(call.case.pattern, call.case.loss, f"{who.name} {call.seed}")
    heard = hear(who, call.case.treatment, line)
    return Outcome(
        case=call.case,
        voice=who.name,
        seed=call.seed,
        pesq=pesq_of(who.reference, heard.sound),
        lost=heard.lost,
        never_came=heard.never_came,
        concealed=heard.concealed,
        by_fec=heard.by_fec,
        wire_kbit_s=heard.wire_kbit_s,
    )


def measure(wanted: Sequence[Call], jobs: int) -> Iterator[Outcome]:
    """Make the calls in `jobs` processes; outcomes come in the order of the calls."""
    if jobs == 1:
        yield from map(_heard, wanted)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_heard, wanted, chunksize=20)
