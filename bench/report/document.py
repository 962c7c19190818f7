"""A report: the runs of one invocation and what its thresholds came to; as JSON and back.

The JSON is a public format, told in README.md one level up. `version` rises when a key changes its
meaning or goes; new keys may come at any time, and readers pass over those they do not know. A run
that cannot be trusted carries no figure at all, neither here nor in the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from bench.results import Joins, Run, Series
from bench.thresholds import Outcome

FORMAT = "sfu-bench"
VERSION = 1

EXIT_FINE = 0
EXIT_MISSED = 1
EXIT_UNABLE = 2
EXIT_UNTRUSTWORTHY = 3

# JSON knows no infinity; "beyond the last edge of the histogram" is told by this word.
BEYOND = "inf"
_MACHINE = ("machine", "cpus", "kernel", "server_cpus", "load_cpus")
_MEASURED = ("figures", "series", "joins", "distributions", "counters")


class ReportError(ValueError):
    """The file is no report that this version can read; the message says why, with the path."""


@dataclass(frozen=True)
class Report:
    """What one invocation measured: a run for each target, the one under test first."""

    runs: tuple[Run, ...]
    thresholds: tuple[Outcome, ...] = ()

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError("a report holds at least one run")

    @property
    def is_trustworthy(self) -> bool:
        """Whether the load tester kept up in every run."""
        return all(run.verdict.trustworthy for run in self.runs)

    @property
    def exit_status(self) -> int:
        """0 fine, 1 a threshold was missed, 3 the load tester itself was the bottleneck."""
        if not self.is_trustworthy:
            return EXIT_UNTRUSTWORTHY
        return EXIT_MISSED if any(one.missed for one in self.thresholds) else EXIT_FINE


def without_figures(run: Run) -> Run:
    """The run with everything measured taken out; where, how and the verdict stay."""
    nothing = Joins(attempted=0, connected=0, failed=0, failures={}, stages=())
    return replace(run, figures={}, series=Series(), joins=nothing, distributions={}, counters={})


def told(run: Run) -> Run:
    """What may be shown of a run."""
    return run if run.verdict.trustworthy else without_figures(run)


def titles(runs: Sequence[Run]) -> list[str]:
    """A heading for each run; a target that ran twice gets a number."""
    names = [run.target for run in runs]
    return [
        f"{name} {names[: index + 1].count(name)}" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    ]


def as_json(report: Report) -> str:
    """The report as one JSON object. Raises `ValueError` for a figure that is not a number (NaN):
    that is a bug of the load.
    """
    raw = {
        "format": FORMAT,
        "version": VERSION,
        "runs": [_run_as_raw(run) for run in report.runs],
        "thresholds": [asdict(one) for one in report.thresholds],
    }
    return json.dumps(_without_infinity(raw), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _run_as_raw(run: Run) -> dict[str, Any]:
    raw = asdict(run)
    if not run.verdict.trustworthy:
        for key in _MEASURED:
            del raw[key]
    return raw


def _without_infinity(value: Any) -> Any:
    if isinstance(value, float) and math.isinf(value):
        return BEYOND
    if isinstance(value, dict):
        return {str(key): _without_infinity(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinity(item) for item in value]
    return value


def from_json(text: str | bytes, source: str = "report") -> Report:
    """Read what `as_json` wrote. Raises `ReportError`."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise ReportError(f"{source}: no JSON: {error}") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise ReportError(f"{source}: not a report of sfu-bench")
    if raw.get("version") != VERSION:
        raise ReportError(
            f"{source}: version {raw.get('version')!r} of the format; this one reads {VERSION}"
        )
    try:
        runs = tuple(_run_from_raw(one) for one in raw["runs"])
        outcomes = [_with_infinity(one, "threshold", "target") for one in raw["thresholds"]]
        return Report(runs, msgspec.convert(outcomes, tuple[Outcome, ...]))
    except KeyError as error:
        raise ReportError(f"{source}: {error} is missing") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise ReportError(f"{source}: {error}") from None


def _run_from_raw(raw: Any) -> Run:
    empty = {
        "figures": {},
        "series": {"seconds": []},
        "joins": {"attempted": 0, "connected": 0, "failed": 0, "failures": {}, "stages": []},
        "distributions": {},
    }
    # Infinity may stand where numbers stand, and nowhere else: a target may well be called "inf".
    whole = empty | raw
    verdict = whole["verdict"]
    whole |= {
        "figures": _with_infinity(whole["figures"]),
        "series": {"seconds": [_with_infinity(one) for one in whole["series"]["seconds"]]},
        "joins": whole["joins"]
        | {"stages": [_with_infinity(one, "name") for one in whole["joins"]["stages"]]},
        "verdict": verdict
        | {"watched": [_with_infinity(one, "name", "unit") for one in verdict["watched"]]},
    }
    return msgspec.convert(whole, Run)


def _with_infinity(raw: dict[str, Any], *texts: str) -> dict[str, Any]:
    """Infinity where its word stands in for a number; `texts` are the keys that hold words."""
    return {
        key: math.inf if value == BEYOND and key not in texts else value
        for key, value in raw.items()
    }


def read(path: Path) -> Report:
    """The report in a file. Raises `ReportError`."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from None
    return from_json(text, str(path))


def differing_options(left: Run, right: Run) -> list[str]:
    """The options in which two runs differ, by name."""
    names = sorted(left.options.keys() | right.options.keys())
    return [name for name in names if left.options.get(name) != right.options.get(name)]


def differing_machine(left: Run, right: Run) -> list[str]:
    """What differs between the machines of two runs, by field of `Meta`."""
    return [name for name in _MACHINE if getattr(left.meta, name) != getattr(right.meta, name)]
