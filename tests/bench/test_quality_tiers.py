"""What listeners of each tier hear: comparing, the way through the mixer, the page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.quality.comparing import identities, lag
from bench.quality.kept import KeptError, Origin
from bench.quality.mixed import MIXES, heard
from bench.quality.mixed import TIERS as NAMES
from bench.quality.opus import RATE_IN, RATE_OUT, Pcm
from bench.quality.score import pesq_of
from bench.quality.tiers import (
    Alone,
    Tiers,
    Together,
    delays_of,
    tiers_from_json,
    tiers_to_json,
)
from bench.quality.tiers_document import tier_goals, tier_section
from bench.quality.voices import Voice, voice
from tests.bench import needs

# Invented figures that meet every goal.
TIERS = Tiers(
    Origin("python -m bench.quality", ("slt",), 1, "none"),
    tuple(
        Alone(tier, "slt", 4.2, 60.0 - 8 * index, 30.0 + 20 * index, 31.0 + 20 * index)
        for index, tier in enumerate(NAMES)
    ),
    tuple(Together(tier, ("slt", "rms", "awb"), (0.95, 0.96, 0.97), 0.4) for tier in MIXES),
)


def babble(seed: int, seconds: float) -> Pcm:
    """Syllables of another pitch, rhythm and colour for each seed, at 48 kHz."""
    entropy = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE_IN)) / RATE_IN
    pitch_hz = 100 + 45 * seed
    sway = 1 + 0.03 * np.sin(2 * np.pi * (0.31 + 0.17 * seed) * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz * sway) / RATE_IN
    sound = np.zeros(len(time_s))
    for harmonic in range(1, 16):
        rhythm_hz = entropy.uniform(1.5, 5.0)
        loud = 1 + np.sin(2 * np.pi * rhythm_hz * time_s + entropy.uniform(0, 6))
        sound += loud * np.sin(harmonic * phase) / harmonic
    return (2_500 * sound).astype(np.int16)


def talker(seed: int, seconds: float = 6.0) -> Voice:
    sound = babble(seed, seconds)
    return Voice(f"talker-{seed}", sound, sound[::3].copy())


@pytest.fixture(scope="module")
def three() -> list[Voice]:
    return [talker(seed) for seed in range(3)]


def test_a_lag_is_found_to_the_sample() -> None:
    said = talker(1, 2.0).reference
    late = np.concatenate((np.zeros(777, dtype=np.int16), said, np.zeros(4_000, dtype=np.int16)))
    assert lag(said, late, 4_000) == 777
    assert lag(said[5_000:21_000], late[5_000:], 4_000) == 777


def test_a_voice_is_in_a_mix_that_it_is_in(three: list[Voice]) -> None:
    references = [one.reference for one in three]
    mix: Pcm = np.asarray(np.sum(references, axis=0, dtype=np.int32) // 3, dtype=np.int16)
    stranger = talker(7).reference
    there, strange = identities(references, stranger, mix)
    assert min(there) > 0.97
    assert strange < 0.75
    without, _ = identities(references, stranger, references[0] // 2 + references[1] // 2)
    assert min(without[:2]) > 0.95 and without[2] < 0.75


@pytest.mark.parametrize("tier", ["A1", "A2", "B1", "B3"])
def test_every_tier_carries_the_voice_in_step(three: list[Voice], tier: str) -> None:
    """Whole, and never sooner than its packet can be there."""
    said = three[0].reference
    stream = heard(three[:1], tier)
    sound = stream.sound(len(said) + 4_000)
    late = lag(said, sound, 4_000)
    heard_in_step = sound[late : late + len(said)]
    there, strange = identities([said, three[1].reference], three[2].reference, heard_in_step)
    assert there[0] > 0.95 > 0.75 > strange
    delays_ms = delays_of(said, stream)
    assert len(delays_ms) > 4 * RATE_OUT / 960 / 6
    shortest_ms = {"A1": 26, "A2": 26, "B1": 26 + 20, "B3": 26 + 60}[tier]
    assert shortest_ms <= min(delays_ms) <= max(delays_ms) < shortest_ms + 80


def test_three_voices_are_all_in_the_mix(three: list[Voice]) -> None:
    stream = heard(three, "B1")
    sound = stream.sound(len(three[0].reference) + 4_000)
    late = lag(three[0].reference, sound, 4_000)
    references = [one.reference for one in three]
    there, strange = identities(references, talker(7).reference, sound[late:][: len(references[0])])
    assert min(there) > 0.85 > 0.75 > strange


def test_the_lower_a_mix_the_less_it_costs_the_line(three: list[Voice]) -> None:
    rates = [heard(three[:1], tier).wire_kbit_s for tier in MIXES]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 45 and rates[-1] < 14


# The page


def test_tiers_are_kept_and_read_again() -> None:
    assert tiers_from_json(tiers_to_json(TIERS)) == TIERS
    for text in ("", "{}", "[]", '{"origin": {}, "alone": [], "together": []}'):
        with pytest.raises(KeptError, match="no measurement"):
            tiers_from_json(text)


def changed(tier: str, *, pesq: float = 4.2, delay_p99_ms: float = 90.0) -> Tiers:
    alone = tuple(
        replace(one, pesq=pesq, delay_p99_ms=delay_p99_ms) if one.tier == tier else one
        for one in TIERS.alone
    )
    return replace(TIERS, alone=alone)


@pytest.mark.parametrize(
    ("tiers", "missed"),
    [
        (TIERS, []),
        (changed("B1", pesq=3.99), ["PESQ of one talker on B1"]),
        (changed("B4", pesq=2.7), ["PESQ of one talker on B4"]),
        (changed("B5", pesq=1.0, delay_p99_ms=400.0), []),
        (changed("B2", delay_p99_ms=152.0), ["delay that the mix adds, B1 to B4, p99, ms"]),
        (
            replace(TIERS, together=(replace(TIERS.together[0], identities=(0.95, 0.8, 0.95)),)),
            ["each of three voices in the mix, B1 to B4: identity"],
        ),
        (
            replace(TIERS, together=()),
            ["each of three voices in the mix, B1 to B4: identity"],
        ),
    ],
)
def test_goals_of_tiers_are_met_or_missed(tiers: Tiers, missed: list[str]) -> None:
    assert [one.goal.text for one in tier_goals(tiers) if one.word != "met"] == missed


def test_the_page_tells_each_tier_and_what_it_adds() -> None:
    told = "\n".join(tier_section(TIERS))
    assert "| A1 | the slot as it comes | 4.20 (4.20–4.20) | 60.0 |" in told
    assert "| B2 | 90.0 | 91.0 | 60.0 | 61.0 |" in told
    assert "| B5 | 0.950 | 0.960 | 0.970 | 0.400 |" in told


@needs.flite
@needs.pesq
def test_a_mix_of_one_voice_is_nearly_as_good_as_the_voice() -> None:
    whole = voice("rms")
    rms = Voice("rms", whole.sound[: 8 * RATE_IN], whole.reference[: 8 * RATE_OUT])
    scores = []
    for tier in ("A1", "B1", "B4"):
        sound = heard([rms], tier).sound(len(rms.reference) + 4_000)
        late = lag(rms.reference, sound, 4_000)
        scores.append(pesq_of(rms.reference, sound[late : late + len(rms.reference)]))
    slot, best, lowest = scores
    assert slot > best > slot - 0.8
    assert best - 0.3 > lowest > 2.5
