"""A report round-trips as JSON, reads well on a terminal, and hides what cannot be trusted."""

from __future__ import annotations

import argparse
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest

from bench import report
from bench.report.document import Report, ReportError, as_json, from_json, read
from bench.report.summary import write
from bench.results import Histogram, Joins, Run
from bench.thresholds import ThresholdError, judge, parse
from tests.bench.runs import TOO_SLOW, make_run, with_meta


def text_of(*runs: Run, fail_if: tuple[str, ...] = ()) -> str:
    """The summary, as a file gets it."""
    stream = io.StringIO()
    outcomes = judge([parse(one) for one in fail_if], runs)
    write(Report(runs, tuple(outcomes)), stream)
    return stream.getvalue()


def line_with(text: str, words: str) -> str:
    """The first line that holds the words, single-spaced."""
    return next(" ".join(line.split()) for line in text.splitlines() if words in line)


# JSON


def test_json_round_trips() -> None:
    """Whatever a run holds, infinity and absence included."""
    run = make_run(delay_p999_ms=math.inf)
    run.distributions["delay"] = Histogram("ms", [0.5, 1.0], [3, 2, 1])
    original = Report((run, make_run("inf")), tuple(judge([parse("delay_p99_ms>5")], [run])))
    assert from_json(as_json(original)) == original


