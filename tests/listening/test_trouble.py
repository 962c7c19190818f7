"""What counts as too much for a line, and which tier would not be."""

from __future__ import annotations

from typing import Any

import pytest

from sfu.listening.evidence import Evidence
from sfu.listening.tiers import LADDER, Cause, Demand, Tier
from sfu.listening.trouble import ESTIMATE_S, Shortage, is_losing, is_queueing, lower

THREE = Demand(talkers=3)
ALLOWED = LADDER[1:-1]


def seen(**known: Any) -> Evidence:
    return Evidence(100.0, **known)


@pytest.mark.parametrize(
    ("known", "is_full"),
    [
        ({"over_s": 0.35, "newest_s": 0.1, "acked_bps": 1e5}, True),
        ({"over_s": 0.25, "newest_s": 0.1, "acked_bps": 1e5}, False),
        ({"over_s": 0.35, "newest_s": 0.05, "acked_bps": 1e5}, False),
        ({"over_s": 0.35, "newest_s": 0.1}, False),
        ({"standing_s": 0.16, "standing_at": 95.0}, True),
        ({"standing_s": 0.14, "standing_at": 95.0}, False),
        ({"standing_s": 0.16, "standing_at": 92.0}, False),
        ({"standing_s": 0.16, "standing_at": 95.0, "is_draining": True}, False),
        ({}, False),
    ],
)
def test_a_line_is_full_while_a_queue_grows_or_stands(
    known: dict[str, Any], *, is_full: bool
) -> None:
    assert is_queueing(seen(**known), changed_at=90.0) is is_full


@pytest.mark.parametrize(
    ("known", "is_too_much"),
    [
        ({"loss": 0.12, "bad": 2, "waits": True}, True),
        ({"loss": 0.12, "bad": 1, "waits": True}, False),
        ({"loss": 0.12, "bad": 2, "waits": True, "is_draining": True}, False),
        ({"loss": 0.09, "bad": 2, "waits": True}, False),
        ({"loss": 0.12, "bad": 2, "waits": None}, True),
        ({"loss": 0.2, "bad": 2, "waits": False}, False),
        ({"loss": 0.2, "bad": 2, "waits": False, "can_protect": False}, True),
        ({"loss": 0.2, "bad": 2, "waits": False, "can_protect": False, "can_repeat": True}, False),
        (
            {"loss": 0.2, "bad": 2, "waits": False, "can_protect": False, "can_repeat": True}
            | {"rtt_s": 0.25},
            True,
        ),
        ({"loss": 0.3, "bad": 2, "waits": False, "can_protect": False, "can_repeat": True}, True),
        ({"loss": 0.3, "bad": 2, "waits": False}, True),
        ({"loss": 0.3, "bad": 2, "waits": False, "has_feedback": True}, False),
        ({"loss": 0.3, "bad": 4, "waits": False, "has_feedback": True}, True),
        ({}, False),
    ],
)
def test_loss_is_too_much_where_packets_wait_or_copies_are_no_help(
    known: dict[str, Any], *, is_too_much: bool
) -> None:
    assert is_losing(seen(**known)) is is_too_much


def test_an_estimate_that_is_too_low_must_be_so_for_a_while() -> None:
    shortage = Shortage()

    def lasts(at: float, bps: float, **known: Any) -> bool:
        evidence = Evidence(at, estimate_bps=bps, carries_bps=bps, **known)
        return shortage.lasts(evidence, Tier.B1, THREE)

    assert not lasts(0.0, 60_000.0)
    assert not lasts(ESTIMATE_S - 0.1, 60_000.0)
    assert not lasts(ESTIMATE_S, 70_000.0)
    assert not lasts(4.0, 60_000.0)
    assert lasts(4.0 + ESTIMATE_S, 60_000.0)
    assert not lasts(8.0, 60_000.0, is_draining=True)


def test_the_estimate_by_delay_is_no_reason_where_nothing_waits() -> None:
    shortage = Shortage()
    for second in range(10):
        evidence = Evidence(float(second), estimate_bps=10_000.0, waits=False)
        assert not shortage.lasts(evidence, Tier.B1, THREE)


@pytest.mark.parametrize(
    ("kbps", "tier"),
    [(150, Tier.A2), (130, Tier.B1), (45, Tier.B2), (29, Tier.B3), (22, Tier.B4), (5, Tier.B5)],
)
def test_with_feedback_it_goes_straight_to_what_came_through(kbps: int, tier: Tier) -> None:
    evidence = seen(has_feedback=True, acked_bps=kbps * 1_000.0)
    assert lower(evidence, Cause.DELAY, Tier.A1, ALLOWED, THREE) is tier


def test_with_feedback_it_is_one_step_too_when_it_may_be_no_queue() -> None:
    evidence = seen(has_feedback=True, acked_bps=22_000.0, is_sudden=True)
    assert lower(evidence, Cause.DELAY, Tier.A1, ALLOWED, THREE) is Tier.A2
    assert lower(evidence, Cause.LOSS, Tier.A1, ALLOWED, THREE) is Tier.B4


def test_by_reports_it_is_one_step_and_beyond_a_quarter_of_loss_to_what_they_say_that_came() -> (
    None
):
    assert lower(seen(acked_bps=30_000.0), Cause.DELAY, Tier.A1, ALLOWED, THREE) is Tier.A2
    assert lower(seen(loss=0.2, acked_bps=3e4), Cause.LOSS, Tier.A1, ALLOWED, THREE) is Tier.A2
    assert lower(seen(loss=0.3), Cause.LOSS, Tier.A1, ALLOWED, THREE) is Tier.A2
    far = seen(loss=0.7, acked_bps=52_000.0)
    assert lower(far, Cause.LOSS, Tier.A1, ALLOWED, THREE) is Tier.B2
    assert lower(seen(loss=0.3, acked_bps=9e3), Cause.LOSS, Tier.B4, ALLOWED, THREE) is Tier.B5
    assert lower(seen(loss=0.3, acked_bps=9e3), Cause.LOSS, Tier.B5, ALLOWED, THREE) is None


def test_a_step_down_costs_less_also_where_the_mix_costs_more_than_one_voice() -> None:
    assert lower(seen(), Cause.DELAY, Tier.A2, ALLOWED, Demand(talkers=1)) is Tier.B2


def test_a_low_estimate_leads_to_what_it_allows() -> None:
    evidence = seen(estimate_bps=50_000.0)
    assert lower(evidence, Cause.ESTIMATE, Tier.A1, ALLOWED, THREE) is Tier.B2
