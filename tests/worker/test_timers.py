"""Timers: one heap for everybody's deadlines."""

from __future__ import annotations

import weakref

from hypothesis import given
from hypothesis import strategies as st

from sfu.worker.timers import STALE_MAX, Timers


class Owner:
    """Waits for a deadline that tests set."""

    def __init__(self, deadline: float | None) -> None:
        self.deadline = deadline

    def next_deadline(self) -> float | None:
        """When it wants to be woken."""
        return self.deadline


def test_owners_come_due_in_the_order_of_their_deadlines() -> None:
    timers: Timers[Owner] = Timers()
    late, early = Owner(2.0), Owner(1.0)
    for owner in (late, early):
        timers.watch(owner)
    assert timers.next_deadline() == 1.0
    assert list(timers.due(0.5)) == []
    assert list(timers.due(3.0)) == [early, late]
    assert timers.next_deadline() is None


def test_a_deadline_that_moved_later_does_not_fire_early() -> None:
    timers: Timers[Owner] = Timers()
    owner = Owner(1.0)
    timers.watch(owner)
    owner.deadline = 5.0
    timers.watch(owner)
    assert list(timers.due(1.0)) == []
    assert timers.next_deadline() == 5.0
    assert list(timers.due(5.0)) == [owner]


def test_a_deadline_that_moved_earlier_fires_then_and_once() -> None:
    timers: Timers[Owner] = Timers()
    owner = Owner(5.0)
    timers.watch(owner)
    owner.deadline = 1.0
    timers.watch(owner)
    assert list(timers.due(1.0)) == [owner]
    assert list(timers.due(9.0)) == []


def test_a_forgotten_owner_never_fires() -> None:
    timers: Timers[Owner] = Timers()
    owner = Owner(1.0)
    timers.watch(owner)
    timers.forget(owner)
    assert timers.next_deadline() is None
    assert list(timers.due(2.0)) == []
    assert len(timers) == 0


def test_forgotten_owners_do_not_stay_in_memory() -> None:
    """However far away their deadlines were."""
    timers: Timers[Owner] = Timers()
    gone = []
    for _ in range(1_000):
        owner = Owner(1e9)
        timers.watch(owner)
        timers.forget(owner)
        gone.append(weakref.ref(owner))
    del owner
    assert sum(one() is not None for one in gone) <= STALE_MAX + 1


def test_an_owner_without_a_deadline_is_not_kept() -> None:
    timers: Timers[Owner] = Timers()
    timers.watch(Owner(None))
    assert len(timers) == 0


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50)), max_size=60))
def test_nobody_is_late_and_nobody_is_early(moves: list[tuple[int, int]]) -> None:
    """Whatever deadlines do, each `due` gives exactly those whose time has come."""
    timers: Timers[Owner] = Timers()
    owners = [Owner(None) for _ in range(5)]
    for now, (index, deadline) in enumerate(moves):
        owners[index].deadline = float(deadline)
        timers.watch(owners[index])
        expected = {
            owner for owner in owners if owner.deadline is not None and owner.deadline <= now
        }
        fired = list(timers.due(float(now)))
        assert set(fired) == expected and len(fired) == len(expected)
        for owner in fired:
            owner.deadline = None


def test_with_a_grain_deadlines_close_to_each_other_come_due_together_and_never_early() -> None:
    timers: Timers[Owner] = Timers(0.25)
    first, second, third = Owner(1.01), Owner(1.2), Owner(1.3)
    for owner in (second, first, third):
        timers.watch(owner)
    assert timers.next_deadline() == 1.25
    assert list(timers.due(1.2)) == []
    assert set(timers.due(1.25)) == {first, second}
    assert timers.next_deadline() == 1.5


@given(st.floats(0, 1e6), st.sampled_from([0.005, 0.02]))
def test_a_grain_makes_nobody_wait_longer_than_itself(deadline: float, grain_s: float) -> None:
    timers: Timers[Owner] = Timers(grain_s)
    owner = Owner(deadline)
    timers.watch(owner)
    when = timers.next_deadline()
    assert when is not None and deadline <= when <= deadline + grain_s * 1.001 + 1e-9
    assert list(timers.due(when)) == [owner]