def test_json_is_json() -> None:
    """Readers in other languages know no `Infinity`."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    text = as_json(Report((make_run(delay_p99_ms=math.inf),)))
    raw = json.loads(text, parse_constant=refuse)
    assert (raw["format"], raw["version"]) == ("sfu-bench", 1)
    assert raw["runs"][0]["figures"]["delay_p99_ms"] == "inf"


def test_a_figure_that_is_no_number_is_a_bug() -> None:
    """Of the load; it must not reach a file."""
    with pytest.raises(ValueError, match="JSON"):
        as_json(Report((make_run(delay_p99_ms=math.nan),)))


def test_keys_of_a_later_version_are_passed_over() -> None:
    """The same version number promises that old keys mean what they meant."""
    raw = json.loads(as_json(Report((make_run(),))))
    raw["later"] = raw["runs"][0]["later"] = raw["runs"][0]["meta"]["later"] = 1
    assert from_json(json.dumps(raw)).runs == (make_run(),)


def without(raw: dict[str, Any], key: str) -> dict[str, Any]:
    """A copy without one key."""
    return {name: value for name, value in raw.items() if name != key}


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    """With the reason, whatever is wrong with it."""
    raw = json.loads(as_json(Report((make_run(),))))
    wrong: list[tuple[Any, str]] = [
        ("{", "no JSON"),
        (json.dumps([]), "not a report"),
        (json.dumps({"a": 1}), "not a report"),
        (json.dumps(raw | {"version": 2}), "this one reads 1"),
        (json.dumps(without(raw, "runs")), "'runs' is missing"),
        (json.dumps(raw | {"runs": []}), "at least one run"),
        (json.dumps(raw | {"runs": [5]}), "report"),
        (json.dumps(raw | {"runs": [without(raw["runs"][0], "verdict")]}), "'verdict' is missing"),
        (json.dumps(raw | {"runs": [raw["runs"][0] | {"meta": 5}]}), "Expected"),
        (json.dumps(raw | {"runs": [raw["runs"][0] | {"figures": [1]}]}), "report"),
    ]
    for text, complaint in wrong:
        with pytest.raises(ReportError) as caught:
            from_json(text)
        assert complaint in str(caught.value)
    with pytest.raises(ReportError, match="No such file"):
        read(tmp_path / "absent.json")


def test_json_of_an_untrustworthy_run_holds_no_figure() -> None:
    """Only where, how, and what was the bottleneck."""
    raw = json.loads(as_json(Report((make_run(verdict=TOO_SLOW),))))
    (run,) = raw["runs"]
    assert run.keys() == {"meta", "target", "options", "verdict"}
    assert run["verdict"]["reasons"] == list(TOO_SLOW.reasons)
    again = from_json(json.dumps(raw)).runs[0]
    assert (again.figures, again.series.seconds, again.joins.stages) == ({}, [], ())


# Summary


def test_summary_tells_load_verdict_figures_and_stages() -> None:
    """In that order, with units."""
    text = text_of(make_run())
    assert line_with(text, "room:").startswith("rostrum room: 3 speakers, 200 listeners, talk al")
    assert "Test Processor, 2 CPUs (server on 0, load on 1), Linux 6.1.0, commit 0123456789" in text
    assert "rostrum 0.1.0: trustworthy: the load tester kept up (nearest its limit: loop" in text
    assert line_with(text, "added delay, p99") == "added delay, p99 0.900 ms"
    assert line_with(text, "server CPU per") == "server CPU per forwarded packet 3.50 µs"
    assert line_with(text, "dtls") == "dtls 5 ms 9 ms 14 ms 20 ms"
    assert "203 of 203 connected, 99 joins/s" in text
    places = [text.index(word) for word in ("room:", "trustworthy", "added delay", "dtls")]
    assert places == sorted(places)


def test_two_targets_stand_side_by_side_with_ratios() -> None:
    """How many times the first is ahead, whichever way is better."""
    text = text_of(make_run(joins_per_s=100.0), make_run("janus", scale=3.0, joins_per_s=50.0))
    assert line_with(text, "figure") == "figure rostrum janus ahead of janus"
    assert line_with(text, "server CPU per") == (
        "server CPU per forwarded packet 3.50 µs 10.5 µs 3.00x"
    )
    assert line_with(text, "packets forwarded").endswith("1.00x")
    assert line_with(text, "joins ").endswith("100 /s 50 /s 2.00x")
    assert line_with(text, "packets lost") == "packets lost 0 % 0 %"


def test_a_target_that_ran_twice_is_numbered() -> None:
    """Two columns of one name would tell nothing."""
    text = text_of(make_run(), make_run(scale=2.0))
    assert line_with(text, "figure") == "figure rostrum 1 rostrum 2 ahead of rostrum 2"


def test_an_untrustworthy_run_shows_only_its_bottleneck() -> None:
    """No figure, no stage, no ratio, no threshold."""
    text = text_of(make_run(verdict=TOO_SLOW), fail_if=("delay_p99_ms>5",))
    assert "NO FIGURES: the load tester was the bottleneck: loop lag p99 was 31 ms" in text
    for word in ("added delay", "3.50", "dtls", "kept", "MISSED"):
        assert word not in text
    beside = text_of(make_run(), make_run("janus", scale=3.0, verdict=TOO_SLOW))
    assert line_with(beside, "added delay, p99") == "added delay, p99 0.900 ms –"
    assert "10.5" not in beside


def test_faults_are_told_only_where_there_are_any() -> None:
    """And details are left to the JSON."""
    calm = text_of(make_run(silent_listeners=0.0, received_packets=5.0))
    assert "heard nothing" not in calm
    assert "packets received" not in calm
    assert "heard nothing" in text_of(make_run(silent_listeners=2.0))


def test_notes_failures_and_thresholds_end_the_summary() -> None:
    """What a reader must not overlook."""
    run = with_meta(make_run(), notes=("the server waited",))
    run.joins = Joins(203, 201, 2, {"refused: full": 2}, run.joins.stages)
    text = text_of(run, fail_if=("delay_p99_ms>0.5", "loss_ratio>0"))
    assert "rostrum: joins failed: 2 x refused: full" in text
    assert line_with(text, "MISSED") == "MISSED delay_p99_ms>0.5 (rostrum: 0.900 ms)"
    assert line_with(text, "loss_ratio") == "kept loss_ratio>0 (rostrum: 0 %)"
    assert "note: the server waited" in text
    assert "note: rostrum: the server waited" in text_of(run, make_run("janus"))


def test_markup_in_names_is_text() -> None:
    """A room may be called anything; it must not colour the terminal or break the table."""
    assert "[bold]x[/bold]" in text_of(make_run("[bold]x[/bold]"))


# Publishing


def arguments_of(*words: str) -> argparse.Namespace:
    """As a command line of loads parses them."""
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    return parser.parse_args(words)


def published(runs: list[Run], *words: str) -> int:
    """The exit status."""
    arguments = arguments_of(*words)
    return report.publish(runs, report.thresholds_of(arguments), arguments)


def test_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    """0 fine, 1 a threshold missed, 3 the load tester was the bottleneck, whatever else."""
    assert published([make_run()], "--fail-if", "delay_p99_ms>5") == 0
    assert published([make_run()], "--fail-if", "lost>0", "--fail-if", "delay_p99_ms>0.5") == 1
    untrustworthy = [make_run(), make_run("janus", verdict=TOO_SLOW)]
    assert published(untrustworthy, "--fail-if", "delay_p99_ms>0.5") == 3
    assert "janus: the load tester was the bottleneck: loop lag p99" in capsys.readouterr().err


def test_quiet_prints_nothing_but_why_it_failed(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipeline's log still says what was missed."""
    assert published([make_run()], "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert published([make_run()], "--quiet", "--fail-if", "delay_p99_ms>0.5") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "MISSED" in err


def test_files_are_written(tmp_path: Path) -> None:
    """Both, from one run."""
    json_file, html_file = tmp_path / "a.json", tmp_path / "a.html"
    assert (
        published([make_run()], "--quiet", "--json", str(json_file), "--html", str(html_file)) == 0
    )
    assert read(json_file).runs == (make_run(),)
    assert html_file.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_an_unknown_figure_is_an_error_before_anything_runs() -> None:
    """`thresholds_of` is called first."""
    with pytest.raises(ThresholdError, match="did you mean"):
        report.thresholds_of(arguments_of("--fail-if", "delay_p9_ms>5"))


def test_a_target_that_will_not_run_is_an_error_before_anything_runs() -> None:
    """If it is known by then who will."""
    arguments = arguments_of("--fail-if", "janus:delay_p99_ms>5")
    assert len(report.thresholds_of(arguments)) == 1
    assert len(report.thresholds_of(arguments, ["rostrum", "janus"])) == 1
    with pytest.raises(ThresholdError, match="there is: rostrum"):
        report.thresholds_of(arguments, ["rostrum"])


def test_a_file_that_cannot_be_written_is_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found out before the load, not after it; nothing is created by that."""
    for path in (tmp_path, tmp_path / "absent" / "a.json"):
        with pytest.raises(SystemExit, match="2"):
            arguments_of("--json", str(path))
        assert "cannot be written" in capsys.readouterr().err
    arguments_of("--html", str(tmp_path / "a.html"))
    assert list(tmp_path.iterdir()) == []
