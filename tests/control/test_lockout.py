"""Repeated failures keep an address out for a while, and nobody else."""

from __future__ import annotations

import pytest

from control.lockout import FAILURES_MAX, LOCKED_S, WINDOW_S, Lockout, origin_of

HERE, THERE = "192.0.2.1", "192.0.2.2"


def fail_often(lockout: Lockout, now: float, times: int = FAILURES_MAX) -> list[bool]:
    """Fail from one address; which failures locked it out."""
    return [lockout.fail(HERE, now) for _ in range(times)]


def test_the_last_of_the_allowed_failures_locks_out() -> None:
    lockout = Lockout()
    assert fail_often(lockout, 10.0) == [False] * (FAILURES_MAX - 1) + [True]
    assert lockout.remaining_s(HERE, 10.0) == LOCKED_S
    assert lockout.remaining_s(THERE, 10.0) == 0.0


def test_it_ends_by_itself_and_counts_anew() -> None:
    lockout = Lockout()
    fail_often(lockout, 0.0)
    assert lockout.remaining_s(HERE, LOCKED_S - 1.0) == 1.0
    assert lockout.remaining_s(HERE, LOCKED_S) == 0.0
    assert fail_often(lockout, LOCKED_S, FAILURES_MAX - 1) == [False] * (FAILURES_MAX - 1)
    assert lockout.remaining_s(HERE, LOCKED_S) == 0.0


def test_failures_far_apart_do_not_add_up() -> None:
    lockout = Lockout()
    assert not any(lockout.fail(HERE, n * WINDOW_S) for n in range(20))


def test_the_table_is_bounded_and_forgets_who_failed_longest_ago() -> None:
    lockout = Lockout(addresses_max=3)
    fail_often(lockout, 0.0)
    for number in range(2):
        lockout.fail(f"10.0.0.{number}", 1.0)
    assert lockout.remaining_s(HERE, 2.0) > 0
    lockout.fail(THERE, 2.0)
    assert len(lockout) == 3
    assert lockout.remaining_s(HERE, 2.0) == 0.0


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_address_is_what_somebody_has_one_of(host: str, origin: str) -> None:
    """A subnet of IPv6 addresses is free to whoever has one of them."""
    assert origin_of(host) == origin
