"""What goals, the loads that show them, and their tables are made of; those of RESULTS.md stand in
`plan`. A goal is met, missed, or not measured; a missed one is told at the head of RESULTS.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One measurement: `name`.json, and the words of sfu-bench that make it."""

    name: str
    words: tuple[str, ...]
    heading: str  # of its column


@dataclass(frozen=True)
class Goal:
    """`figure` of the source's first target should be so; `ahead_of`: the ratio to that target;
    `flat_over`: the largest over the smallest of these sources; `divided_by`: the ratio to the same
    of that source.
    """

    text: str
    source: str
    figure: str
    sign: str  # one of thresholds.OPERATORS
    limit: float
    ahead_of: str | None = None
    flat_over: tuple[str, ...] = ()
    divided_by: str | None = None


@dataclass(frozen=True)
class Table:
    """A section of RESULTS.md: sources side by side, figures below each other."""

    title: str
    about: str
    sources: tuple[Source, ...]
    figures: tuple[str, ...]
    goals: tuple[Goal, ...]


def source(name: str, heading: str, words: str) -> Source:
    """With the words as they are typed."""
    return Source(name, tuple(words.split()), heading)


# The micro benchmark's keys, and what they are called here: its ratios are no percentages.
FLOOR_FIGURES = {
    "ours_us": "ours, µs",
    "floor_us": "floor, µs",
    "ratio": "floor / ours",
    "segmented_us": "segmented: ours, µs",
    "segmented_floor_us": "segmented: floor, µs",
    "segmented_ratio": "segmented: floor / ours",
}
# The same of `bench.mixing`.
MIXING_FIGURES = {
    "mixing_percent": "mixing, % of a core",
    "floor_percent": "libopus alone, % of a core",
    "ratio": "floor / ours",
    "tick_p50_us": "a tick, median, µs",
    "tick_p99_us": "a tick, p99, µs",
    "silent_percent": "nobody talks, % of a core",
}
# Commands that measure a part alone: they print their figures, which have these names here.
PARTS = {"micro": FLOOR_FIGURES, "mixing": MIXING_FIGURES}
