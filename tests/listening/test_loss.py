"""The loss of a listener's line is what it lost of what was sent, not what was never there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.listening import DownlinkLoss
from sfu.listening.loss import SENT_MIN, Counted


def test_the_first_report_has_nothing_to_compare_with() -> None:
    loss = DownlinkLoss()
    assert loss.observe({1: Counted(highest=100, lost=50, sent=100)}) is None


def test_losses_of_the_uplink_are_not_the_lines() -> None:
    """Of 100 numbers 20 were never sent; the listener misses those, and 8 of the other 80."""
    loss = DownlinkLoss()
    loss.observe({1: Counted(highest=0, lost=0, sent=0)})
    assert loss.observe({1: Counted(highest=100, lost=28, sent=80)}) == pytest.approx(0.1)


def test_tracks_count_together_and_bursts_are_half_believed() -> None:
    loss = DownlinkLoss()
    loss.observe({1: Counted(0, 0, 0), 2: Counted(0, 0, 0)})
    loss.observe({1: Counted(100, 0, 100), 2: Counted(100, 0, 100)})
    assert loss.observe({1: Counted(200, 40, 200), 2: Counted(200, 0, 200)}) == pytest.approx(0.1)


def test_few_packets_say_nothing() -> None:
    loss = DownlinkLoss()
    loss.observe({1: Counted(0, 0, 0)})
    assert loss.observe({1: Counted(SENT_MIN - 1, 5, SENT_MIN - 1)}) is None
    assert loss.ratio is None


def test_numbers_that_go_back_begin_anew() -> None:
    loss = DownlinkLoss()
    loss.observe({1: Counted(1_000, 0, 1_000)})
    assert loss.observe({1: Counted(10, 3, 10)}) is None
    assert loss.observe({1: Counted(110, 3, 110)}) == 0.0


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))))
def test_it_stays_a_share(steps: list[tuple[int, int, int]]) -> None:
    """Whatever a listener claims."""
    loss = DownlinkLoss()
    highest = lost = sent = 0
    for step, more_lost, more_sent in steps:
        highest, lost, sent = highest + step, lost + more_lost - 100, sent + more_sent
        ratio = loss.observe({1: Counted(highest, lost, sent)})
        assert ratio is None or 0.0 <= ratio <= 1.0
