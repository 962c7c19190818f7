"""`compare` judges by direction and tolerance, and refuses what does not compare."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from bench import compare
from bench.report.document import Report, as_json
from bench.results import Run
from tests.bench.runs import TOO_SLOW, make_run, with_meta


def compared(folder: Path, before: list[Run], after: list[Run], *words: str) -> int:
    """The exit status of the command."""
    paths = []
    for name, runs in (("a", before), ("b", after)):
        path = folder / f"{name}.json"
        path.write_text(as_json(Report(tuple(runs))), encoding="utf-8")
        paths.append(str(path))
    return compare.main([*paths, *words])


@pytest.mark.parametrize(
    ("name", "before", "after", "judgement"),
    [
        ("delay_p99_ms", 1.0, 1.2, "worse"),
        ("delay_p99_ms", 1.2, 1.0, "better"),
        ("joins_per_s", 100.0, 120.0, "better"),
        ("joins_per_s", 120.0, 100.0, "worse"),
        ("delay_p99_ms", 1.0, 1.05, "same"),
        ("delay_p99_ms", 1.05, 1.0, "same"),
        ("loss_ratio", 0.0, 0.0, "same"),
        ("loss_ratio", 0.0, 0.001, "worse"),
        ("loss_ratio", 0.001, 0.0, "better"),
        ("delay_p99_ms", 1.0, math.inf, "worse"),
        ("received_packets", 1.0, 2.0, "differs"),
    ],
)
def test_judgement(name: str, before: float, after: float, judgement: str) -> None:
    """Within 5 % of each other is the same; what has no better side only differs."""
    assert compare.judge(name, before, after, 0.05) == judgement


def test_the_table_tells_both_values_their_ratio_and_the_judgement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what only one of them measured."""
    after = make_run(scale=2.0, join_p99_ms=5.0)
    assert compared(tmp_path, [make_run()], [after]) == 0
    out = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "server CPU per forwarded packet 3.50 µs 7 µs 2.000 worse" in lines
    assert "packets lost 0 % 0 % 1.000 same" in lines
    assert "measured only after: join_p99_ms" in lines


def test_something_worse_may_fail(tmp_path: Path) -> None:
    """When asked for, and only beyond the tolerance."""
    runs = [make_run()], [make_run(scale=1.2)]
    assert compared(tmp_path, *runs) == 0
    assert compared(tmp_path, *runs, "--fail-if-worse") == 1
    assert compared(tmp_path, *runs, "--fail-if-worse", "--tolerance", "25") == 0
    assert compared(tmp_path, runs[1], runs[0], "--fail-if-worse") == 0


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (with_meta(make_run(), load="joins"), "load: room / joins"),
        (with_meta(make_run(), machine="Other"), "machine: Test Processor / Other"),
        (with_meta(make_run(), kernel="6.2"), "kernel: 6.1.0 / 6.2"),
        (with_meta(make_run(), server_cpus=()), "server_cpus: (0,) / ()"),
        (replace(make_run(), options={}), "listeners: 200 / None"),
        (make_run("janus"), "target: rostrum / janus"),
    ],
)
def test_what_does_not_compare_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], after: Run, told: str
) -> None:
    """Saying what differs; forced, that stands above the table."""
    assert compared(tmp_path, [make_run()], [after]) == 2
    out, err = capsys.readouterr()
    assert told in err
    assert "delay" not in out
    assert compared(tmp_path, [make_run()], [after], "--force") == 0
    out, err = capsys.readouterr()
    assert out.index(f"differs, {told}") < out.index("added delay")


def test_another_commit_compares(tmp_path: Path) -> None:
    """That is what it is for."""
    assert (
        compared(tmp_path, [make_run()], [with_meta(make_run(), commit="fedcba", version="2")]) == 0
    )


def test_targets_are_paired_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In whatever order they ran; without a common one there is nothing to compare."""
    before = [make_run(), make_run("janus", scale=3.0)]
    assert compared(tmp_path, before, before[::-1], "--fail-if-worse") == 0
    assert capsys.readouterr().out.count("added delay, p99 ") == 2
    assert compared(tmp_path, before, [make_run("a"), make_run("b")], "--force") == 2


def test_an_untrustworthy_run_is_never_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even by force: it has no figures."""
    assert compared(tmp_path, [make_run()], [make_run(verdict=TOO_SLOW)], "--force") == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "loop lag p99 was 31 ms" in err


def test_an_unreadable_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line with its path."""
    assert compare.main([str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 2
    assert "a.json: No such file" in capsys.readouterr().err
