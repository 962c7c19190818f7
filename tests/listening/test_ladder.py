"""A listener's tier follows its line: played against a model of one, with three talkers."""

from __future__ import annotations

import pytest

from sfu.listening import LADDER, Terms, Tier, cost_bps
from tests.listening.line_model import (
    LineModel,
    Talk,
    all_talk,
    nobody,
    one_talks,
    turns,
)

KBPS = (400, 150, 80, 45, 28, 20, 14)
FULL = (Tier.A0, Tier.A1)
SETTLED_S = 6.0


def fits(model: LineModel, kbps: float) -> bool:
    """Whether the tier costs less than the line carries, with all that is beside."""
    return cost_bps(model.tier, model.demand, is_stamped=True) <= kbps * 1_000


@pytest.mark.parametrize("kbps", KBPS)
@pytest.mark.parametrize("talk", [all_talk, one_talks])
def test_a_narrow_line_settles_within_6_s_and_nothing_finds_its_queue_full_after_that(
    kbps: int, talk: Talk
) -> None:
    model = LineModel(kbps * 1_000.0, talk=talk)
    model.run(SETTLED_S)
    assert fits(model, kbps)
    model.run(60.0)
    assert fits(model, kbps)
    assert not model.changes_since(SETTLED_S)
    assert not [at for at in model.drops if at > SETTLED_S]


@pytest.mark.parametrize("kbps", KBPS)
@pytest.mark.parametrize("talk", [all_talk, one_talks])
def test_what_passes_at_once_after_a_while_of_less_is_not_taken_for_what_a_line_carries(
    kbps: int, talk: Talk
) -> None:
    """A token bucket lets a short probe through, however narrow the line."""
    model = LineModel(kbps * 1_000.0, talk=talk, burst_bytes=1_600)
    model.run(SETTLED_S)
    for _ in range(120):
        model.run(1.0)
        assert fits(model, kbps)
    assert not [at for at in model.drops if at > SETTLED_S]


@pytest.mark.parametrize("kbps", KBPS)
@pytest.mark.parametrize("talk", [all_talk, one_talks])
@pytest.mark.parametrize("burst_bytes", [3_000, 6_000])
def test_where_more_passes_at_once_than_is_usual_a_step_too_far_is_seen_at_once_and_rare(
    kbps: int, talk: Talk, burst_bytes: int
) -> None:
    model = LineModel(kbps * 1_000.0, talk=talk, burst_bytes=burst_bytes)
    model.run(12.0)
    unfit = 0
    for _ in range(240):
        model.run(0.5)
        unfit += not fits(model, kbps)
    assert unfit <= 26  # 13 s of two minutes
    assert len([at for at in model.drops if at > 12.0]) <= 0.03 * model.packets


@pytest.mark.parametrize("takes_red", [True, False])
def test_a_step_to_the_top_is_watched_as_any_other(*, takes_red: bool) -> None:
    """Although there is nothing above: three voices packed is all that the line carries."""
    model = LineModel(150_000.0, burst_bytes=6_000, takes_red=takes_red)
    model.run(60.0)
    times = [(at, tier) for at, tier in model.changes if at > SETTLED_S]
    ups = [at for at, tier in times if tier is Tier.A1]
    downs = [at for at, tier in times if tier is Tier.A2]
    assert ups and len(ups) == len(downs)
    assert all(down - up < 3.0 for up, down in zip(ups, downs, strict=True))
    assert not [at for at in model.drops if at > SETTLED_S]


@pytest.mark.parametrize(
    ("kbps", "tier"),
    [(400, Tier.A1), (150, Tier.A2), (80, Tier.B1), (45, Tier.B2), (28, Tier.B4), (14, Tier.B5)],
)
def test_it_is_not_on_a_lower_tier_than_need_be(kbps: int, tier: Tier) -> None:
    model = LineModel(kbps * 1_000.0)
    model.run(SETTLED_S)
    assert model.tier is tier


@pytest.mark.parametrize("kbps", KBPS)
@pytest.mark.parametrize("talk", [all_talk, one_talks, turns])
def test_when_the_line_opens_it_is_at_the_top_within_30_s(kbps: int, talk: Talk) -> None:
    for opens_at in (20.0, 23.0, 26.0, 29.0):
        model = LineModel(kbps * 1_000.0, talk=talk)
        model.run(opens_at)
        model.rate_bps = None
        model.run(30.0)
        assert model.tier in FULL


