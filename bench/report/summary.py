"""The summary on the terminal: read in twenty seconds, top to bottom.

What was loaded, the verdict, the figures (a column for each target, and how many times the first
is ahead), join stages, thresholds, notes. The ratios compare runs of this one invocation; there
are none where a run cannot be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.figures import DETAILS, FAULTS, describe, in_order
from bench.report.document import Report, titles, told
from bench.results import Limit, Meta, Run

# Wide enough for three targets where the output is no terminal.
PLAIN_WIDTH = 110
_OWN_OPTIONS = {
    "joins": ("joins", "within_s"),
    "churn": ("churn_rate", "stay_s"),
    "soak": ("churn_rate", "stay_s"),
    "control": ("pipeline", "rate"),
}


def write(report: Report, stream: TextIO) -> None:
    """Print the summary; coloured on a terminal."""
    console = console_for(stream)
    for part in _parts(report):
        console.print(part)


def console_for(stream: TextIO) -> Console:
    """Prints as wide as the terminal, or at a fixed width into anything else."""
    width = None if stream.isatty() else PLAIN_WIDTH
    return Console(file=stream, width=width, highlight=False, emoji=False, markup=False)


def _parts(report: Report) -> list[Text | Table]:
    runs = [told(run) for run in report.runs]
    parts: list[Text | Table] = [_heading(runs)]
    parts += [
        _verdict(title, run) for title, run in zip(names_with_version(runs), runs, strict=True)
    ]
    if any(run.figures for run in runs):
        parts += [Text(), _figures(runs)]
    for title, run in zip(titles(runs), runs, strict=True):
        if run.joins.stages:
            parts += [Text(), _joins(title, run)]
    parts += [_failures(run) for run in runs if run.joins.failures]
    if report.thresholds and report.is_trustworthy:
        parts += [Text(), *(_outcome(str(one), one.missed) for one in report.thresholds)]
    parts += [Text(f"note: {note}", style="dim") for note in notes(runs)]
    return parts


def names_with_version(runs: Sequence[Run]) -> list[str]:
    """The title of each run with the version of its server, where that is known."""
    pairs = zip(titles(runs), runs, strict=True)
    return [f"{title} {run.meta.version}".rstrip() for title, run in pairs]


def notes(runs: Sequence[Run]) -> list[str]:
    """What the loads noted; said of one target when several ran."""
    pairs = zip(titles(runs), runs, strict=True)
    return [
        f"{title}: {note}" if len(runs) > 1 else note
        for title, run in pairs
        for note in run.meta.notes
    ]


def load_line(run: Run) -> str:
    """What was loaded, in words: "room: 3 speakers, 800 listeners, ..."."""
    options = run.options
    counted = ("rooms", "speakers", "listeners", "slots")
    words = [f"{options[name]} {name}" for name in counted if options.get(name)]
    words = [word for word in words if word != "1 rooms"]
    named = ("talk", *_OWN_OPTIONS.get(run.meta.load, ()), "join_rate", "segmentation", "seed")
    words += [
        f"{name.removesuffix('_s').replace('_', ' ')} {_plain(options[name])}"
        + (" s" if name.endswith("_s") else "")
        for name in named
        if options.get(name) is not None
    ]
    words.append(f"{run.meta.duration_s:.{0 if run.meta.duration_s >= 10 else 1}f} s")
    return f"{run.meta.load}: {', '.join(words)}"


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def machine_line(meta: Meta) -> str:
    """Where it ran: processor, pinning, kernel, commit of the load tester."""
    pinned = ""
    if meta.server_cpus or meta.load_cpus:
        server, load = (",".join(map(str, cpus)) for cpus in (meta.server_cpus, meta.load_cpus))
        pinned = f" (server on {server or 'any'}, load on {load or 'any'})"
    machine = f"{meta.machine}, {meta.cpus} CPUs{pinned}, Linux {meta.kernel}"
    # A long hash says no more than ten digits, but its "+" says that files differed from it.
    commit = meta.commit[:10] + ("+" if meta.commit.endswith("+") else "")
    return f"{machine}, commit {commit}" if commit else machine


def _heading(runs: Sequence[Run]) -> Text:
    first = runs[0]
    text = Text(" against ".join(dict.fromkeys(run.target for run in runs)), style="bold")
    text.append(f"  {load_line(first)}\n", style="not bold")
    text.append(machine_line(first.meta), style="not bold dim")
    return text


def verdict_line(run: Run) -> str:
    """Whether the run can be trusted, with what was closest to its limit, or what gave way."""
    if not run.verdict.trustworthy:
        return "NO FIGURES: the load tester was the bottleneck: " + "; ".join(run.verdict.reasons)
    closest = max(run.verdict.watched, key=_use, default=None)
    if closest is None:
        return "trustworthy: the load tester kept up"
    return f"trustworthy: the load tester kept up (nearest its limit: {limit_text(closest)})"


def limit_text(limit: Limit) -> str:
    """A watched value beside its limit."""
    return f"{limit.name} {limit.value:.3g} of {limit.limit:g} {limit.unit}".rstrip()


def _use(limit: Limit) -> float:
    return limit.value / limit.limit if limit.limit else limit.value


def _verdict(title: str, run: Run) -> Text:
    style = "green" if run.verdict.trustworthy else "bold red"
    return Text.assemble(f"{title}: ", (verdict_line(run), style))


def headlines(runs: Sequence[Run]) -> list[str]:
    """The figures that a summary tells: no details, and faults only where there are any."""
    names = in_order(name for run in runs for name in run.figures)
    return [
        name
        for name in names
        if name not in DETAILS
        and (name not in FAULTS or any(run.figures.get(name) for run in runs))
    ]


def figure_rows(
    runs: Sequence[Run], names: Sequence[str]
) -> list[tuple[str, list[str], list[str]]]:
    """Label, the values of all runs, and the ratios of the runs after the first."""
    rows = []
    for name in names:
        figure = describe(name)
        values = [run.figures.get(name) for run in runs]
        ratios = [ratio_text(name, values[0], value) for value in values[1:]]
        rows.append((figure.label, [figure.text(value) for value in values], ratios))
    return rows


def ratio_text(name: str, first: float | None, other: float | None) -> str:
    """How many times the first is ahead: "3.20x", below 1 it is behind; empty without a ratio."""
    better = describe(name).better
    if first is None or other is None or better == "neither" or min(first, other) <= 0:
        return ""
    return f"{other / first if better == 'lower' else first / other:.2f}x"


def _figures(runs: Sequence[Run]) -> Table:
    names = titles(runs)
    rows = table("figure", *names, *(f"ahead of {name}" for name in names[1:]))
    for label, values, ratios in figure_rows(runs, headlines(runs)):
        styled = [Text(ratio, style=_ratio_style(ratio)) for ratio in ratios]
        rows.add_row(label, *values, *styled)
    return rows


def _ratio_style(ratio: str) -> str:
    if not ratio:
        return ""
    return "green" if float(ratio[:-1]) >= 1 else "red"


def _joins(title: str, run: Run) -> Table:
    joins = run.joins
    rows = table(f"join, {title}", "p50", "p95", "p99", "worst")
    for stage in joins.stages:
        times = (stage.p50_ms, stage.p95_ms, stage.p99_ms, stage.max_ms)
        figure = describe("stage_ms")
        rows.add_row(stage.name.replace("_", " "), *map(figure.text, times))
    rate = "" if joins.joins_per_s is None else f", {joins.joins_per_s:.3g} joins/s"
    rows.caption = f"{joins.connected} of {joins.attempted} connected{rate}"
    return rows


def _failures(run: Run) -> Text:
    reasons = sorted(run.joins.failures.items(), key=lambda item: -item[1])
    told = "; ".join(f"{count} x {why}" for why, count in reasons)
    return Text(f"{run.target}: joins failed: {told}", style="red")


def table(first: str, *others: str) -> Table:
    """An empty table without lines; all columns but the first hold numbers."""
    made = Table(box=None, pad_edge=False, padding=(0, 2), caption_justify="left")
    made.add_column(first)
    for name in others:
        made.add_column(name, justify="right")
    return made


def _outcome(line: str, missed: bool) -> Text:
    return Text(line, style="bold red" if missed else "green")
