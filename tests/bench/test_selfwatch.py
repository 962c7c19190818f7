"""The load tester's verdict on itself."""

from __future__ import annotations

import pytest

from bench.selfwatch import SelfWatch

FINE = {
    "sent": 1_000,
    "received": 50_000,
    "late_sends": 5,
    "skipped_steps": 0,
    "socket_drops": 0,
    "unstamped": 0,
}


@pytest.fixture
def watch() -> SelfWatch:
    """One that has seen a thousand punctual rounds."""
    one = SelfWatch()
    one.begin(dict.fromkeys(FINE, 0))
    for _ in range(1_000):
        one.round(0.001, 0.0005, 0.005)
    return one


def quiet(watch: SelfWatch, totals: dict[str, int]) -> list[str]:
    """The reasons, but for those that the test's own machine gives."""
    return [
        one
        for one in watch.judge(totals).reasons
        if not one.startswith(("own CPU", "waiting for a core"))
    ]


def test_a_punctual_load_is_trusted(watch: SelfWatch) -> None:
    """Every limit is told with its value."""
    assert quiet(watch, FINE) == []
    assert len(watch.judge(FINE).watched) == 9


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"late_sends": 11}, "late sends was 0.011 of all, its limit is 0.01 of all"),
        ({"skipped_steps": 5}, "steps not sent"),
        ({"socket_drops": 1}, "packets dropped in own sockets was 1, its limit is 0"),
        ({"unstamped": 100}, "arrivals without kernel time"),
    ],
)
def test_each_fault_of_its_own_is_named(
    watch: SelfWatch, changes: dict[str, int], reason: str
) -> None:
    """With value and limit."""
    (told,) = quiet(watch, FINE | changes)
    assert reason in told


def test_one_long_stall_is_enough(watch: SelfWatch) -> None:
    """Though it moves no percentile."""
    watch.round(0.3, 0.0005, 0.005)
    (told,) = quiet(watch, FINE)
    assert told.startswith("loop lag was 300 ms")


def test_constant_lag_is_a_reason(watch: SelfWatch) -> None:
    """Two in a hundred rounds 20 ms late."""
    for _ in range(20):
        watch.round(0.02, 0.0005, 0.005)
    assert [one.split(" was")[0] for one in quiet(watch, FINE)] == ["loop lag p99"]


def test_rounds_that_take_too_long_are_a_reason(watch: SelfWatch) -> None:
    """More than one in ten."""
    for _ in range(200):
        watch.round(0.0, 0.006, 0.005)
    assert [one.split(" was")[0] for one in quiet(watch, FINE)] == [
        "rounds of work that took too long"
    ]


def test_a_busy_process_is_its_own_bottleneck(
    watch: SelfWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above nine tenths of a core its queue only grows."""
    clock = {"wall": 100.0, "cpu": 10.0}
    monkeypatch.setattr("bench.selfwatch.time.monotonic", lambda: clock["wall"])
    monkeypatch.setattr("bench.selfwatch.time.process_time", lambda: clock["cpu"])
    watch.begin(dict.fromkeys(FINE, 0))
    clock.update(wall=110.0, cpu=19.5)
    assert any(one.startswith("own CPU was 95 %") for one in watch.judge(FINE).reasons)


def test_what_was_before_the_window_does_not_count(watch: SelfWatch) -> None:
    """Joining may be rough."""
    watch.round(1.0, 1.0, 0.005)
    watch.begin(FINE | {"socket_drops": 3})
    watch.round(0.001, 0.0005, 0.005)
    assert (
        quiet(watch, {name: 2 * value for name, value in FINE.items()} | {"socket_drops": 3}) == []
    )
