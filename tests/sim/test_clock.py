"""Virtual time: order by time, then by the order of scheduling."""

from __future__ import annotations

import pytest

from tests.sim.clock import Clock


def run(clock: Clock) -> None:
    while len(clock):
        time, _, action, argument = clock.pop()
        action(argument, time)


def test_actions_run_by_time_and_ties_in_the_order_scheduled() -> None:
    clock, seen = Clock(), []

    def note(name: str, now: float) -> None:
        seen.append((name, now, clock.now))

    clock.at(2.0, note, "c")
    clock.at(1.0, note, "a")
    clock.at(1.0, note, "b")
    run(clock)
    assert seen == [("a", 1.0, 1.0), ("b", 1.0, 1.0), ("c", 2.0, 2.0)]


def test_an_action_in_the_past_runs_now() -> None:
    clock, times = Clock(), []
    clock.advance(5.0)
    clock.at(1.0, lambda _, now: times.append(now))
    run(clock)
    assert times == [5.0]


def test_simultaneous_actions_of_one_kind_are_taken_together() -> None:
    clock, one, other = Clock(), (lambda _, now: None), (lambda _, now: None)
    for action, argument in ((one, 1), (one, 2), (other, 3), (one, 4)):
        clock.at(1.0, action, argument)
    clock.at(2.0, one, 5)
    assert clock.pop()[3] == 1
    assert clock.pop_same(one) == [2], "what another action separates stays behind it"


def test_time_neither_goes_back_nor_skips_an_action() -> None:
    clock = Clock()
    clock.advance(1.0)
    with pytest.raises(AssertionError):
        clock.advance(0.5)
    clock.at(2.0, lambda _, now: None)
    with pytest.raises(AssertionError):
        clock.advance(3.0)
