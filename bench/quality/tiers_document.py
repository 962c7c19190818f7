"""The part of QUALITY.md about tiers: goals, tables, and the plot beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from bench.goals import Goal
from bench.judging import Result
from bench.quality.hearing import JITTER_S
from bench.quality.measuring import Spread
from bench.quality.mixed import MIXES, TIERS
from bench.quality.tiers import Alone, Tiers
from bench.report import svg
from bench.report.style import SHEET
from bench.tables import markdown

PLOT: Final = "pesq-tiers.svg"
_PESQ_LEAST: Final = {"B1": 4.0, "B2": 3.9, "B3": 3.5, "B4": 2.8}
# B5 is beyond: one of its frames alone lasts that long.
_PROMPT: Final = tuple(_PESQ_LEAST)
_ADDED_MS_MOST: Final = 120.0
# Far above what a voice reaches that is not there; the encoders alone cost up to 0.1.
_IDENTITY_LEAST: Final = 0.85
_WHAT: Final = {
    "A1": "the slot as it comes",
    "A2": "three packets in one of 60 ms",
    "B1": "mix, 32 kbit/s, 20 ms",
    "B2": "mix, 24 kbit/s, 40 ms",
    "B3": "mix, 16 kbit/s, 60 ms",
    "B4": "mix, 10 kbit/s, 60 ms",
    "B5": "mix, 8 kbit/s, 120 ms",
}
_WIRE = svg.Axis(0.0, 70.0)
_PESQ = svg.Axis(1.0, 5.0)


def tier_goals(tiers: Tiers) -> list[Result]:
    """Means over the voices count for quality, the worst for the rest."""
    results = [
        Result(
            Goal(f"PESQ of one talker on {tier}", "quality-tiers", "pesq", ">=", least),
            _spread(tiers, tier, lambda one: one.pesq).mean,
        )
        for tier, least in _PESQ_LEAST.items()
    ]
    added = max(_added(tiers, tier, lambda one: one.delay_p99_ms).high for tier in _PROMPT)
    text = f"delay that the mix adds, {_PROMPT[0]} to {_PROMPT[-1]}, p99, ms"
    results.append(Result(Goal(text, "quality-tiers", "added", "<=", _ADDED_MS_MOST), added))
    least = [min(one.identities) for one in tiers.together if one.tier in _PROMPT]
    text = f"each of three voices in the mix, {_PROMPT[0]} to {_PROMPT[-1]}: identity"
    goal = Goal(text, "quality-tiers", "identity", ">=", _IDENTITY_LEAST)
    results.append(Result(goal, min(least, default=None), "" if least else "too few voices"))
    return results


def tier_section(tiers: Tiers) -> list[str]:
    """Everything about tiers, with a heading."""
    return [
        "## Tiers",
        "",
        "What a listener whose line loses nothing hears on each tier (`control/PROTOCOL.md`), of "
        "one talker. Packets of the same publisher as below go through the forwarder (A), or "
        "through the mixer (B): jitter buffer, decoder, levelling, limiter, the tier's encoder. "
        f"They come up to {1e3 * JITTER_S:.0f} ms late by their uplink. A mix is encoded a second "
        "time; PESQ hears nothing above 8 kHz, so bits that a full band takes are not to be seen "
        "here.",
        "",
        f"![PESQ by tier](quality/{PLOT})",
        "",
        *markdown(["tier", "", "PESQ", "on the wire, kbit/s"], _heard(tiers)),
        "",
        "**Delay**: from when a sample was captured until it can be decoded at the listener, "
        "without what the network takes; *added* is what is beyond the median of the slot as it "
        "comes, whose 20 ms of framing and 6.5 ms of encoder are in both. Lags are found by "
        "correlation with what was said, second by second.",
        "",
        *markdown(
            ["tier", "p50, ms", "p99, ms", "added, p50, ms", "added, p99, ms"], _delays(tiers)
        ),
        "",
        *_together(tiers),
    ]


def tier_plot(tiers: Tiers) -> str:
    """Quality by what it costs the line; the range is over voices."""
    parts = [svg.box(0, 0, svg.WIDTH, svg.HEIGHT, "ground")]
    parts += svg.frame(_WIRE, _PESQ, "on the wire while one talks, kbit/s", "PESQ")
    for index, family in enumerate((TIERS[: -len(MIXES)], MIXES)):
        pesq = [_spread(tiers, tier, lambda one: one.pesq) for tier in family]
        wire = [_spread(tiers, tier, lambda one: one.wire_kbit_s).mean for tier in family]
        line = svg.Line(family[0], [one.mean for one in pesq], f"s{index}")
        parts.append(svg.polyline(line, wire, _WIRE, _PESQ))
        for tier, at, one in zip(family, wire, pesq, strict=True):
            x, low, high = svg.column(_WIRE, at), svg.row(_PESQ, one.low), svg.row(_PESQ, one.high)
            parts.append(f'<path class="line range s{index}" d="M{x:.1f} {low:.1f}V{high:.1f}"/>')
            below = index * (low - high + 26)
            parts.append(svg.text(x, high - 6 + below, tier, "middle"))
    sheet = SHEET + (
        'svg { font: 12.5px system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif }\n'
        ".ground { fill: var(--card) } .range { stroke-width: 1.2; opacity: .55 }\n"
    )
    return svg.document("PESQ by tier", parts, sheet)


def _heard(tiers: Tiers) -> list[list[str]]:
    rows = []
    for tier in TIERS:
        pesq = _spread(tiers, tier, lambda one: one.pesq)
        wire = _spread(tiers, tier, lambda one: one.wire_kbit_s)
        told = f"{pesq.mean:.2f} ({pesq.low:.2f}–{pesq.high:.2f})"
        rows.append([tier, _WHAT[tier], told, f"{wire.mean:.1f}"])
    return rows


def _delays(tiers: Tiers) -> list[list[str]]:
    rows = []
    for tier in TIERS:
        p50 = _spread(tiers, tier, lambda one: one.delay_p50_ms).mean
        p99 = _spread(tiers, tier, lambda one: one.delay_p99_ms).high
        added_p50 = _added(tiers, tier, lambda one: one.delay_p50_ms).mean
        added_p99 = _added(tiers, tier, lambda one: one.delay_p99_ms).high
        rows.append([tier, *(f"{value:.1f}" for value in (p50, p99, added_p50, added_p99))])
    return rows


def _together(tiers: Tiers) -> list[str]:
    if not tiers.together:
        return []
    names = tiers.together[0].voices
    rows = [
        [one.tier, *(f"{value:.3f}" for value in (*one.identities, one.stranger))]
        for one in tiers.together
    ]
    return [
        "**Three at once**, all the time: how much each voice is itself in the mix. Its spectrum, "
        "by 16 ms and forty bands up to 3.8 kHz, is compared with the mix's where it is at least "
        "6 dB above the others: the correlation of levels in dB. The last column is the same for "
        "a voice that is not in the mix, put in the first one's place.",
        "",
        *markdown(["tier", *names, "somebody else"], rows),
    ]


def _spread(tiers: Tiers, tier: str, figure: Callable[[Alone], float]) -> Spread:
    return Spread.of(map(figure, tiers.of(tier)))


def _added(tiers: Tiers, tier: str, figure: Callable[[Alone], float]) -> Spread:
    """Beyond the same voice's slot as it comes, by its median."""
    plain = {one.voice: one.delay_p50_ms for one in tiers.of(TIERS[0])}
    return Spread.of(figure(one) - plain[one.voice] for one in tiers.of(tier))


def missed(results: Sequence[Result]) -> list[str]:
    """A sentence for each goal that was not met."""
    return [f"Missed: {one.goal.text}." for one in results if one.word != "met"]
