"""What people and machines get to see of a load: progress, summary, JSON, a page, an exit status.

A command line of loads uses it so:

    report.add_arguments(parser)
    thresholds = report.thresholds_of(arguments)        # raises ThresholdError: usage
    with report.live_for("rostrum", quiet=arguments.quiet) as live:
        live.phase("joining", expected=800)
        live.second(second)
    return report.publish(runs, thresholds, arguments)  # writes and prints; the exit status
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from bench.report.document import (
    EXIT_FINE,
    EXIT_MISSED,
    EXIT_UNABLE,
    EXIT_UNTRUSTWORTHY,
    Report,
    ReportError,
    as_json,
    from_json,
    read,
)
from bench.report.html import page
from bench.report.live import Live, live_for
from bench.report.summary import write as write_summary
from bench.results import Run
from bench.thresholds import Threshold, absent_target, judge, parse

__all__ = [
    "EXIT_FINE",
    "EXIT_MISSED",
    "EXIT_UNABLE",
    "EXIT_UNTRUSTWORTHY",
    "Live",
    "Report",
    "ReportError",
    "add_arguments",
    "as_json",
    "from_json",
    "live_for",
    "page",
    "publish",
    "read",
    "thresholds_of",
    "write_summary",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--json`, `--html`, `--fail-if`, `--quiet`."""
    group = parser.add_argument_group("report")
    group.add_argument(
        "--json", type=_writable, metavar="FILE", help="write the whole report as JSON"
    )
    group.add_argument("--html", type=_writable, metavar="FILE", help="write one page with plots")
    group.add_argument(
        "--fail-if",
        action="append",
        default=[],
        metavar="EXPR",
        help="exit 1 when it holds, e.g. 'delay_p99_ms>5'; TARGET:EXPR judges another target; "
        "may be given several times",
    )
    group.add_argument("--quiet", action="store_true", help="no progress and no summary")


def _writable(text: str) -> Path:
    """A file that can be written; a run of an hour must not end in finding that it cannot."""
    path = Path(text)
    place = path if path.exists() else path.parent
    if path.is_dir() or not place.exists() or not os.access(place, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text}: cannot be written")
    return path


def thresholds_of(
    arguments: argparse.Namespace, targets: Collection[str] | None = None
) -> list[Threshold]:
    """What `--fail-if` says; `targets` are the names that will run, if they are known already.

    Raises `ThresholdError` (a `ValueError`): exit status 2.
    """
    thresholds = [parse(text) for text in arguments.fail_if]
    for threshold in thresholds:
        if targets is not None and threshold.target not in (None, *targets):
            raise absent_target(threshold, targets)
    return thresholds


def publish(
    runs: Sequence[Run], thresholds: Sequence[Threshold], arguments: argparse.Namespace
) -> int:
    """Print the summary, write the files asked for, return the exit status.

    Raises `OSError` when a file cannot be written and `ThresholdError` when a threshold names a
    target that did not run. What makes the exit status other than 0 is told on standard error even
    with `--quiet`.
    """
    report = Report(tuple(runs), tuple(judge(thresholds, runs)))
    if arguments.json:
        arguments.json.write_text(as_json(report), encoding="utf-8")
    if arguments.html:
        arguments.html.write_text(page(report), encoding="utf-8")
    if not arguments.quiet:
        write_summary(report, sys.stdout)
    for line in complaints(report):
        print(line, file=sys.stderr)
    return report.exit_status


def complaints(report: Report) -> list[str]:
    """Why the exit status is not 0, a line each."""
    if report.is_trustworthy:
        return [f"sfu-bench: {one}" for one in report.thresholds if one.missed]
    return [
        f"sfu-bench: {run.target}: the load tester was the bottleneck: {reason}"
        for run in report.runs
        if not run.verdict.trustworthy
        for reason in run.verdict.reasons
    ]
