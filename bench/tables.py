"""RESULTS.md from result files: `python -m bench.tables`.

Reads `measurements/NAME.json` for every source in `plan.py` and writes RESULTS.md: machine,
kernel, commit and command of each table, the goals with what they came to, and at the head what was
missed or not measured. `--measure NAME ...` (or `all`) makes the files first.

A ratio is told only between what was measured together: targets of one run, or files of the same
machine, kernel and commit from the same hours. A run that could not be trusted fills no cell.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.figures import describe
from bench.goals import PARTS, Source, Table
from bench.judging import Column, Loaded, Result, judge
from bench.machine import commit, processor
from bench.plan import TABLES
from bench.report.document import Report, ReportError, from_json, titles, told
from bench.report.summary import machine_line, ratio_text
from bench.results import Meta

FOLDER = Path(__file__).with_name("measurements")
RESULTS = Path(__file__).with_name("RESULTS.md")


def load(source: Source, folder: Path) -> Loaded | None:
    """A source's file; None when there is none. Raises `ReportError`."""
    path = folder / f"{source.name}.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    if source.words[0] in PARTS:
        return _part(source, text, path)
    report = from_json(text, str(path))
    versions = ", ".join(f"{run.target} {run.meta.version}".rstrip() for run in report.runs)
    return Loaded(source, report.runs[0].meta, tuple(_columns(source, report)), versions)


def _columns(source: Source, report: Report) -> Iterable[Column]:
    is_alone = len(report.runs) == 1
    for title, run in zip(titles(report.runs), map(told, report.runs), strict=True):
        heading = source.heading if is_alone and source.heading else title
        yield Column(heading, run.figures, "; ".join(run.verdict.reasons))


def _part(source: Source, text: str, path: Path) -> Loaded:
    """A part's benchmark has a format of its own; `measure` puts it beside its origin."""
    command = source.words[0]
    try:
        raw = json.loads(text)
        meta = Meta(**raw["meta"])
        figures = {
            label: float(raw[command][key])
            for key, label in PARTS[command].items()
            if key in raw[command]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(f"{path}: {error}") from None
    return Loaded(source, meta, (Column(source.heading, figures),))


def render(loaded: Mapping[str, Loaded]) -> str:
    """The whole of RESULTS.md."""
    results = {table.title: [judge(goal, loaded) for goal in table.goals] for table in TABLES}
    lines = [
        "# Results",
        "",
        "Written by `python -m bench.tables` from the files in `measurements/`. Only ratios of one "
        "run travel to another machine; times do not.",
        "",
        *_missed(results),
    ]
    for table in TABLES:
        lines += ["", f"## {table.title}", "", table.about, "", *_section(table, loaded)]
        goals = [result.cells() for result in results[table.title]]
        lines += ["", *markdown(["goal", "wanted", "measured", ""], goals)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def _missed(results: Mapping[str, Sequence[Result]]) -> list[str]:
    """What the reader should know first."""
    counts = [result.word for table in results.values() for result in table]
    total = f"{counts.count('met')} of {len(counts)} goals are met."
    lines = [
        f"- {title}: {result.goal.text}: {result.sentence()}"
        for title, found in results.items()
        for result in found
        if result.word != "met"
    ]
    return [total, *(["", "Missed or not measured:", "", *lines] if lines else [])]


def _section(table: Table, loaded: Mapping[str, Loaded]) -> list[str]:
    found = [loaded[source.name] for source in table.sources if source.name in loaded]
    lines = _origins(found)
    absent = [source for source in table.sources if source.name not in loaded]
    lines += [f"Not measured: `{command(source)}`\n" for source in absent]
    columns = [column for one in found for column in one.columns]
    lines += [f"No figures for {one.heading}: {one.distrust}\n" for one in columns if one.distrust]
    rows = [
        [describe(name).label, *(describe(name).text(one.figures.get(name)) for one in columns)]
        + _ratios(name, found)
        for name in table.figures
        if any(name in one.figures for one in columns)
    ]
    if rows:
        heads = ["", *(one.heading for one in columns)]
        heads += [f"ahead of {one.heading}" for one in _peers(found)]
        lines += markdown(heads, rows)
    return lines


def _peers(found: Sequence[Loaded]) -> tuple[Column, ...]:
    """The other targets of the one run that has them."""
    return found[0].columns[1:] if len(found) == 1 else ()


def _ratios(name: str, found: Sequence[Loaded]) -> list[str]:
    if not _peers(found):
        return []
    first = found[0].columns[0].figures.get(name)
    return [ratio_text(name, first, peer.figures.get(name)) for peer in _peers(found)]


def _origins(found: Sequence[Loaded]) -> list[str]:
    """Machine, time and command; what several files have in common is told once."""
    machines = dict.fromkeys(
        "; ".join(filter(None, (machine_line(one.meta), one.versions, one.meta.started_at[:10])))
        for one in found
    )
    notes = dict.fromkeys(note for one in found for note in one.meta.notes)
    lines = [f"{line}\n" for line in [*machines, *notes]]
    if found:
        lines += [f"    {_without_output(one.meta.command)}" for one in found] + [""]
    return lines


def _without_output(typed: str) -> str:
    """The command without its files, which are the typist's own."""
    words = iter(shlex.split(typed))
    kept = []
    for word in words:
        if word in ("--json", "--html"):
            next(words, None)
        elif word != "--quiet" and not word.startswith(("--json=", "--html=")):
            kept.append(word)
    return shlex.join(kept)


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table; its first column is text, the others are numbers."""
    lines = [[_cell(cell) for cell in row] for row in (heads, *rows)]
    rule = "|---|" + "--:|" * (len(heads) - 1)
    return [
        "| " + " | ".join(lines[0]) + " |",
        rule,
        *("| " + " | ".join(row) + " |" for row in lines[1:]),
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def command(source: Source) -> str:
    """What a person types."""
    return " ".join(["sfu-bench", *source.words])


def measure(source: Source, folder: Path) -> str:
    """Make the source's file; the reason when that failed, else empty."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{source.name}.json"
    print(f"tables: {command(source)}", file=sys.stderr, flush=True)
    started = datetime.datetime.now(tz=datetime.UTC)
    part, *rest = source.words
    is_part = part in PARTS
    words = [f"bench.{part}", *rest, "--json"] if is_part else ["bench.cli", *source.words]
    output = [] if is_part else ["--json", path.name, "--quiet"]
    root = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-m", *words, *output],
        # In the folder, so that the command which the file tells holds no path of this machine.
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([root, *_python_path()])},
        stdout=subprocess.PIPE if is_part else None,
        text=True,
        check=False,
    )
    # Status 3 leaves a file, too: one that says why there are no figures.
    if done.returncode not in (0, 3):
        return f"{source.name}: exit status {done.returncode}"
    if is_part:
        raw = {"meta": _part_meta(source, started), part: json.loads(done.stdout)}
        path.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    return ""


