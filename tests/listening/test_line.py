"""A line says what its listener is to be sent, whatever it is told."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.listening import COPIES_MAX, LADDER, Counted, Demand, Line, Terms, Tier, cost_bps

THREE = Demand(talkers=3)
ALL = Terms(LADDER)


@dataclass(frozen=True)
class Told:
    """A delivery."""

    sent_at: float
    arrived_at: float | None
    size: int


def line_of(*, takes_red: bool = True, takes_feedback: bool = False) -> Line:
    return Line(takes_red=takes_red, takes_feedback=takes_feedback, now=0.0)


def report(line: Line, step: int, *, lost: int, rtt_s: float | None = 0.05) -> bool:
    """A report every 5 s of 250 packets each, and what it leads to."""
    now = 5.0 * step
    line.observe_sent(250 * step, now)
    counted = {1: Counted(250 * step, lost, 250 * step)}
    line.observe_reports(counted, rtt_s=rtt_s, jitter_s=None, now=now)
    return line.decide(THREE, ALL, now)


def test_it_begins_at_the_top_because_it_joined() -> None:
    line = line_of()
    assert not line.decide(THREE, ALL, 1.0)
    assert (line.tier, line.copies, line.cause, line.loss_ratio) == (Tier.A1, 0, "join", None)
    assert [tuple(change) for change in line.history] == [(1.0, Tier.A1, "join")]


def test_it_begins_at_what_there_is_because_it_joined() -> None:
    line = line_of()
    assert line.decide(THREE, Terms(LADDER[3:]), 1.0)
    assert (line.tier, line.cause, len(line.history)) == (Tier.B1, "join", 1)


def test_a_tenth_lost_is_protected_as_soon_as_it_is_known_that_nothing_waits() -> None:
    line = line_of()
    changed = [report(line, step, lost=25 * step) for step in range(1, 5)]
    assert changed == [False, True, False, False]
    assert (line.tier, line.copies, line.cause) == (Tier.A0, 1, "loss")
    assert line.loss_ratio == pytest.approx(0.1)


def test_without_round_trips_it_is_not_known_and_a_step_down_tests_it() -> None:
    line = line_of()
    for step in range(1, 5):
        report(line, step, lost=30 * step, rtt_s=None)
    assert (line.tier, line.copies) == (Tier.A2, 0)


def test_a_clean_line_is_never_protected() -> None:
    line = line_of()
    assert not any(report(line, step, lost=0) for step in range(1, 100))
    assert (line.tier, line.loss_ratio, line.copies) == (Tier.A1, 0.0, 0)


def test_who_takes_no_red_is_sent_no_copies() -> None:
    line = line_of(takes_red=False)
    for step in range(1, 12):
        report(line, step, lost=50 * step)
        assert line.copies == line.copies_sent == 0
    assert line.loss_ratio == pytest.approx(0.2)


def test_round_trips_that_grow_by_150_ms_lead_down_and_are_stamped() -> None:
    line = line_of(takes_feedback=True)
    for step in range(1, 5):
        report(line, step, lost=0)
    assert (line.tier, line.wants_stamps) == (Tier.A1, False)
    report(line, 5, lost=0, rtt_s=0.21)
    assert (line.tier, line.cause, line.wants_stamps) == (Tier.A2, "delay", True)
    assert line.rtt_s == 0.21


def test_when_copies_give_way_to_a_queue_the_terms_hold_all_the_same() -> None:
    line = line_of()
    for step in range(1, 5):
        report(line, step, lost=25 * step)
    assert (line.tier, line.copies) == (Tier.A0, 1)
    line.observe_sent(1_250, 25.0)
    line.observe_reports({1: Counted(1_250, 125, 1_250)}, rtt_s=0.3, jitter_s=None, now=25.0)
    assert line.decide(THREE, Terms(LADDER[3:]), 25.0)
    assert (line.tier, line.copies, line.cause) == (Tier.B1, 0, "requested")


@pytest.mark.parametrize(("lost", "rtt_s"), [(7, 0.05), (0, 0.16)])
def test_what_may_become_trouble_is_looked_at_closely(lost: int, rtt_s: float) -> None:
    """Loss over 2 %, or 100 ms more of a round trip."""
    line = line_of(takes_feedback=True)
    for step in range(1, 5):
        report(line, step, lost=0)
    assert not line.wants_stamps
    report(line, 5, lost=lost, rtt_s=rtt_s)
    report(line, 6, lost=2 * lost, rtt_s=rtt_s)
    report(line, 7, lost=3 * lost, rtt_s=rtt_s)
    assert (line.tier, line.wants_stamps) == (Tier.A1, True)


def test_a_look_at_a_good_line_sees_that_the_terms_have_changed() -> None:
    line = line_of()
    for step in range(1, 4):
        report(line, step, lost=0)
    assert not line.decide(THREE, ALL, 16.0)
    assert line.decide(THREE, Terms(LADDER[3:]), 17.0)
    assert line.decide(THREE, Terms(LADDER, max_bps=140_000.0), 18.0)
    assert line.tier is Tier.A2
    assert line.decide(Demand(talkers=1), Terms(LADDER, max_bps=140_000.0), 60.0)
    assert (line.tier, line.cause) == (Tier.A1, "slots")


def test_who_answers_no_stamps_is_never_stamped() -> None:
    assert not line_of(takes_feedback=False).wants_stamps


def test_a_talk_that_pauses_is_no_silence_of_the_listener() -> None:
    """What was sent before the pause was answered; a report in between tells of no track."""
    line = line_of()
    for step in range(1, 4):
        report(line, step, lost=0)
    for second in range(16, 60):
        line.observe_sent(750 + (second > 50) * 10, float(second))
        assert not line.decide(THREE, ALL, float(second))


def test_a_probe_tells_what_it_sends_beside_the_tier() -> None:
    line = line_of(takes_feedback=True)
    terms = ALL
    line.decide(THREE, terms, 0.0)
    now, packets = 0.0, 0

    def second_of(rate: float) -> None:
        """50 packets a second, of which the line carries `rate`."""
        nonlocal now, packets
        for _ in range(10):
            sent = [now + 0.02 * n for n in range(5)]
            arrived = [at if rate >= 1 else at + (at - 1.0) * (1 / rate - 1) for at in sent]
            packets += 5
            now += 0.1
            line.observe_sent(packets, now)
            line.observe_deliveries(
                [Told(s, a + 7.0, 200) for s, a in zip(sent, arrived, strict=True)], now
            )
            line.decide(THREE, terms, now)

    second_of(1.0)
    second_of(0.5)
    assert (line.cause, line.probe_bps) == ("delay", 0.0)
    probed = []
    for _ in range(14):
        second_of(1.0)
        probed.append((line.copies_sent, line.probe_bps))
    copies, bps = max(probed)
    assert (line.copies, copies > 0) == (0, True)
    assert bps == pytest.approx(
        cost_bps(line.tier, THREE, copies) - cost_bps(line.tier, THREE), rel=0.6
    )


def test_one_word_of_the_receivers_own_limit_counts_for_as_long_as_it_is_fresh() -> None:
    line = line_of()
    for second in range(20):
        line.observe_sent(50 * second, float(second))
        if second == 5:
            line.observe_remb(100_000.0, 5.0)
        line.decide(THREE, ALL, float(second))
    assert (line.tier, line.cause) == (Tier.B1, "estimate")


def test_many_packets_lost_in_a_row_are_a_line_that_was_away_and_not_a_full_one() -> None:
    line = line_of(takes_feedback=True)
    for tenth in range(60):
        now = tenth / 10
        is_away = 20 <= tenth < 40
        told = [Told(now + n / 50, None if is_away else now + n / 50, 200) for n in range(5)]
        line.observe_sent(5 * tenth + 5, now + 0.1)
        line.observe_deliveries(told, now + 0.1)
        line.decide(THREE, ALL, now + 0.1)
    assert (line.tier, line.copies) == (Tier.A1, 0)


def test_an_empty_feedback_tells_nothing() -> None:
    line = line_of(takes_feedback=True)
    line.observe_deliveries([], 1.0)
    line.decide(THREE, ALL, 1.0)
    assert line.tier is Tier.A1


TERMS = [
    ALL,
    Terms(LADDER[1:]),
    Terms(LADDER[:3] + (Tier.C,)),
    Terms(LADDER[3:]),
    Terms((Tier.A2, Tier.B3, Tier.C)),
    Terms((Tier.B2,)),
    Terms(()),
    Terms(LADDER, max_bps=50_000.0),
    Terms(LADDER, max_bps=0.0),
]
TIMES = st.floats(0.0, 30.0) | st.floats(0.0, 0.2)
SECONDS = st.none() | st.floats(-1.0, 1e6)
INPUTS = st.one_of(
    st.tuples(st.just("reports"), st.integers(-500, 5_000), st.integers(-500, 5_000), SECONDS),
    st.tuples(
        st.just("deliveries"),
        st.lists(st.tuples(st.floats(-5.0, 5.0), SECONDS, st.integers(0, 2_000)), max_size=30),
    ),
    st.tuples(st.just("remb"), st.floats(0.0, 1e9)),
    st.tuples(st.just("sent"), st.integers(0, 100_000)),
    st.tuples(st.just("terms"), st.sampled_from(TERMS)),
    st.tuples(st.just("demand"), st.integers(0, 3), st.booleans()),
)


def tell(line: Line, what: tuple, now: float) -> None:  # type: ignore[type-arg]
    """One input of those above that are the line's."""
    match what:
        case ("reports", lost, sent, seconds):
            counted = {1: Counted(abs(sent) + lost, lost, abs(sent))}
            line.observe_reports(counted, rtt_s=seconds, jitter_s=seconds, now=now)
        case ("deliveries", told):
            line.observe_deliveries([Told(now + at, came, size) for at, came, size in told], now)
        case ("remb", bps):
            line.observe_remb(bps, now)
        case ("sent", packets):
            line.observe_sent(packets, now)


