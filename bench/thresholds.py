"""`--fail-if 'delay_p99_ms>5'`: what a run must not show.

    [TARGET:]FIGURE OPERATOR NUMBER        operators: > >= < <= ==

The expression describes the failure. It is judged for the first target of a run, or for the one it
names; so a slow peer measured beside it fails nobody's build. A figure that was not measured fails
too: a gate that measures nothing must not look green.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from bench.figures import NAMES, closest, describe
from bench.results import Run

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_FORM = re.compile(
    r"\s*(?:(?P<target>[^\s<>=]+):)?(?P<name>\w+)\s*(?P<sign>>=|<=|==|>|<)\s*(?P<limit>\S+)\s*"
)


class ThresholdError(ValueError):
    """The expression cannot be used; the message says why and what may have been meant."""


@dataclass(frozen=True)
class Threshold:
    """One expression of `--fail-if`."""

    name: str
    sign: str
    limit: float
    target: str | None = None  # None: the first target of the run

    def __str__(self) -> str:
        prefix = f"{self.target}:" if self.target else ""
        return f"{prefix}{self.name}{self.sign}{self.limit:g}"


@dataclass(frozen=True)
class Outcome:
    """What a threshold came to."""

    threshold: str
    target: str
    value: float | None  # None: not measured
    missed: bool

    def __str__(self) -> str:
        """One line: verdict, expression, value."""
        verdict = "MISSED" if self.missed else "kept"
        name = _FORM.fullmatch(self.threshold)
        figure = describe(name["name"]) if name else None
        shown = figure.text(self.value) if figure and self.value is not None else "not measured"
        return f"{verdict:6}  {self.threshold}  ({self.target}: {shown})"


def parse(text: str, known: Collection[str] = NAMES) -> Threshold:
    """One expression. Raises `ThresholdError`, with a suggestion for an unknown figure."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise ThresholdError(
            f"--fail-if {text!r}: write FIGURE OPERATOR NUMBER, e.g. 'delay_p99_ms>5'; "
            f"operators: {' '.join(OPERATORS)}"
        )
    if form["name"] not in known:
        suggestion = closest(form["name"], known)
        hint = f"did you mean {suggestion}?" if suggestion else f"known: {', '.join(known)}"
        raise ThresholdError(f"--fail-if {text!r}: no figure is called {form['name']}; {hint}")
    limit = _limit(text, form["name"], form["limit"])
    return Threshold(form["name"], form["sign"], limit, form["target"])


def _limit(text: str, name: str, word: str) -> float:
    """The number; a figure told in percent may have its limit written so: 0.5% of a ratio is
    0.005.
    """
    scale = 1.0
    if word.endswith("%") and describe(name).unit == "%":
        word = word[:-1]
        scale = 0.01 if name.endswith("_ratio") else 1.0
    try:
        limit = float(word) * scale
    except ValueError:
        raise ThresholdError(f"--fail-if {text!r}: {word!r} is not a number") from None
    if not math.isfinite(limit):
        raise ThresholdError(f"--fail-if {text!r}: the limit must be finite")
    return limit


def judge(thresholds: Sequence[Threshold], runs: Sequence[Run]) -> list[Outcome]:
    """Each threshold's outcome, in the order given. Raises `ThresholdError` for a target that did
    not run; `runs` holds at least one.
    """
    return [_outcome(threshold, _run_of(threshold, runs)) for threshold in thresholds]


def _run_of(threshold: Threshold, runs: Sequence[Run]) -> Run:
    if threshold.target is None:
        return runs[0]
    for run in runs:
        if run.target == threshold.target:
            return run
    raise absent_target(threshold, [run.target for run in runs])


def absent_target(threshold: Threshold, targets: Collection[str]) -> ThresholdError:
    """The complaint about a threshold of a target that does not run."""
    names = ", ".join(targets)
    return ThresholdError(f"--fail-if '{threshold}': no such target; there is: {names}")


def _outcome(threshold: Threshold, run: Run) -> Outcome:
    value = run.figures.get(threshold.name) if run.verdict.trustworthy else None
    missed = value is None or OPERATORS[threshold.sign](value, threshold.limit)
    return Outcome(str(threshold), run.target, value, missed)