def _python_path() -> list[str]:
    return [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]


def _part_meta(source: Source, started: datetime.datetime) -> dict[str, object]:
    spent = datetime.datetime.now(tz=datetime.UTC) - started
    return {
        "load": source.words[0],
        "command": command(source),
        "started_at": started.isoformat(timespec="seconds"),
        "duration_s": round(spent.total_seconds(), 1),
        "version": "",
        "commit": commit(),
        "machine": processor(),
        "cpus": os.cpu_count() or 0,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "server_cpus": [],
        "load_cpus": [],
    }


def parse_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    names = [source.name for table in TABLES for source in table.sources]
    parser = argparse.ArgumentParser(prog="python -m bench.tables", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the result files")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: bench/RESULTS.md")
    parser.add_argument(
        "--measure",
        nargs="+",
        default=[],
        choices=[*names, "all", "missing"],
        metavar="NAME",
        help=f"first measure these: all, missing, {', '.join(names)}",
    )
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Measure what is asked for, read what is there, write RESULTS.md."""
    arguments = parse_arguments(words)
    sources = [source for table in TABLES for source in table.sources]
    failures = [
        measure(source, arguments.folder)
        for source in sources
        if source.name in arguments.measure
        or "all" in arguments.measure
        or (
            "missing" in arguments.measure
            and not (arguments.folder / f"{source.name}.json").exists()
        )
    ]
    try:
        loaded = {source.name: load(source, arguments.folder) for source in sources}
    except ReportError as error:
        print(f"tables: {error}", file=sys.stderr)
        return 2
    present = {name: one for name, one in loaded.items() if one is not None}
    arguments.output.write_text(render(present), encoding="utf-8")
    for failure in filter(None, failures):
        print(f"tables: {failure}", file=sys.stderr)
    return 2 if any(failures) else 0


if __name__ == "__main__":
    sys.exit(main())
