"""The loss of a listener's line is what it lost of what was sent, not what was never there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.listening import Counted, DownlinkLoss, count
from sfu.listening.loss import ROUND_S, SENT_MIN, LossSince


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


def test_reports_that_come_with_each_request_count_together() -> None:
    """What was sent late is on its way when the request for it is: one of 25 would be 4 %."""
    loss = DownlinkLoss()
    loss.observe({1: Counted(0, 0, 0)}, 0.0)
    assert loss.observe({1: Counted(50, 0, 50)}, 10.0) == 0.0
    assert loss.observe({1: Counted(100, 2, 100)}, 10.0 + ROUND_S / 2) is None
    assert loss.observe({1: Counted(200, 2, 200)}, 10.0 + ROUND_S) == pytest.approx(0.5 * 2 / 150)


def test_what_says_too_little_counts_with_the_next() -> None:
    loss = DownlinkLoss()
    loss.observe({1: Counted(0, 0, 0)})
    assert loss.observe({1: Counted(20, 2, 20)}) is None
    assert loss.observe({1: Counted(40, 2, 40)}) == pytest.approx(0.05)


def test_what_was_sent_again_hides_no_loss() -> None:
    """Of 100 packets 10 were lost and sent again, and of those another one was lost."""
    loss = DownlinkLoss()
    loss.observe({1: Counted(0, 0, 0)})
    assert loss.observe({1: Counted(100, 1, 110)}) == pytest.approx(11 / 110)


def test_a_gap_that_is_under_way_is_nobodys_loss() -> None:
    """A report ends just before a gap of 50; the next one has seen it."""
    loss = DownlinkLoss()
    loss.observe({1: count(highest=100, lost=0, last_sequence=100, packets=101)})
    first = count(highest=200, lost=0, last_sequence=255, packets=206)
    assert first == Counted(highest=200, lost=0, sent=151, under_way=55)
    assert loss.observe({1: first}) == 0.0
    after = count(highest=350, lost=50, last_sequence=352, packets=303)
    assert loss.observe({1: after}) == 0.0


def test_a_gap_that_is_under_way_at_the_first_report_is_nobodys_loss_either() -> None:
    loss = DownlinkLoss()
    loss.observe({1: count(highest=200, lost=0, last_sequence=255, packets=206)})
    after = count(highest=350, lost=50, last_sequence=352, packets=303)
    assert loss.observe({1: after}) == 0.0


def test_duplicates_made_by_a_network_hide_loss_for_one_report_at_most() -> None:
    loss = DownlinkLoss()
    loss.observe({1: Counted(0, 0, 0)})
    for step in range(1, 10):
        loss.observe({1: Counted(100 * step, -10 * step, 100 * step, under_way=2)})
    assert loss.observe({1: Counted(1_000, -70, 1_000, under_way=2)}) == pytest.approx(0.09)


@pytest.mark.parametrize(
    ("highest", "last", "meant"),
    [(100, 100, 100), (0x1_FFFE, 0x2_0001, 0x1_FFFE), (5, 0x3_0006, 0x3_0005), (101, 100, 100)],
)
def test_a_report_means_the_nearest_number_that_was_sent(
    highest: int, last: int, meant: int
) -> None:
    """The listener counts roll-overs from its own first packet."""
    counted = count(highest=highest, lost=0, last_sequence=last, packets=last)
    assert (counted.highest, counted.sent) == (meant, meant)


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


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 60)), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(1, 400), st.integers(0, 80)), min_size=2, max_size=20),
)
def test_no_gap_of_an_uplink_is_ever_a_loss_of_a_clean_line(
    gaps: list[tuple[bool, int]], reports: list[tuple[int, int]]
) -> None:
    """Runs of numbers that were sent or never there; reports after so many, so far behind."""
    there = [is_sent for is_sent, length in gaps for _ in range(length)]
    loss, newest = DownlinkLoss(), 0

    def is_there(number: int) -> bool:
        return there[number % len(there)]

    for step, behind in reports:
        newest += step
        highest = max((n for n in range(newest - behind) if is_there(n)), default=None)
        last = max((n for n in range(newest) if is_there(n)), default=None)
        if highest is None or last is None:
            continue
        missing = sum(not is_there(n) for n in range(highest))
        packets = sum(is_there(n) for n in range(last + 1))
        counted = count(highest=highest, lost=missing, last_sequence=last, packets=packets)
        loss.observe({1: counted})
        assert loss.ratio in (None, 0.0)


def test_what_a_track_lost_at_its_end_is_not_lost_when_it_goes_on() -> None:
    """The last 20 of a track that fell silent never came, which shows when there are later ones."""
    loss = DownlinkLoss()

    def tell(silent: Counted, other: int) -> float | None:
        return loss.observe({1: silent, 2: Counted(other, 0, other)})

    tell(count(highest=100, lost=0, last_sequence=100, packets=100), 100)
    tell(count(highest=180, lost=0, last_sequence=200, packets=200), 200)
    tell(count(highest=180, lost=0, last_sequence=200, packets=200), 300)
    assert loss.latest == 0.0
    tell(count(highest=300, lost=20, last_sequence=300, packets=300), 400)
    assert loss.latest == 0.0
    tell(count(highest=400, lost=30, last_sequence=400, packets=400), 500)
    assert loss.latest == pytest.approx(0.05)


def test_a_track_of_which_nothing_came_meanwhile_is_not_silent() -> None:
    loss = DownlinkLoss()
    for last_sequence in (100, 200, 300):
        none_came = count(highest=100, lost=0, last_sequence=last_sequence, packets=last_sequence)
        loss.observe({1: none_came, 2: Counted(last_sequence, 0, last_sequence)})
    again = count(highest=400, lost=299, last_sequence=400, packets=400)
    loss.observe({1: again, 2: Counted(400, 0, 400)})
    assert loss.latest == pytest.approx(299 / 400)


def test_the_first_report_after_a_change_is_half_of_what_was_before() -> None:
    since = LossSince()
    assert since.take_report(0.5)
    since.begin()
    assert not since.take_report(0.5)
    ratios = [since.ratio]
    assert since.take_report(0.1)
    assert [*ratios, since.ratio] == [None, 0.1]
    assert since.is_whole


def test_after_more_is_sent_it_counts_but_is_not_the_whole_truth() -> None:
    since = LossSince()
    since.begin(is_more=True)
    assert since.take_report(0.3)
    assert (since.ratio, since.is_whole) == (0.3, False)


def test_bad_words_in_a_row_are_counted_across_a_step_that_was_for_them() -> None:
    since = LossSince()
    since.begin(was_bad=True)
    since.take_report(0.4)
    since.take_report(0.4)
    assert since.bad == 2
    since.take_report(0.0)
    assert since.bad == 0
    since.take_feedback(0.9)
    assert since.bad == 2
