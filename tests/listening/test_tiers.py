"""What a tier costs is what its packets take of the line, headers and the rest included."""

from __future__ import annotations

import pytest

from sfu.listening import LADDER, Demand, Terms, Tier, cost_bps
from sfu.listening.tiers import BESIDE_BPS

THREE = Demand(talkers=3)


@pytest.mark.parametrize(
    ("tier", "kbps", "kbps_ipv6"),
    [
        (Tier.A1, 177.6, 201.6),
        (Tier.A2, 124.4, 132.4),
        (Tier.B1, 59.2, 67.2),
        (Tier.B2, 37.6, 41.6),
        (Tier.B3, 23.5, 26.1),
        (Tier.B4, 17.5, 20.1),
        (Tier.B5, 11.7, 13.1),
        (Tier.C, 0.0, 0.0),
    ],
)
def test_the_packets_of_a_tier_are_counted_with_their_headers(
    tier: Tier, kbps: float, kbps_ipv6: float
) -> None:
    def packets_kbps(demand: Demand) -> float:
        return (cost_bps(tier, demand) - BESIDE_BPS) / 1_000.0

    assert packets_kbps(THREE) == pytest.approx(kbps, abs=0.05)
    assert packets_kbps(Demand(talkers=3, is_ipv6=True)) == pytest.approx(kbps_ipv6, abs=0.05)


def test_every_step_down_costs_less_than_the_one_above_whoever_talks() -> None:
    for talkers in (2, 3):
        costs = [cost_bps(tier, Demand(talkers=talkers)) for tier in LADDER]
        assert costs[1:] == sorted(costs[1:], reverse=True)


def test_only_slots_cost_by_how_many_talk_and_none_counts_as_one() -> None:
    one, none = Demand(talkers=1), Demand(talkers=0)
    assert cost_bps(Tier.A1, one) == cost_bps(Tier.A1, none) == pytest.approx(60_200.0)
    assert cost_bps(Tier.B2, one) == cost_bps(Tier.B2, THREE)


def test_the_lowest_mix_fits_a_line_of_14_kbit_stamped_and_with_all_that_is_beside() -> None:
    assert cost_bps(Tier.B5, THREE, is_stamped=True) < 14_000.0


def test_stamps_take_four_octets_and_a_head_where_there_is_no_extension_yet() -> None:
    def more_per_packet(tier: Tier, frame_ms: int) -> float:
        with_stamps = cost_bps(tier, Demand(), is_stamped=True)
        return (with_stamps - cost_bps(tier, Demand())) * frame_ms / 8_000.0

    assert more_per_packet(Tier.A1, 20) == pytest.approx(4)
    assert more_per_packet(Tier.B2, 40) == pytest.approx(4)
    assert more_per_packet(Tier.B5, 120) == pytest.approx(8)


def test_a_copy_costs_the_payload_again_and_its_head() -> None:
    plain = cost_bps(Tier.B3, Demand())
    one = cost_bps(Tier.B3, Demand(), copies=1)
    two = cost_bps(Tier.B3, Demand(), copies=2)
    assert one - plain == pytest.approx(16_000 + 5 * 8_000 / 60)
    assert two - one == pytest.approx(16_000 + 4 * 8_000 / 60)


def test_frames_that_are_long_already_are_packed_as_far_as_60_ms_go() -> None:
    at_60 = Demand(frame_ms=60.0)
    assert cost_bps(Tier.A2, at_60) == cost_bps(Tier.A1, at_60)
    assert cost_bps(Tier.A2, Demand(frame_ms=40.0)) == cost_bps(Tier.A1, Demand(frame_ms=40.0))
    assert cost_bps(Tier.A2, Demand(frame_ms=10.0)) == cost_bps(Tier.A2, Demand(frame_ms=20.0))


def test_terms_are_in_order_and_copies_need_what_they_go_along_with() -> None:
    assert Terms(LADDER).rungs == LADDER[1:]
    assert Terms(()).rungs == (Tier.C,)
    with pytest.raises(ValueError, match="order"):
        Terms((Tier.B1, Tier.A1))
    with pytest.raises(ValueError, match="A0 without A1"):
        Terms((Tier.A0, Tier.B1, Tier.C))
