"""`sfu-bench compare A.json B.json`: what became better or worse from one report to another.

Two runs are comparable when the same load with the same options ran against the same target on the
same machine. Anything else is refused, because the table would look just as convincing; `--force`
shows it all the same, under the list of what differs. A run that could not be trusted has no
figures to compare.

Exit status: 0; 1 when something is worse and `--fail-if-worse` was given; 2 when the reports cannot
be read or compared; 3 when one of the runs was not trustworthy.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.text import Text

from bench.figures import describe, in_order
from bench.report.document import (
    EXIT_FINE,
    EXIT_MISSED,
    EXIT_UNABLE,
    EXIT_UNTRUSTWORTHY,
    Report,
    ReportError,
    differing_machine,
    differing_options,
    read,
    titles,
)
from bench.report.summary import console_for, table, verdict_line
from bench.results import Run

DEFAULT_TOLERANCE_PERCENT = 5.0
Judgement = Literal["better", "worse", "same", "differs"]
_STYLE = {"better": "green", "worse": "bold red", "same": "dim", "differs": ""}


@dataclass(frozen=True)
class Change:
    """One figure in both runs."""

    name: str
    before: float
    after: float
    judgement: Judgement

    @property
    def ratio(self) -> float:
        """after / before; 1 where both are zero."""
        if self.before == self.after:
            return 1.0
        return self.after / self.before if self.before else math.inf


def objections(before: Run, after: Run) -> list[str]:
    """Why the two runs do not compare, a line each; empty when they do."""
    pairs: list[tuple[str, object, object]] = [
        ("target", before.target, after.target),
        ("load", before.meta.load, after.meta.load),
    ]
    pairs += [
        (name, before.options.get(name), after.options.get(name))
        for name in differing_options(before, after)
        if name != "load"
    ]
    pairs += [
        (name, getattr(before.meta, name), getattr(after.meta, name))
        for name in differing_machine(before, after)
    ]
    return [f"{name}: {left} / {right}" for name, left, right in pairs if left != right]


def changes(before: Run, after: Run, tolerance: float) -> list[Change]:
    """Every figure that both have; `tolerance` 0.05 calls anything within 5 % the same."""
    common = before.figures.keys() & after.figures.keys()
    return [
        Change(name, before.figures[name], after.figures[name], judgement)
        for name in in_order(common)
        for judgement in [judge(name, before.figures[name], after.figures[name], tolerance)]
    ]


def judge(name: str, before: float, after: float, tolerance: float) -> Judgement:
    """Whether `after` is better. The band is as wide upwards as downwards, as a ratio."""
    low, high = sorted((before, after))
    if low == high or (low > 0 and high / low <= 1 + tolerance):
        return "same"
    better = describe(name).better
    if better == "neither":
        return "differs"
    return "better" if (after < before) == (better == "lower") else "worse"


def pairs(before: Report, after: Report) -> list[tuple[str, Run, Run]]:
    """The runs that belong together by target; two single runs belong together anyhow."""
    left = dict(zip(titles(before.runs), before.runs, strict=True))
    right = dict(zip(titles(after.runs), after.runs, strict=True))
    if len(left) == len(right) == 1:
        return [(next(iter(right)), before.runs[0], after.runs[0])]
    return [(name, left[name], right[name]) for name in left if name in right]


def _print(title: str, found: Sequence[Change]) -> None:
    rows = table(title, "before", "after", "after / before", "")
    for change in found:
        figure = describe(change.name)
        ratio = "∞" if math.isinf(change.ratio) else f"{change.ratio:.3f}"
        rows.add_row(
            figure.label,
            figure.text(change.before),
            figure.text(change.after),
            ratio,
            Text(change.judgement, style=_STYLE[change.judgement]),
        )
    console_for(sys.stdout).print(rows)


def parse_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="sfu-bench compare", description="What became better or worse between two reports."
    )
    parser.add_argument("before", type=Path, metavar="A.json")
    parser.add_argument("after", type=Path, metavar="B.json")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=DEFAULT_TOLERANCE_PERCENT,
        metavar="PERCENT",
        help="what counts as the same (default: %(default)g)",
    )
    parser.add_argument("--force", action="store_true", help="compare what does not compare")
    parser.add_argument("--fail-if-worse", action="store_true", help="exit 1 when anything is")
    arguments = parser.parse_args(words)
    if not 0 <= arguments.tolerance < math.inf:
        parser.error("--tolerance is a percentage of at least 0")
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    """Read, check, compare, print."""
    arguments = parse_arguments(words)
    try:
        found = pairs(read(arguments.before), read(arguments.after))
    except ReportError as error:
        return _unable(str(error))
    if not found:
        return _unable("the two reports have no target in common")
    for title, *runs in found:
        for path, run in zip((arguments.before, arguments.after), runs, strict=True):
            if not run.verdict.trustworthy:
                print(f"compare: {path}: {title}: {verdict_line(run)}", file=sys.stderr)
                return EXIT_UNTRUSTWORTHY
    against = {title: objections(left, right) for title, left, right in found}
    if any(against.values()) and not arguments.force:
        lines = dict.fromkeys(line for one in against.values() for line in one)
        listed = "".join(f"\n  {line}" for line in lines)
        return _unable(
            f"these runs do not compare (--force does it anyhow); they differ in{listed}"
        )
    return _compare(found, against, arguments)


def _one_sided(before: Run, after: Run) -> list[str]:
    """Figures that only one of the runs has."""
    sides = (("before", before.figures, after.figures), ("after", after.figures, before.figures))
    return [
        f"measured only {side}: {', '.join(in_order(mine.keys() - other.keys()))}"
        for side, mine, other in sides
        if mine.keys() - other.keys()
    ]


def _compare(
    found: Sequence[tuple[str, Run, Run]],
    against: dict[str, list[str]],
    arguments: argparse.Namespace,
) -> int:
    is_worse = False
    for title, before, after in found:
        for line in against[title]:
            print(f"differs, {line}")
        changed = changes(before, after, arguments.tolerance / 100)
        _print(title, changed)
        for line in _one_sided(before, after):
            print(line)
        is_worse = is_worse or any(change.judgement == "worse" for change in changed)
    return EXIT_MISSED if is_worse and arguments.fail_if_worse else EXIT_FINE


def _unable(message: str) -> int:
    print(f"compare: {message}", file=sys.stderr)
    return EXIT_UNABLE


if __name__ == "__main__":
    sys.exit(main())
