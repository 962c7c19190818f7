"""What goals came to: only what was measured together is divided by each other."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.goals import Goal, Source
from bench.report.summary import ratio_text
from bench.results import Meta
from bench.thresholds import OPERATORS

# Files further apart than this saw another state of the machine: other neighbours, another clock.
TOGETHER_S = 4 * 3600.0


@dataclass(frozen=True)
class Column:
    """One target of a source."""

    heading: str
    figures: Mapping[str, float]
    distrust: str = ""  # why it has no figures


@dataclass(frozen=True)
class Loaded:
    """A source's file."""

    source: Source
    meta: Meta
    columns: tuple[Column, ...]
    versions: str = ""  # of the servers

    def was_with(self, other: Loaded) -> bool:
        """Whether both were measured together, so that they may be divided."""
        mine, its = self.meta, other.meta
        is_same = (mine.machine, mine.kernel, mine.commit, mine.server_cpus) == (
            its.machine,
            its.kernel,
            its.commit,
            its.server_cpus,
        )
        began, its_began = map(datetime.datetime.fromisoformat, (mine.started_at, its.started_at))
        return is_same and abs((began - its_began).total_seconds()) <= TOGETHER_S


@dataclass(frozen=True)
class Result:
    """What a goal came to."""

    goal: Goal
    value: float | None
    why_not: str = ""  # when there is no value

    @property
    def word(self) -> str:
        """met, missed, or not measured."""
        if self.value is None:
            return "not measured"
        return "met" if OPERATORS[self.goal.sign](self.value, self.goal.limit) else "**missed**"

    def cells(self) -> list[str]:
        """Goal, wanted, measured, outcome."""
        return [self.goal.text, self._wanted, self._measured, self.word]

    def sentence(self) -> str:
        """The same for a list."""
        if self.value is None:
            return f"wanted {self._wanted}: not measured ({self.why_not})"
        return f"wanted {self._wanted}, measured {self._measured}: {self.word}"

    @property
    def _wanted(self) -> str:
        return f"{self.goal.sign} {self.goal.limit:,g}"

    @property
    def _measured(self) -> str:
        return self.why_not if self.value is None else f"{self.value:,.4g}"


def judge(goal: Goal, loaded: Mapping[str, Loaded]) -> Result:
    """Look the goal's figure up; no ratio is made of what was not measured together."""
    if goal.flat_over:
        return _flatness(goal, [loaded.get(name) for name in goal.flat_over])
    if goal.divided_by:
        return _ratio(goal, loaded.get(goal.source), loaded.get(goal.divided_by))
    found = loaded.get(goal.source)
    if found is None:
        return Result(goal, None, "no file")
    first = found.columns[0]
    if first.distrust:
        return Result(goal, None, first.distrust)
    value = first.figures.get(goal.figure)
    if goal.ahead_of is None or value is None:
        return Result(goal, value, "" if value is not None else "no such figure")
    return _lead(goal, value, found.columns)


def _lead(goal: Goal, value: float, columns: Sequence[Column]) -> Result:
    peer = next((one for one in columns if one.heading == goal.ahead_of), None)
    if peer is None or goal.figure not in peer.figures:
        return Result(goal, None, peer.distrust if peer else f"{goal.ahead_of} did not run")
    text = ratio_text(goal.figure, value, peer.figures[goal.figure])
    return Result(goal, float(text[:-1]) if text else None, "" if text else "no ratio of zero")


def _flatness(goal: Goal, found: Sequence[Loaded | None]) -> Result:
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return Result(goal, None, "a file is missing")
    if not all(one.was_with(known[0]) for one in known):
        return Result(goal, None, "not measured together")
    values = [one.columns[0].figures.get(goal.figure, 0.0) for one in known]
    if min(values) <= 0:
        return Result(goal, None, "a run has no figure")
    return Result(goal, max(values) / min(values))


def _ratio(goal: Goal, above: Loaded | None, below: Loaded | None) -> Result:
    if above is None or below is None:
        return Result(goal, None, "a file is missing")
    if not above.was_with(below):
        return Result(goal, None, "not measured together")
    values = [one.columns[0].figures.get(goal.figure, 0.0) for one in (above, below)]
    if min(values) <= 0:
        return Result(goal, None, "a run has no figure")
    return Result(goal, values[0] / values[1])
