"""Nothing beyond full scale, nothing changed below it, and no long shadow behind a bang."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.mixing.limiter import CEILING, STEP_TICKS, Limiter
from sfu.mixing.opus import RATE_HZ, Pcm

TICKS = 960


def limited(sound: Pcm, ahead: int = 8) -> Pcm:
    """`sound` (whole blocks) behind a limiter, in step with what went in."""
    limiter = Limiter(TICKS, ahead)
    blocks = np.concatenate((sound, np.zeros(TICKS, dtype=np.float32))).reshape(-1, TICKS).copy()
    for block in blocks:
        limiter.process(block)
    return blocks.reshape(-1)[limiter.look_ahead_ticks :][: len(sound)]


def tone(hertz: float, peak: float, seconds: float = 1.0) -> Pcm:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (peak * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def test_below_full_scale_every_bit_passes() -> None:
    sound = tone(440, 0.97)
    assert (limited(sound) == sound).all()


def test_the_look_ahead_is_at_most_5_ms() -> None:
    assert Limiter(TICKS, 8).look_ahead_ticks <= 0.005 * RATE_HZ


@pytest.mark.parametrize("hertz", [60, 110, 440, 3_000, 11_000])
def test_a_sine_far_above_full_scale_becomes_one_of_full_scale(hertz: float) -> None:
    sound = limited(tone(hertz, 8.0))
    assert np.abs(sound).max() <= CEILING * 1.001
    rest = sound[4_800:].astype(np.float64)
    angles = 2 * np.pi * hertz * np.arange(4_800, len(sound)) / RATE_HZ
    basis = np.stack((np.sin(angles), np.cos(angles)), axis=1)
    (sines, cosines), *_ = np.linalg.lstsq(basis, rest)
    assert np.hypot(sines, cosines) > 0.9 * CEILING
    distortion = rest - basis @ (sines, cosines)
    assert 10 * np.log10(np.mean(distortion**2) / np.mean(rest**2)) < -80


def test_a_gain_falls_over_the_look_ahead_and_never_jumps() -> None:
    loud = np.concatenate((tone(200, 0.5, 0.2), tone(200, 4.0, 0.2), tone(200, 0.5, 0.2)))
    sound = limited(loud)
    defined = np.abs(loud) > 0.05
    gains = sound[defined] / loud[defined]
    # A straight line over eight steps: at most 1/8 of the way in one step.
    per_sample = np.abs(np.diff(gains)) / np.maximum(1, np.diff(np.flatnonzero(defined)))
    assert per_sample.max() < 1.1 / 8 / STEP_TICKS
    assert gains[-1] == pytest.approx(1, abs=0.01)


def test_a_click_makes_the_rest_quieter_for_a_blink() -> None:
    others = tone(440, 0.1)
    sound = others.copy()
    sound[24_000] += 1.0
    gains = np.abs(limited(sound))[np.abs(others) > 0.05] / np.abs(others)[np.abs(others) > 0.05]
    at = np.flatnonzero(np.abs(others) > 0.05)
    gains = gains[at != 24_000]
    at = at[at != 24_000]
    assert gains.min() > 10 ** (-3 / 20)
    ducked = at[gains < 0.99]
    assert (ducked.max() - ducked.min()) / RATE_HZ < 0.050


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 9_599), st.floats(-20, 20)), max_size=40),
    st.floats(0, 3),
    st.integers(1, 9),
)
def test_whatever_comes_nothing_exceeds_full_scale(
    bangs: list[tuple[int, float]], peak: float, ahead: int
) -> None:
    sound = tone(333, peak, 0.2)
    for at, height in bangs:
        sound[at] += height
    result = limited(sound, ahead)
    assert np.abs(result).max() <= 1
    assert np.isfinite(result).all()
