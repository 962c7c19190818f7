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
