"""`--fail-if` takes expressions that describe a failure, and nothing that cannot be one."""

from __future__ import annotations

import pytest

from bench.thresholds import Threshold, ThresholdError, judge, parse
from tests.bench.runs import TOO_SLOW, make_run


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("delay_p99_ms>5", Threshold("delay_p99_ms", ">", 5.0)),
        (" delay_p99_ms >= 5e-1 ", Threshold("delay_p99_ms", ">=", 0.5)),
        ("joins_per_s<100", Threshold("joins_per_s", "<", 100.0)),
        ("packets_per_s<=1", Threshold("packets_per_s", "<=", 1.0)),
        ("lost==0", Threshold("lost", "==", 0.0)),
        ("loss_ratio>0.5%", Threshold("loss_ratio", ">", 0.005)),
        ("server_cpu_percent>80%", Threshold("server_cpu_percent", ">", 80.0)),
        ("janus:loss_ratio>0", Threshold("loss_ratio", ">", 0.0, "janus")),
        ("[::1]:7700:lost>0", Threshold("lost", ">", 0.0, "[::1]:7700")),
    ],
)
def test_expressions(text: str, expected: Threshold) -> None:
    """Name, operator and number, with a target in front or not."""
    assert parse(text) == expected


@pytest.mark.parametrize("threshold", ["delay_p99_ms>5", "janus:lost==0"])
def test_text_parses_to_itself(threshold: str) -> None:
    """So a report tells what can be typed again."""
    assert str(parse(threshold)) == threshold


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("delay_p9_ms>5", "did you mean delay_p99_ms?"),
        ("qqqqqq>5", "known: delay_p50_ms"),
        ("delay_p99_ms", "FIGURE OPERATOR NUMBER"),
        ("delay_p99_ms=5", "FIGURE OPERATOR NUMBER"),
        ("delay_p99_ms!=5", "FIGURE OPERATOR NUMBER"),
        ("delay_p99_ms>fast", "'fast' is not a number"),
        ("delay_p99_ms>5%", "'5%' is not a number"),
        ("delay_p99_ms>inf", "finite"),
        ("delay_p99_ms>nan", "finite"),
        ("", "FIGURE OPERATOR NUMBER"),
    ],
)
def test_what_cannot_be_a_threshold_is_refused(text: str, complaint: str) -> None:
    """With what may have been meant."""
    with pytest.raises(ThresholdError) as caught:
        parse(text)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "missed"),
    [
        ("delay_p99_ms>0.9", False),
        ("delay_p99_ms>=0.9", True),
        ("delay_p99_ms<0.9", False),
        ("delay_p99_ms<=0.9", True),
        ("delay_p99_ms==0.9", True),
        ("delay_p99_ms==0.8", False),
    ],
)
def test_the_expression_describes_the_failure(text: str, missed: bool) -> None:
    """The run's value is 0.9."""
    (outcome,) = judge([parse(text)], [make_run()])
    assert (outcome.missed, outcome.value) == (missed, 0.9)
    assert str(outcome).startswith("MISSED" if missed else "kept")
    assert "0.900 ms" in str(outcome)


def test_a_figure_that_was_not_measured_is_missed() -> None:
    """A gate that measures nothing must not look green."""
    (outcome,) = judge([parse("join_p99_ms>5")], [make_run()])
    assert outcome.missed
    assert "not measured" in str(outcome)


def test_a_run_that_cannot_be_trusted_keeps_nothing() -> None:
    """Its value is not even looked at."""
    (outcome,) = judge([parse("delay_p99_ms>5")], [make_run(verdict=TOO_SLOW)])
    assert (outcome.missed, outcome.value) == (True, None)


def test_without_a_target_the_first_one_is_judged() -> None:
    """A slow peer beside it fails nobody's build."""
    runs = [make_run(), make_run("janus", scale=9.0)]
    plain, of_peer = judge([parse("delay_p99_ms>5"), parse("janus:delay_p99_ms>5")], runs)
    assert (plain.missed, of_peer.missed) == (False, True)


def test_a_target_that_did_not_run_is_refused() -> None:
    """Naming those that did."""
    with pytest.raises(ThresholdError, match="there is: rostrum"):
        judge([parse("janus:delay_p99_ms>5")], [make_run()])
