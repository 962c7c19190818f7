"""RESULTS.md divides only what was measured together, and hides nothing that was missed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from bench import tables
from bench.figures import NAMES, is_of_line
from bench.goals import PARTS
from bench.plan import TABLES
from bench.report.document import Report, as_json
from bench.results import Run
from bench.thresholds import OPERATORS
from tests.bench.runs import META, TOO_SLOW, make_run, with_meta


def store(folder: Path, name: str, *runs: Run) -> None:
    """A result file."""
    (folder / f"{name}.json").write_text(as_json(Report(runs)), encoding="utf-8")


def made(folder: Path) -> str:
    """RESULTS.md from what the folder holds."""
    output = folder / "RESULTS.md"
    assert tables.main(["--folder", str(folder), "--output", str(output)]) == 0
    return output.read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """From its heading to the next."""
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def store_rooms(folder: Path, **changes: object) -> None:
    """200, 800 and 2,000 listeners at 3.5, 3.5 and 3.85 us; `changes` concern the last."""
    store(folder, "room-200", make_run())
    store(folder, "room-800", make_run())
    store(folder, "room-1200", with_meta(make_run(scale=1.1), **changes))


def test_a_table_tells_where_how_and_what(tmp_path: Path) -> None:
    """Machine, kernel, commit, command, figures, goals."""
    store_rooms(tmp_path)
    found = section(made(tmp_path), "One room, more listeners")
    assert "Test Processor, 2 CPUs (server on 0, load on 1), Linux 6.1.0, commit" in found
    assert " 0123456789; rostrum 0.1.0; 2026-05-01" in found
    assert "    sfu-bench room --listeners 200\n" in found
    assert "|  | 200 listeners | 800 listeners | 1200 listeners |" in found
    assert "| server CPU per forwarded packet | 3.50 µs | 3.50 µs | 3.85 µs |" in found
    assert "| CPU per packet, dearest / cheapest | <= 1.15 | 1.1 | met |" in found


def test_commands_are_told_without_the_files_of_whoever_typed_them(tmp_path: Path) -> None:
    """A stranger has other folders."""
    typed = "sfu-bench joins --json /home/x/a.json --quiet --joins 5 --html=/home/x/a.html"
    store(tmp_path, "joins", with_meta(make_run(), command=typed))
    assert "    sfu-bench joins --joins 5\n" in made(tmp_path)


def test_what_was_missed_is_said_first(tmp_path: Path) -> None:
    """And what was not measured, with the command that would."""
    store(tmp_path, "janus", make_run(), make_run("janus", scale=2.0))
    text = made(tmp_path)
    head = text.split("\n## ")[0]
    assert (
        "- Beside Janus: CPU per packet, times ahead: wanted >= 3, measured 2: **missed**" in head
    )
    assert "- A storm of joins: join, p99, ms: wanted <= 3,000: not measured (no file)" in head
    assert "Not measured: `sfu-bench joins --joins 1000" in section(text, "A storm of joins")


def test_targets_of_one_run_are_divided(tmp_path: Path) -> None:
    """With a column for the ratio."""
    store(tmp_path, "janus", make_run(), make_run("janus", scale=4.0))
    found = section(made(tmp_path), "Beside Janus")
    assert "|  | rostrum | janus | ahead of janus |" in found
    assert "| server CPU per forwarded packet | 3.50 µs | 14 µs | 4.00x |" in found
    assert "| CPU per packet, times ahead | >= 3 | 4 | met |" in found


@pytest.mark.parametrize(
    "changes",
    [
        {"machine": "Other"},
        {"commit": "fedcba"},
        {"kernel": "6.2"},
        {"started_at": "2026-05-02T10:00:00+00:00"},
    ],
)
def test_what_was_measured_apart_is_not_divided(tmp_path: Path, changes: dict[str, str]) -> None:
    """Another machine, commit, kernel or day."""
    store_rooms(tmp_path, **changes)
    found = section(made(tmp_path), "One room, more listeners")
    assert "| CPU per packet, dearest / cheapest | <= 1.15 | not measured together |" in found


def test_an_untrustworthy_run_fills_no_cell(tmp_path: Path) -> None:
    """Neither its own nor a ratio's; its reason is told."""
    store(tmp_path, "janus", make_run(), make_run("janus", scale=4.0, verdict=TOO_SLOW))
    found = section(made(tmp_path), "Beside Janus")
    assert "No figures for janus: loop lag p99 was 31 ms" in found
    assert "14 µs" not in found
    assert "| loop lag p99 was 31 ms, its limit is 10 ms | not measured |" in found


def test_the_floor_has_its_own_format(tmp_path: Path) -> None:
    """Of the micro benchmark, beside its origin."""
    meta = asdict(META) | {"command": "sfu-bench micro"}
    micro = {
        "ours_us": 3.4,
        "floor_us": 3.0,
        "ratio": 0.88,
        "libcrypto": "x",
        "segmented_ratio": 0.7,
    }
    (tmp_path / "floor.json").write_text(json.dumps({"meta": meta, "micro": micro}))
    found = section(made(tmp_path), "Fan-out beside its floor")
    assert "| ours, µs | 3.40 |" in found
    assert "| floor / ours | >= 0.85 | 0.88 | met |" in found
    assert "| floor / ours, segmented | >= 0.75 | 0.7 | **missed** |" in found


def test_sources_are_divided_by_each_other_where_a_goal_says_so(tmp_path: Path) -> None:
    """And only if they were measured together."""
    store(tmp_path, "mix-1000", make_run(server_cpu_percent=20.0))
    assert "| a file is missing | not measured |" in section(made(tmp_path), "Listeners of a mix")
    store(tmp_path, "slots-1000", make_run(server_cpu_percent=80.0))
    assert "| <= 0.334 | 0.25 | met |" in section(made(tmp_path), "Listeners of a mix")
    store(tmp_path, "slots-1000", with_meta(make_run(server_cpu_percent=80.0), commit="other"))
    assert "| not measured together | not measured |" in section(
        made(tmp_path), "Listeners of a mix"
    )


def test_a_broken_file_stops_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """RESULTS.md stays as it was."""
    (tmp_path / "joins.json").write_text("{")
    output = tmp_path / "RESULTS.md"
    assert tables.main(["--folder", str(tmp_path), "--output", str(output)]) == 2
    assert "joins.json" in capsys.readouterr().err
    assert not output.exists()


def test_goals_name_sources_figures_and_operators_that_exist() -> None:
    """A misspelt one would be "not measured" for ever."""
    parts = {label for labels in PARTS.values() for label in labels.values()}
    names = [source.name for table in TABLES for source in table.sources]
    assert len(names) == len(set(names))
    for table in TABLES:
        sources = {source.name for source in table.sources}
        for goal in table.goals:
            assert {goal.source, goal.divided_by or goal.source, *goal.flat_over} <= sources
            assert goal.figure in {*NAMES, *parts}
            assert goal.sign in OPERATORS
        told = {name for name in table.figures if not is_of_line(name)}
        assert told <= {*NAMES, *parts}
