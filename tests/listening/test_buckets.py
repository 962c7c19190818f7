"""Shapers let through at once what was saved before: it is not what a line carries."""

from __future__ import annotations

import pytest

from sfu.listening import Tier
from tests.listening.line_model import LineModel, Talk, all_talk, one_talks

KBPS = (400, 150, 80, 45, 28, 20, 14)
SETTLED_S = 6.0


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
        assert model.fits
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
        unfit += not model.fits
    assert unfit <= 26  # 13 s of two minutes
    assert len([at for at in model.drops if at > 12.0]) <= 0.03 * model.packets


@pytest.mark.parametrize("rate_bps", [13_300.0, 13_600.0])
@pytest.mark.parametrize("seed", range(1, 5))
def test_a_line_that_carries_the_least_and_hardly_more_is_not_probed_while_a_queue_stands(
    rate_bps: float, seed: int
) -> None:
    """The queue of the first seconds empties slowly, and a probe would overfill it."""
    model = LineModel(rate_bps, burst_bytes=1_600, seed=seed)
    model.run(120.0)
    assert model.tier is Tier.B5
    assert not [at for at in model.drops if at > SETTLED_S]
    model.rate_bps, opened_at = 2_000_000.0, model.now
    model.run(30.0)
    assert model.changes_since(opened_at)[-1][1] is Tier.A1


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
