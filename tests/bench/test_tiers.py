"""What is made of the tiers of listeners behind narrow lines."""

from __future__ import annotations

import math
from random import Random

import pytest

from bench.bottleneck import Bottleneck
from bench.crowd import Crowd, Kit
from bench.figures import describe, in_order
from bench.handshake import Handshakes
from bench.loads.ladder import Narrow, figures_of
from bench.options import LoadOptions
from bench.targets.rostrum import Hearing
from bench.tiers import Change, settled_ns, whole_again_ns

S = 1_000_000_000


def changes(*tiers: tuple[float, str]) -> list[Change]:
    return [Change(round(at_s * S), tier, "estimate") for at_s, tier in tiers]


@pytest.mark.parametrize(
    ("tiers", "drops_s", "settled_s"),
    [
        (changes((0, "A1")), [], 0),
        (changes((0, "A1"), (1, "A2"), (2, "B1")), [1.5], 2),
        (changes((0, "A1"), (1, "B2")), [0.5, 2.5], 2.5),
        # Up again is no unrest; nor is a try that fails long after.
        (changes((0, "A1"), (1, "B2"), (3, "B1"), (12, "A2"), (14, "B1")), [13.5], 1),
        (changes((0, "A1"), (28, "A2")), [3, 6, 9, 12, 15, 18, 21, 24, 27], None),
        (changes((0, "A1"), (1, "B5"), (2, "C")), [], 2),
    ],
)
def test_a_listener_has_settled_when_nothing_goes_down_and_nothing_is_dropped(
    tiers: list[Change], drops_s: list[float], settled_s: float | None
) -> None:
    at_ns = settled_ns(tiers, [round(one * S) for one in drops_s], 0, 30 * S)
    assert at_ns == (None if settled_s is None else settled_s * S)


def test_it_is_whole_again_from_when_it_stays_so() -> None:
    assert whole_again_ns(changes((0, "A1")), 20 * S) == 20 * S
    assert whole_again_ns(changes((0, "A1"), (1, "B2"), (25, "A1")), 20 * S) == 25 * S
    assert whole_again_ns(changes((0, "B2"), (25, "A1"), (27, "A0")), 20 * S) == 25 * S
    assert whole_again_ns(changes((0, "B2"), (25, "A1"), (27, "A2")), 20 * S) is None
    assert whole_again_ns([], 20 * S) is None


def narrow(kbps: int, **values: float) -> Narrow:
    client = Crowd(Kit(Handshakes(), Random(1))).client("one", "listener")
    one = Narrow(kbps, client, Bottleneck(1e3 * kbps, 0.3), tier="B2")
    for name, value in values.items():
        setattr(one, name, value)
    return one


def test_the_worst_line_is_told_and_each_by_its_speed() -> None:
    one = narrow(80, settle_s=2.0, drops=1, climb_s=11.0, carried_kbps=40.0)
    other = narrow(14, settle_s=5.0, drops=2, carried_kbps=11.0)
    figures = figures_of([one, other])
    assert figures["settle_max_s"] == figures["line_14_settle_s"] == 5.0
    assert figures["line_80_settle_s"] == 2.0
    assert figures["tail_drops"] == 3
    assert figures["silent_lines"] == 0
    assert figures_of([narrow(20, carried_kbps=0.4), one])["silent_lines"] == 1
    assert figures["climb_max_s"] == math.inf and figures["line_80_climb_s"] == 11.0
    assert "80 kbit/s: B2 with 40.0 kbit/s; settled: 2.0 s" in one.sentence()
    assert "not back" in other.sentence()


def test_figures_of_lines_are_told_by_speed() -> None:
    names = ["line_150_settle_s", "line_80_settle_s", "line_14_climb_s", "delay_p99_ms"]
    assert in_order(names) == ["delay_p99_ms", *reversed(names[:3])]
    told = describe("line_80_settle_s")
    assert (told.label, told.text(2.5)) == ("line of 80 kbit/s: settled after", "2.50 s")
    assert describe("line_80_carried_kbps").unit == "kbit/s"


def test_wishes_go_round_among_the_listeners() -> None:
    hearing = Hearing("mix", 4, LoadOptions("room", max_kbps="0,45").limits_kbps)
    assert [hearing.wishes(number) for number in range(3)] == [
        {"mode": "mix"},
        {"mode": "mix", "max_kbps": 45},
        {"mode": "mix"},
    ]
    assert Hearing().wishes(7) == {}
    for wrong in ("-1", "x", ""):
        with pytest.raises(ValueError, match=r"max-kbps|invalid literal"):
            _ = LoadOptions("room", max_kbps=wrong).limits_kbps


def test_listeners_offer_a_line_for_the_mix_where_they_may_need_it() -> None:
    assert LoadOptions("room", slots=3).listener_lines == 3
    assert LoadOptions("room", slots=3, mode="mix").listener_lines == 4
    assert LoadOptions("ladder", slots=2).listener_lines == 3
    assert LoadOptions("room", mode="mix", m_lines=1).listener_lines == 1
    assert LoadOptions("ladder", lines="80,14").line_rates_kbps == [80, 14]
    for wrong in ("80,x", "0", ""):
        with pytest.raises(ValueError, match=r"kbit/s|invalid literal"):
            _ = LoadOptions("ladder", lines=wrong).line_rates_kbps
