"""A line: what reports say of its loss is what protection follows, if its listener takes RED."""

from __future__ import annotations

from sfu.listening import Counted, Line


def reports(line: Line, loss: float, count: int, *, start: int = 0) -> list[bool]:
    """So many reports of 250 packets, 5 s apart; whether each changed something."""
    return [
        line.observe({1: Counted(250 * step, round(250 * loss * step), 250 * step)}, 5.0 * step)
        for step in range(start, start + count)
    ]


def test_a_tenth_lost_is_protected_with_the_second_report() -> None:
    line = Line(takes_red=True)
    assert (line.loss_ratio, line.copies) == (None, 0)
    assert reports(line, 0.1, 3) == [False, True, False]
    assert (line.loss_ratio, line.copies) == (0.1, 1)


def test_a_clean_line_never_is() -> None:
    line = Line(takes_red=True)
    assert not any(reports(line, 0.0, 100))
    assert (line.loss_ratio, line.copies) == (0.0, 0)


def test_who_takes_no_red_only_has_a_loss() -> None:
    line = Line(takes_red=False)
    assert not any(reports(line, 0.2, 10))
    assert (line.loss_ratio, line.copies) == (0.2, 0)


def test_protection_is_off_when_the_line_collapses() -> None:
    line = Line(takes_red=True)
    reports(line, 0.2, 3)
    assert line.copies == 2
    lost = 100
    for step in range(3, 8):
        lost += 225
        line.observe({1: Counted(250 * step, lost, 250 * step)}, 5.0 * step)
    assert line.copies == 0