@pytest.mark.parametrize("kbps", KBPS[1:])
@pytest.mark.parametrize("seed", range(4))
def test_talk_that_comes_and_goes_leaves_a_narrow_line_usable(kbps: int, seed: int) -> None:
    """Somebody joins while one talks; later all do. A few changes, and next to nothing is lost."""
    model = LineModel(kbps * 1_000.0, talk=turns, seed=seed)
    model.run(120.0)
    assert len(model.changes) <= 6
    late = [at for at in model.drops if at > 20.0]
    assert len(late) <= 10


@pytest.mark.parametrize("kbps", [80, 45, 28, 20, 14])
@pytest.mark.parametrize("talk", [all_talk, turns])
def test_a_line_that_comes_and_goes_every_15_s_is_followed_at_most_once_in_10_s(
    kbps: int, talk: Talk
) -> None:
    model = LineModel(None, talk=talk)
    model.run(5.0)
    for turn in range(8):
        model.rate_bps = kbps * 1_000.0 if turn % 2 == 0 else None
        model.run(15.0)
        assert len(model.changes_since(model.now - 60.0)) <= 6
    assert len(model.changes) <= 12


@pytest.mark.parametrize("takes_feedback", [True, False])
def test_a_tenth_lost_by_chance_on_a_wide_line_is_protected_and_costs_no_tier(
    *, takes_feedback: bool
) -> None:
    model = LineModel(None, loss=0.1, takes_feedback=takes_feedback)
    model.run(120.0)
    assert model.tier is Tier.A0
    assert model.line.copies >= 1
    assert not model.changes


def test_without_red_it_costs_no_tier_for_long_either() -> None:
    model = LineModel(None, loss=0.15, takes_red=False)
    model.run(120.0)
    assert (model.tier, model.line.copies) == (Tier.A1, 0)
    assert len(model.changes) <= 2


@pytest.mark.parametrize("takes_feedback", [True, False])
@pytest.mark.parametrize("talk", [all_talk, one_talks, turns])
@pytest.mark.parametrize("loss", [0.2, 0.25, 0.3, 0.45])
def test_more_by_chance_is_protected_at_the_top_and_the_copies_stay(
    loss: float, talk: Talk, *, takes_feedback: bool
) -> None:
    """That copies do not make it worse shows what it is: no step down is needed to find out."""
    for seed in range(4):
        model = LineModel(None, talk=talk, loss=loss, takes_feedback=takes_feedback, seed=seed)
        model.run(20.0)
        for _ in range(100):
            model.run(1.0)
            assert (model.tier, model.line.copies > 0) == (Tier.A0, True)
        assert not model.changes


@pytest.mark.parametrize("takes_feedback", [True, False])
def test_where_copies_may_not_be_sent_more_by_chance_is_tested_by_one_step_down(
    *, takes_feedback: bool
) -> None:
    terms = Terms(LADDER, max_bps=200_000.0)
    model = LineModel(None, loss=0.35, terms=terms, takes_feedback=takes_feedback)
    model.run(120.0)
    assert model.tier is Tier.A1
    assert len(model.changes) == 2


@pytest.mark.parametrize("kbps", [130, 100, 60, 45])
def test_by_reports_too_a_line_that_drops_what_is_beyond_its_rate_is_found(kbps: int) -> None:
    model = LineModel(kbps * 1_000.0, has_queue=False, takes_feedback=False)
    model.run(35.0)
    assert fits(model, kbps)
    before, packets = len(model.drops), model.packets
    model.run(60.0)
    assert len(model.drops) - before <= 0.1 * (model.packets - packets)


@pytest.mark.parametrize("takes_feedback", [True, False])
def test_what_publishers_and_reports_lose_changes_nothing(*, takes_feedback: bool) -> None:
    model = LineModel(None, source_loss=0.1, report_loss=0.1, takes_feedback=takes_feedback)
    model.run(300.0)
    assert not model.changes
    assert model.line.copies == 0


@pytest.mark.parametrize("kbps", [150, 80, 45, 28, 20, 14])
def test_on_a_full_line_there_is_never_a_copy_but_in_probes(kbps: int) -> None:
    model = LineModel(kbps * 1_000.0)
    for _ in range(600):
        model.run(0.1)
        assert model.line.copies == 0


@pytest.mark.parametrize("kbps", [100, 60, 30])
def test_a_line_that_drops_what_is_beyond_its_rate_is_full_without_a_queue(kbps: int) -> None:
    model = LineModel(kbps * 1_000.0, has_queue=False)
    model.run(60.0)
    assert fits(model, kbps)
    assert len([at for at in model.drops if at > SETTLED_S]) <= 40  # of probes


