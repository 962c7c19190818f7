"""The benchmark of the mixer measures what it says, and tells by its exit status how it went."""

from __future__ import annotations

import json

import pytest

from bench import mixing

QUICK = ["--seconds", "0.5"]


def test_reports_both_sides_and_their_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    """More tiers cost more, a room without voices next to nothing."""
    assert mixing.main([*QUICK, "--speakers", "2", "--tiers", "B1,B3", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["speakers"], report["tiers"]) == (2, "B1,B3")
    assert 0 < report["floor_percent"] < 50
    assert 0.2 < report["ratio"] < 1.5
    assert set(report["by_tier_percent"]) == {"B1", "B3"}
    assert 0 < report["silent_percent"] < min(report["by_tier_percent"].values()) / 3
    assert 0 < report["tick_p50_us"] <= report["tick_p99_us"]


def test_a_missed_requirement_is_exit_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is mixed for nothing."""
    assert mixing.main([*QUICK, "--tiers", "B3", "--require", "0.001"]) == 1
    assert "above 0.001" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--speakers", "7"], ["--tiers", "B1,A1"], ["--speakers", "0"]])
def test_what_no_room_has_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        mixing.main(words)
