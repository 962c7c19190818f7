"""Copies follow the loss of a line: up at once, down slowly, and off when it collapses."""

from __future__ import annotations

import pytest

from sfu.listening import Protection
from sfu.listening.protection import BLOCKED_S, CALM_S


def after(*steps: tuple[float, float]) -> int:
    """The copies after (loss ratio, time) steps."""
    protection = Protection()
    for loss_ratio, now in steps:
        protection.observe(loss_ratio, now, is_clear=True)
    return protection.copies


@pytest.mark.parametrize(
    ("loss_ratio", "copies"), [(0.0, 0), (0.029, 0), (0.03, 1), (0.149, 1), (0.15, 2), (0.59, 2)]
)
def test_loss_brings_copies_at_once(loss_ratio: float, copies: int) -> None:
    assert after((loss_ratio, 0.0)) == copies


def test_they_go_one_by_one_after_a_calm() -> None:
    assert after((0.2, 0.0), (0.0, 1.0), (0.0, 1.0 + CALM_S - 0.1)) == 2
    assert after((0.2, 0.0), (0.0, 1.0), (0.0, 1.0 + CALM_S)) == 1
    assert after((0.2, 0.0), (0.0, 1.0), (0.0, 1.0 + CALM_S), (0.0, 2.0 + CALM_S)) == 1
    late = 2.0 + 2 * CALM_S
    assert after((0.2, 0.0), (0.0, 1.0), (0.0, 1.0 + CALM_S), (0.0, 2.0 + CALM_S), (0.0, late)) == 0


def test_a_calm_that_is_broken_begins_anew() -> None:
    assert after((0.05, 0.0), (0.0, 1.0), (0.02, 20.0), (0.0, 21.0), (0.0, 1.0 + CALM_S)) == 1


def test_a_line_that_loses_most_gets_nothing_more_for_a_while() -> None:
    assert after((0.2, 0.0), (0.7, 5.0)) == 0
    assert after((0.2, 0.0), (0.7, 5.0), (0.2, 5.0 + BLOCKED_S - 0.1)) == 0
    assert after((0.2, 0.0), (0.7, 5.0), (0.2, 5.0 + BLOCKED_S)) == 2


def test_it_tells_of_changes_only() -> None:
    protection = Protection()
    assert [protection.observe(0.05, now, is_clear=True) for now in (0.0, 5.0)] == [True, False]


def test_copies_are_only_added_where_nothing_waits() -> None:
    protection = Protection()
    assert not protection.observe(0.2, 0.0, is_clear=False)
    assert protection.observe(0.2, 1.0, is_clear=True)
    assert not protection.observe(0.2, 2.0, is_clear=False)
    assert protection.copies == 2


def test_a_first_word_that_told_too_little_is_no_reason_to_take_copies_back() -> None:
    """Of 25 packets one was lost, and a fifth of the hundreds after them."""
    protection = Protection()
    protection.observe(0.04, 0.0, is_clear=True)
    for second, loss_ratio in enumerate((0.1, 0.15, 0.2, 0.2), 1):
        protection.observe(loss_ratio, float(second), is_clear=True)
    assert protection.copies > 0 and not protection.is_hurt


def test_copies_that_make_it_worse_are_taken_back_and_not_tried_again_for_a_while() -> None:
    protection = Protection()
    protection.observe(0.1, 0.0, is_clear=True)
    assert not protection.observe(0.4, 5.0, is_clear=True)
    assert protection.observe(0.4, 10.0, is_clear=True)
    assert (protection.copies, protection.is_hurt) == (0, True)
    assert not protection.observe(0.1, 10.0 + BLOCKED_S - 0.1, is_clear=True)
    protection.begin()
    assert not protection.is_hurt
    assert protection.observe(0.1, 10.0 + BLOCKED_S, is_clear=True)


def test_copies_that_make_a_line_collapse_made_it_worse() -> None:
    protection = Protection()
    protection.observe(0.2, 0.0, is_clear=True)
    assert protection.observe(0.8, 1.0, is_clear=True)
    assert (protection.copies, protection.is_hurt) == (0, True)


def test_copies_that_do_no_harm_stay() -> None:
    protection = Protection()
    for step, loss in enumerate((0.1, 0.11, 0.09, 0.12, 0.14)):
        protection.observe(loss, 5.0 * step, is_clear=True)
    assert (protection.copies, protection.is_hurt) == (1, False)
    for step, loss in enumerate((0.14, 0.3, 0.3, 0.3), start=5):
        protection.observe(loss, 5.0 * step, is_clear=False)
    assert protection.copies == 1  # more is lost later: not by what was added long ago


def test_on_a_full_line_they_go_at_once_and_without_them_it_may_be_tried_anew() -> None:
    protection = Protection()
    protection.observe(0.2, 0.0, is_clear=True)
    assert protection.withdraw(1.0)
    assert not protection.observe(0.2, BLOCKED_S, is_clear=True)
    assert protection.observe(0.2, 1.0 + BLOCKED_S, is_clear=True)
    protection.drop()
    assert protection.copies == 0
    assert protection.observe(0.2, 2.0 + BLOCKED_S, is_clear=True)


def test_copies_that_do_not_make_it_worse_show_that_the_loss_is_by_chance() -> None:
    protection = Protection()
    protection.observe(0.3, 0.0, is_clear=True)
    for second in (1.0, 2.0):
        protection.observe(0.3, second, is_clear=True)
        assert protection.is_testing and protection.harmless_loss is None
    protection.observe(0.3, 3.0, is_clear=True)
    assert not protection.is_testing
    assert protection.harmless_loss == pytest.approx(0.3)
    protection.drop()
    assert protection.harmless_loss is None


@pytest.mark.parametrize(("before", "after"), [(0.2, 0.6), (0.3, 0.65), (0.45, 0.73)])
def test_a_line_that_carries_no_more_with_copies_is_full(before: float, after: float) -> None:
    """What is twice as much loses all that is more; the smoothed loss follows slowly."""
    protection = Protection()
    protection.observe(before, 0.0, is_clear=True)
    protection.observe(before + 0.05, 1.0, is_clear=True, latest=after)
    assert not protection.is_testing
    assert protection.observe(before + 0.1, 2.0, is_clear=True, latest=after)
    assert (protection.copies, protection.is_hurt) == (0, True)


def test_what_is_between_the_two_shows_nothing() -> None:
    protection = Protection()
    protection.observe(0.3, 0.0, is_clear=True)
    for second in (1.0, 2.0, 3.0):
        protection.observe(0.3, second, is_clear=True, latest=0.5)
    assert (protection.copies, protection.is_hurt, protection.is_testing) == (2, False, False)
    assert protection.harmless_loss is None