@pytest.mark.parametrize("takes_feedback", [True, False])
def test_after_30_s_away_it_is_where_it_was_within_15_s(*, takes_feedback: bool) -> None:
    for away_at in (20.0, 22.5, 24.9):
        model = LineModel(None, takes_feedback=takes_feedback)
        model.run(away_at)
        model.rate_bps = 0.0
        model.run(30.0)
        assert model.tier not in FULL
        model.rate_bps = None
        model.run(15.0)
        assert model.tier in FULL


def test_who_says_nothing_is_sent_less_and_then_nothing_but_for_a_try_now_and_then() -> None:
    model = LineModel(None)
    model.run(20.0)
    model.rate_bps = 0.0
    model.run(600.0)
    tiers = [tier for _, tier in model.changes]
    assert tiers[:4] == [Tier.B4, Tier.C, Tier.B5, Tier.C]
    assert 27.0 <= model.changes[0][0] <= 29.0
    assert 34.5 <= model.changes[1][0] <= 36.0
    assert len(tiers) <= 20


def test_who_never_reported_is_not_taken_for_away() -> None:
    model = LineModel(None, reports=False, takes_feedback=False)
    model.run(120.0)
    assert not model.changes


def test_a_path_that_takes_longer_from_now_on_costs_no_tier_for_long() -> None:
    model = LineModel(None)
    model.run(20.0)
    model.latency_s = 0.3
    model.run(90.0)
    assert model.tier in FULL
    assert len(model.changes) <= 2


@pytest.mark.parametrize("jump_s", [0.2, 1.0, 3_600.0, -0.2, -3_600.0])
@pytest.mark.parametrize("talk", [all_talk, one_talks, turns])
def test_a_clock_that_is_set_costs_one_step_for_a_quarter_of_a_minute_at_most(
    jump_s: float, talk: Talk
) -> None:
    """So does a route that takes that much longer from one packet to the next."""
    for at in (4.0, 5.0, 6.5):
        model = LineModel(None, talk=talk)
        model.run(at)
        model.clock_s += jump_s
        model.run(16.0)
        assert model.tier in FULL
        model.run(30.0)
        assert len(model.changes) <= 2


@pytest.mark.parametrize("kbps", KBPS)
@pytest.mark.parametrize("takes_red", [True, False])
def test_by_reports_alone_it_takes_four_of_them_to_be_on_a_tier_that_fits(
    kbps: int, *, takes_red: bool
) -> None:
    """They come every 5 s, and the first only begins the count. Then room is found by trying."""
    model = LineModel(kbps * 1_000.0, takes_feedback=False, takes_red=takes_red)
    model.run(21.0)
    assert cost_bps(model.tier, model.demand) <= kbps * 1_000
    packets = model.packets
    model.run(120.0)
    assert len(model.changes_since(21.0)) <= 9
    assert len([at for at in model.drops if at > 21.0]) <= 0.05 * (model.packets - packets)


def test_by_reports_alone_nothing_is_tried_for_half_a_minute_after_a_step_down() -> None:
    model = LineModel(28_000.0, takes_feedback=False)
    model.run(45.0)
    assert not model.changes_since(21.0)
    model.run(15.0)
    assert [tier for _, tier in model.changes_since(21.0)] == [Tier.B3]


def test_by_reports_alone_what_was_too_much_is_not_tried_again_for_a_minute() -> None:
    """All that came was 80 kbit/s, and the next tier takes 125."""
    model = LineModel(80_000.0, takes_feedback=False)
    model.run(70.0)
    assert [tier for _, tier in model.changes] == [Tier.B1]


def test_when_a_lossy_line_narrows_the_copies_go_first() -> None:
    """What it carries is enough for three voices, and not for a copy of each."""
    model = LineModel(None, loss=0.08)
    model.run(20.0)
    assert model.line.copies >= 1
    model.rate_bps = 235_000.0
    model.run(8.0)
    assert (model.line.copies, model.tier) == (0, Tier.A1)
    assert not model.changes


@pytest.mark.parametrize("kbps", [80, 45, 28])
def test_without_red_a_step_up_is_tried_and_tried_less_often_when_it_fails(kbps: int) -> None:
    model = LineModel(kbps * 1_000.0, takes_red=False)
    model.run(SETTLED_S)
    assert fits(model, kbps)
    model.run(300.0)
    assert len(model.changes_since(130.0)) <= 8


def test_the_receivers_own_limit_is_kept() -> None:
    model = LineModel(None, remb_bps=50_000.0)
    model.run(60.0)
    assert model.tier is Tier.B2
    assert model.line.estimate_bps == pytest.approx(50_000.0)
    model.remb_bps = 1_000_000.0
    model.run(40.0)
    assert model.tier in FULL


