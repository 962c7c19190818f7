"""QUALITY.md: goals, tables and plots from the outcomes."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from bench.goals import Goal
from bench.judging import Result
from bench.quality.hearing import BITRATE_BPS, COMPLEXITY, JITTER_S, ONE_WAY_S
from bench.quality.kept import Origin
from bench.quality.losses import MEAN_BURST, PATTERNS, TITLES, Pattern
from bench.quality.measuring import (
    LOSSES,
    TYPICAL_LOSS,
    TYPICAL_PATTERN,
    Case,
    Outcome,
    Spread,
    buffered_alike,
)
from bench.quality.plots import spread
from bench.quality.score import PIECE_S
from bench.quality.tiers import Tiers
from bench.quality.tiers_document import missed, tier_goals, tier_section
from bench.quality.treatments import BUFFERS_MS, NACK, RED1, TREATMENTS
from bench.quality.voices import FLITE_VOICES, HUMAN, SPEECH_S
from bench.tables import markdown

Outcomes = Mapping[Case, Sequence[Outcome]]

_RED1_GOAL = Goal("PESQ at 10 % random loss with RED1", "quality", "pesq", ">=", 3.7)
_NACK_GOAL = Goal(
    "concealed at 10 % random loss with NACK over a round trip of 80 ms, %",
    "quality",
    "concealed",
    "<=",
    0.5,
)


def goals(outcomes: Outcomes) -> list[Result]:
    """The goals with what they came to; the means over voices and seeds count."""
    red1 = Case(RED1, TYPICAL_PATTERN, TYPICAL_LOSS)
    nack = Case(NACK, TYPICAL_PATTERN, TYPICAL_LOSS)
    return [
        Result(_RED1_GOAL, Spread.of(one.pesq for one in outcomes[red1]).mean),
        Result(_NACK_GOAL, 100 * Spread.of(one.concealed for one in outcomes[nack]).mean),
    ]


def render(outcomes: Outcomes, origin: Origin, tiers: Tiers) -> str:
    """The whole of QUALITY.md."""
    results = [*tier_goals(tiers), *goals(outcomes)]
    lines = [
        "# What a listener hears",
        "",
        "On each tier, and when packets are lost. "
        f"Written by `{origin.command}` (or `make bench-quality`). Times and seeds are fixed: the "
        "same versions tell the same.",
        "",
        *markdown(["goal", "wanted", "measured", ""], [one.cells() for one in results]),
        "",
        *missed(results),
        "",
        *tier_section(tiers),
        "",
        *_about(origin),
    ]
    for pattern in PATTERNS:
        lines += ["", *_of_pattern(outcomes, pattern)]
    lines += ["", *_wire(outcomes), "", *_buffers(outcomes), "", *_voices(outcomes, origin)]
    text = "\n".join(lines) + "\n"
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text


def _about(origin: Origin) -> list[str]:
    way_ms, jitter_ms = 1_000 * ONE_WAY_S, 1_000 * JITTER_S
    flite = [name for name in FLITE_VOICES if name in origin.voices]
    told = []
    if flite:
        quoted = ", ".join(f"`{name}`" for name in flite)
        told.append(f"Synthesized by Flite: {quoted}")
    if HUMAN in origin.voices:
        told.append(
            f"a person: `{HUMAN}`, the channel names recorded for that program, 11 s of a woman, "
            "said twice"
        )
    own = [name for name in origin.voices if name not in (*FLITE_VOICES, HUMAN)]
    told += [f"`{name}`, a recording of the tester's own" for name in own]
    return [
        "## How loss is measured",
        "",
        f"- **Speech**: {SPEECH_S} s of each voice. {'; '.join(told)}. Synthetic speech is easier "
        "to conceal in some places and harder in others; rows are to be compared with each other, "
        "not with listening tests. Voices and licences: `quality/voices.py`.",
        f"- **Publisher**: libopus, mono, {BITRATE_BPS // 1_000} kbit/s, complexity {COMPLEXITY}, "
        "20 ms, `voip`, no DTX. Only in the treatment FEC is in-band FEC on, told the true loss of "
        "this listener's line; that shares the bit rate, everything else adds to it.",
        "- **Server**: the forwarder itself, with SRTP on both sides; RED and repetitions are "
        "its own, with all their limits: it repeats at most a quarter of what it sent, which is "
        "why NACK fails where more is lost. The uplink loses nothing.",
        f"- **Downlink**: {way_ms:.0f} ms and up to {jitter_ms:.0f} ms of jitter. *Random*: each "
        f"packet by itself. *Bursts*: Gilbert-Elliott, {MEAN_BURST} packets in a row on average. "
        "Repetitions are lost like everything else. The way back takes "
        f"{way_ms:.0f} ms and loses nothing.",
        f"- **Listener**: a jitter buffer of fixed length; what is due is decoded from the packet, "
        "its repetition or a copy in RED, else from in-band FEC of the next packet, else concealed "
        "by libopus (no neural concealment). With NACK it asks when a gap shows and "
        "again after a round trip, as long as the answer would come in time. An answer takes at "
        "least 20 ms (the next packet shows the gap) and a round trip: so NACK has a buffer of "
        f"{NACK.buffer_ms} ms, the others have {RED1.buffer_ms} ms; more of that below.",
        f"- **Score**: PESQ, wide band (ITU-T P.862.2), mean of pieces of {PIECE_S} s; 1.0 to "
        "4.64. It hears nothing above 8 kHz and knows nothing of delay. Cells are means, with the "
        f"lowest and highest call. Voices: {len(origin.voices)}; seeds of each: {origin.seeds}.",
        f"- **Versions**: {origin.versions}.",
    ]


def _percent(loss: float) -> str:
    return f"{100 * loss:g} %"


def _of_pattern(outcomes: Outcomes, pattern: Pattern) -> list[str]:
    heads = ["", *map(_percent, LOSSES)]
    title = TITLES[pattern]
    return [
        f"## {title.capitalize()}",
        "",
        f"![PESQ, {title}](quality/pesq-{pattern}.svg)",
        "",
        "PESQ by loss of the downlink:",
        "",
        *markdown(heads, _by_loss(outcomes, pattern, lambda one: one.pesq, "{:.2f}")),
        "",
        f"![concealed frames, {title}](quality/concealed-{pattern}.svg)",
        "",
        "Residual loss, % of frames: the decoder had neither the packet nor a copy in time.",
        "",
        *markdown(heads, _by_loss(outcomes, pattern, lambda one: 100 * one.concealed, "{:.2f}")),
    ]


def _by_loss(
    outcomes: Outcomes, pattern: Pattern, figure: Callable[[Outcome], float], form: str
) -> list[list[str]]:
    return [
        [
            one.label,
            *(_cell(spread(outcomes, one, pattern, loss, figure), form) for loss in LOSSES),
        ]
        for one in TREATMENTS
    ]


def _cell(found: Spread, form: str) -> str:
    mean, low, high = (form.format(value) for value in (found.mean, found.low, found.high))
    return mean if low == high else f"{mean} ({low}–{high})"


def _wire(outcomes: Outcomes) -> list[str]:
    rows = []
    for one in TREATMENTS:
        means = [
            spread(outcomes, one, TYPICAL_PATTERN, loss, lambda found: found.wire_kbit_s).mean
            for loss in LOSSES
        ]
        plain = spread(outcomes, TREATMENTS[0], TYPICAL_PATTERN, 0, lambda it: it.wire_kbit_s).mean
        typical = means[LOSSES.index(TYPICAL_LOSS)]
        rows.append([one.label, *(f"{mean:.1f}" for mean in means), f"{typical / plain - 1:+.0%}"])
    return [
        "## What it costs",
        "",
        "kbit/s sent towards the listener while somebody talks, with the headers of IPv4, UDP, RTP "
        "(one CSRC, the level) and the SRTP tag; mean over voices and seeds of random loss. "
        "Requests for repetition go the other way and are not in it.",
        "",
        *markdown(["", *map(_percent, LOSSES), f"added at {_percent(TYPICAL_LOSS)}"], rows),
    ]


def _buffers(outcomes: Outcomes) -> list[str]:
    rows = []
    for one in TREATMENTS:
        row = [one.name]
        for buffered in buffered_alike(one):
            found = outcomes[Case(buffered, TYPICAL_PATTERN, TYPICAL_LOSS)]
            score = Spread.of(each.pesq for each in found).mean
            concealed = 100 * Spread.of(each.concealed for each in found).mean
            row.append(f"{score:.2f} / {concealed:.2f}")
        rows.append(row + ["the same"] * (1 + len(BUFFERS_MS) - len(row)))
    return [
        "## How long the listener waits",
        "",
        f"PESQ / residual loss in % at {_percent(TYPICAL_LOSS)} {TITLES[TYPICAL_PATTERN]}, by the "
        "length of the jitter buffer. Browsers lengthen theirs when packets often come late.",
        "",
        *markdown(["", *(f"{buffer_ms} ms" for buffer_ms in BUFFERS_MS)], rows),
    ]


def _voices(outcomes: Outcomes, origin: Origin) -> list[str]:
    lossless = Case(TREATMENTS[0], TYPICAL_PATTERN, 0.0)
    columns = [("no loss", lossless)]
    columns += [(one.name, Case(one, TYPICAL_PATTERN, TYPICAL_LOSS)) for one in TREATMENTS]
    rows = [
        [name, *(f"{_mean_of(name, outcomes[case]):.2f}" for _, case in columns)]
        for name in origin.voices
    ]
    return [
        "## Voice by voice",
        "",
        f"PESQ at {_percent(TYPICAL_LOSS)} {TITLES[TYPICAL_PATTERN]}, mean over the seeds.",
        "",
        *markdown(["", *(head for head, _ in columns)], rows),
    ]


def _mean_of(name: str, found: Sequence[Outcome]) -> float:
    return statistics.fmean(one.pesq for one in found if one.voice == name)
