"""A listener goes up after calm, and less eagerly where that has failed."""

from __future__ import annotations

import pytest

from sfu.listening.climb import (
    PROBE_AGAIN_S,
    WAIT_MAX_S,
    Climb,
    after_probe,
    better,
    is_calm,
    on_trial,
)
from sfu.listening.evidence import Evidence
from sfu.listening.probing import BUCKET_BYTES
from sfu.listening.rates import HEADROOM
from sfu.listening.tiers import LADDER, Demand, Tier
from tests.listening.line_model import Sent

THREE = Demand(talkers=3)
ALLOWED = LADDER[1:-1]


def calm(climb: Climb, start: float, seconds: float) -> float:
    """So long of it, looked at twice a second; when it ended."""
    for step in range(round(2 * seconds)):
        climb.look(Evidence(start + step / 2, has_feedback=True, waits=False, loss=0.0))
    return start + seconds


def test_ten_seconds_of_calm_and_five_of_a_tier() -> None:
    climb = Climb(0.0)
    now = calm(climb, 0.0, 10.0)
    assert not climb.is_due(now, 0.0)
    now = calm(climb, now, 1.0)
    assert climb.is_due(now, now - 5.0)
    assert not climb.is_due(now, now - 4.9)


def test_time_in_which_nothing_is_sent_or_looked_at_is_no_calm() -> None:
    climb = Climb(0.0)
    climb.rest(100.0)
    climb.look(Evidence(101.0, has_feedback=True))
    climb.look(Evidence(120.0, has_feedback=True))
    assert not climb.is_due(120.0, 0.0)


def test_a_step_that_does_not_last_doubles_the_wait_up_to_a_minute() -> None:
    climb = Climb(0.0)
    for wait_s in (20.0, 40.0, WAIT_MAX_S, WAIT_MAX_S):
        climb.went_up(Tier.B1, 0.0)
        climb.went_down(5.0)
        assert climb.wait_s == wait_s
    assert climb.wait_s == WAIT_MAX_S


def test_one_that_lasts_on_that_tier_sets_it_back_and_one_below_does_not() -> None:
    climb = Climb(0.0)
    climb.went_up(Tier.B1, 0.0)
    climb.went_down(5.0)
    climb.went_up(Tier.B2, 30.0)
    calm(climb, 30.0, 12.0)
    assert climb.wait_s == 20.0
    climb.went_up(Tier.B1, 50.0)
    calm(climb, 50.0, 12.0)
    assert climb.wait_s == 10.0


def test_for_a_minute_after_one_failed_steps_are_ten_seconds_apart() -> None:
    climb = Climb(0.0)
    climb.went_up(Tier.B1, 0.0)
    climb.went_down(5.0)
    now = calm(climb, 5.0, 25.0)
    assert not climb.is_due(now, now - 9.0)
    assert climb.is_due(now, now - 10.0)
    now = calm(climb, now, 40.0)
    assert climb.is_due(now, now - 5.0)


def test_after_five_turns_within_a_minute_there_is_no_step_up() -> None:
    climb = Climb(0.0)
    for step in range(5):
        climb.went_down(8.0 * step)
    now = calm(climb, 33.0, 20.0)
    assert not climb.is_due(now, 33.0)
    now = calm(climb, now, 10.0)
    assert climb.is_due(now, 33.0)


def test_a_way_up_of_many_steps_is_one_turn() -> None:
    """The line opened once, however narrow it was."""
    climb = Climb(0.0)
    climb.went_down(1.0)
    for step, tier in enumerate((Tier.B4, Tier.B3, Tier.B2, Tier.B1)):
        climb.went_up(tier, 15.0 + 6.0 * step)
    now = calm(climb, 33.0, 12.0)
    assert climb.is_due(now, 33.0)


def test_a_probe_that_met_a_queue_is_repeated_later_than_one_that_learned_nothing() -> None:
    climb = Climb(0.0)
    now = calm(climb, 0.0, 12.0)
    assert climb.may_probe(now, 0.0)
    climb.probed(now, is_sure=True)
    assert not climb.may_probe(now + PROBE_AGAIN_S - 0.1, 0.0)
    climb.probed(now, is_sure=False)
    assert climb.may_probe(now + 2.0, 0.0)


@pytest.mark.parametrize(
    ("evidence", "is_it"),
    [
        (Evidence(0.0, has_feedback=True), True),
        (Evidence(0.0), None),  # the first report is still to come
        (Evidence(0.0, loss=0.01, is_whole=True), True),
        (Evidence(0.0, loss=0.01), None),  # half of it is of what was before
        (Evidence(0.0, loss=0.03, is_whole=True), False),
        (Evidence(0.0, loss=0.09, waits=False, is_whole=True), True),
        (Evidence(0.0, loss=0.11, waits=False, is_whole=True), False),
        (Evidence(0.0, loss=0.3, waits=False, has_feedback=True, is_whole=True), True),  # by chance
        (Evidence(0.0, loss=0.0, waits=True), False),
        (Evidence(0.0, loss=0.0, waits=False, over_s=0.1), False),
    ],
)
def test_calm_is_when_nothing_speaks_against_more(
    evidence: Evidence, *, is_it: bool | None
) -> None:
    assert is_calm(evidence) is is_it


def test_a_probe_leads_to_the_best_tier_that_costs_a_quarter_less_than_it_found() -> None:
    above = better(Tier.B5, ALLOWED)
    assert after_probe(Tier.B5, above, THREE, 20_000.0, is_clean=False) is None
    assert after_probe(Tier.B5, above, THREE, 25_000.0, is_clean=False) is Tier.B4
    assert after_probe(Tier.B5, above, THREE, 80_000.0, is_clean=False) is Tier.B1
    assert after_probe(Tier.B5, above, THREE, 300_000.0, is_clean=False) is Tier.A1


def test_one_step_is_dared_on_a_clean_probe_of_a_room_where_one_talks() -> None:
    above = better(Tier.A2, ALLOWED)
    assert after_probe(Tier.A2, above, THREE, 160_000.0, is_clean=True) is Tier.A1
    assert after_probe(Tier.A2, above, THREE, 160_000.0, is_clean=False) is None
    assert after_probe(Tier.A2, above, THREE, 140_000.0, is_clean=True) is None


def test_a_trial_is_one_step_or_two_where_it_is_known_at_once() -> None:
    above = better(Tier.B5, ALLOWED)
    many = float("inf")
    assert on_trial(Tier.B5, above, THREE, many, is_quick=False) is Tier.B4
    assert on_trial(Tier.B5, above, THREE, many, is_quick=True) is Tier.B3
    assert on_trial(Tier.B5, above, THREE, 20_000.0, is_quick=True) is None


def test_a_step_that_failed_makes_the_next_probe_prove_more() -> None:
    """What a line lets through at once was more than was thought."""
    climb = Climb(0.0)
    above = better(Tier.B5, ALLOWED)

    def carried_bps() -> float:
        """Told by 3 s of 20 kbit/s."""
        probe = climb.probe(Evidence(0.0), Tier.B5, above, THREE, 1)
        probe.observe([Sent(n / 50, 7.0 + n / 50, 50) for n in range(151)], 0.0, 3.1)
        return probe.carried_bps or 0.0

    before = carried_bps()
    climb.went_up(Tier.B3, 0.0)
    climb.went_down(5.0)
    assert carried_bps() == pytest.approx(before - HEADROOM * 8 * BUCKET_BYTES / 3.0)


def test_a_mix_is_not_dared_on() -> None:
    above = better(Tier.B2, ALLOWED)
    assert after_probe(Tier.B2, above, THREE, 70_000.0, is_clean=True) is None