@settings(max_examples=150)
@given(st.booleans(), st.booleans(), st.lists(st.tuples(TIMES, INPUTS), min_size=1, max_size=60))
def test_whatever_it_is_told_it_stays_within_its_terms(
    takes_red: bool,
    takes_feedback: bool,
    inputs: list[tuple[float, tuple]],  # type: ignore[type-arg]
) -> None:
    line = line_of(takes_red=takes_red, takes_feedback=takes_feedback)
    now, terms, demand = 0.0, ALL, THREE
    for elapsed_s, what in inputs:
        now += elapsed_s
        if what[0] == "terms":
            terms = what[1]
        elif what[0] == "demand":
            demand = Demand(talkers=what[1], is_ipv6=what[2])
        else:
            tell(line, what, now)
        before = (line.tier, line.copies, line.copies_sent)
        assert line.decide(demand, terms, now) == (
            before != (line.tier, line.copies, line.copies_sent)
        )
        assert line.tier in (terms.tiers or (Tier.C,))
        assert 0 <= line.copies <= line.copies_sent <= COPIES_MAX * takes_red
        assert (line.tier is Tier.A0) <= (line.copies > 0)
        assert line.probe_bps >= 0.0
        assert line.history[-1].tier is line.tier
        assert len(line.history) <= 16
        assert takes_feedback or not line.wants_stamps
        assert line.estimate_bps is None or line.estimate_bps >= 0.0