def test_the_most_rate_is_kept_whoever_talks_and_does_not_flap_with_them() -> None:
    model = LineModel(None, terms=Terms(LADDER, max_bps=70_000.0), talk=turns)
    model.run(120.0)
    assert [tier for _, tier in model.changes] == [Tier.B1]


def test_the_lowest_with_sound_stays_if_even_that_is_above_the_most_rate() -> None:
    model = LineModel(None, terms=Terms(LADDER, max_bps=5_000.0))
    model.run(10.0)
    assert model.tier is Tier.B5


def test_copies_are_within_the_most_rate_too() -> None:
    model = LineModel(None, terms=Terms(LADDER, max_bps=200_000.0), loss=0.1)
    model.run(60.0)
    assert (model.tier, model.line.copies) == (Tier.A1, 0)


@pytest.mark.parametrize("kbps", [14, 20, 28])
@pytest.mark.parametrize("most", [24, 30, 39, 40, 57, 60, 70])
def test_probes_are_within_the_most_rate_and_lead_to_what_it_allows(kbps: int, most: int) -> None:
    model = LineModel(kbps * 1_000.0, terms=Terms(LADDER, max_bps=most * 1_000.0))
    model.run(15.0)
    model.rate_bps = None
    for _ in range(450):
        model.run(0.1)
        cost = cost_bps(model.tier, model.demand, model.line.copies_sent)
        assert cost <= most * 1_000.0
    best = [tier for tier in LADDER if cost_bps(tier, model.demand) <= most * 1_000.0][0]
    assert model.tier is best


def test_mode_forward_has_no_mix_however_narrow_the_line() -> None:
    terms = Terms((Tier.A0, Tier.A1, Tier.A2, Tier.C))
    model = LineModel(80_000.0, terms=terms)
    model.run(60.0)
    assert {tier for _, tier in model.changes} == {Tier.A2}


def test_mode_mix_begins_at_the_best_mix_and_falls_from_there() -> None:
    mixes = Terms(LADDER[3:])
    model = LineModel(None, terms=mixes)
    model.run(5.0)
    assert model.tier is Tier.B1
    model.rate_bps = 28_000.0
    model.run(SETTLED_S)
    assert fits(model, 28)


def test_who_asks_for_the_mix_and_back_is_where_it_was_at_once() -> None:
    model = LineModel(None)
    model.run(5.0)
    model.terms = Terms(LADDER[3:])
    model.run(1.0)
    model.terms = Terms(LADDER)
    model.run(1.0)
    assert [tier for _, tier in model.changes] == [Tier.B1, Tier.A1]
    assert model.line.cause == "requested"


def test_a_line_that_loses_by_chance_too_is_at_the_top_when_it_opens() -> None:
    model = LineModel(45_000.0, loss=0.05)
    model.run(20.0)
    model.rate_bps = None
    model.run(40.0)
    assert model.tier in FULL


@pytest.mark.parametrize("takes_feedback", [True, False])
def test_while_nothing_is_sent_nothing_is_learned_and_nothing_changes(
    *, takes_feedback: bool
) -> None:
    model = LineModel(28_000.0, takes_feedback=takes_feedback)
    model.run(30.0)
    tier, history = model.tier, list(model.line.history)
    model.talk = nobody
    model.rate_bps = None
    model.run(600.0)
    assert (model.tier, list(model.line.history)) == (tier, history)


def test_a_good_line_is_stamped_for_10_s_only_and_a_narrow_one_always() -> None:
    wide, narrow = LineModel(None), LineModel(45_000.0)
    wide.run(12.0)
    before = wide.stamped
    wide.run(60.0)
    assert wide.stamped == before
    narrow.run(12.0)
    before = narrow.stamped
    narrow.run(10.0)
    assert narrow.stamped > before


def test_a_line_on_which_nothing_is_sent_is_settled() -> None:
    model = LineModel(None, talk=nobody)
    model.run(1.0)
    assert model.line.is_settled
    model.talk = all_talk
    model.run(3.0)
    assert not model.line.is_settled
    model.run(12.0)
    model.talk = nobody
    model.run(6.0)
    assert model.line.is_settled


def test_the_last_16_changes_are_told_with_their_causes() -> None:
    model = LineModel(None, latency_s=0.02)
    for _ in range(12):
        model.rate_bps = 28_000.0
        model.run(15.0)
        model.rate_bps = None
        model.run(75.0)
    history = list(model.line.history)
    assert len(history) == 16
    assert {change.cause for change in history} <= {"delay", "loss", "recovered"}
    assert [change.at for change in history] == sorted(change.at for change in history)
    assert history[-1].tier is model.tier
