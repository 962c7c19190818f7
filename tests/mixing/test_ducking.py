"""The ducking curve against its specification, by itself and as it is heard."""

from __future__ import annotations

import numpy as np
import pytest

from sfu.mixing.ducking import Ducking
from sfu.mixing.opus import RATE_HZ, Pcm

from .talking import Stage, Talker, magnitude_db, sine


def curve(voiced_s: float, total_s: float, step_s: float = 0.02) -> list[float]:
    """Gain in dB at the end of each step when somebody speaks for the first `voiced_s`."""
    ducking = Ducking()
    return [
        ducking.advance(is_voiced=step * step_s < voiced_s - 1e-9, seconds=step_s)
        for step in range(round(total_s / step_s))
    ]


def specified(at_s: float, voiced_s: float) -> float:
    """Down by 9 dB in 50 ms, held for 400 ms after the last word, back in 400 ms."""
    if at_s <= voiced_s + 0.4:
        return max(-9.0, -9 * at_s / 0.05)
    return min(0.0, -9 + 9 * (at_s - voiced_s - 0.4) / 0.4)


def test_the_curve_is_the_specified_one() -> None:
    gains = curve(1.0, 2.5)
    for step, gain in enumerate(gains):
        assert gain == pytest.approx(specified((step + 1) * 0.02, 1.0), abs=1e-6)


def test_the_hold_may_end_within_a_step() -> None:
    gains = curve(1.02, 2.5, step_s=0.06)
    assert gains[22] == -9
    assert gains[-1] == 0
    assert gains[23] == pytest.approx(specified(24 * 0.06, 17 * 0.06), abs=1e-6)


def test_pauses_between_words_do_not_let_the_others_up() -> None:
    ducking = Ducking()
    for _ in range(20):
        for step in range(30):  # 0.25 s of speech, 0.35 s of none
            ducking.advance(is_voiced=step < 12, seconds=0.02)
    assert ducking.gain_db == -9


def gains_mixed_db(priority: tuple[bool, bool], mixed: list[Pcm]) -> list[float]:
    """How loud 400 Hz is in each 40 ms of 5 s, beside a 2 kHz talker from 2.0 to 3.0 s."""
    mixed.clear()
    stage = Stage()
    stage.listen()
    stage.know(1, is_priority=priority[0])
    stage.know(2, is_priority=priority[1])
    stage.talk(Talker(1, sine(400, 0.1)), 5)
    stage.talk(Talker(2, sine(2_000, 0.1), slot=1), 1, begin_s=2)
    stage.run(5)
    sound = np.concatenate(mixed)
    steps = range(0, len(sound) - 1_920, 480)
    return [magnitude_db(sound[at : at + 1_920], 400) + 20 for at in steps]


def test_what_is_heard_follows_the_curve(mixed: list[Pcm]) -> None:
    gains = np.array(gains_mixed_db((False, True), mixed))
    quiet = np.flatnonzero(gains[:-60] < -8)
    quiet = quiet[quiet > 30]
    assert np.abs(gains[30:195]).max() < 0.5
    assert gains[30:-60].min() == pytest.approx(-9, abs=0.4)
    # 1 s of speech, 80 ms in which its end is concealed, 0.4 s of hold.
    assert len(quiet) * 0.01 == pytest.approx(1.48, abs=0.04)
    # Back within 400 ms, in a straight line: half way after 200 ms.
    end = quiet[-1]
    assert gains[end + 18] == pytest.approx(-4.5, abs=1.2)
    assert np.abs(gains[end + 42 : end + 100]).max() < 0.5


def test_without_priority_and_among_those_who_have_it_nobody_is_ducked(
    mixed: list[Pcm],
) -> None:
    for priority in ((False, False), (True, True), (True, False)):
        gains = np.array(gains_mixed_db(priority, mixed))
        assert np.abs(gains[30:-60]).max() < 0.6, priority


def test_noise_of_an_open_microphone_does_not_duck() -> None:
    stage = Stage()
    listener = stage.listen()
    stage.know(2, is_priority=True)
    stage.know(1)
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 10 ** (-45 / 20), RATE_HZ * 12).astype(np.float32)
    stage.talk(Talker(2, lambda begin, count: noise[begin : begin + count], slot=1), 12)
    stage.talk(Talker(1, sine(400, 0.1)), 7, begin_s=5)
    stage.run(12)
    assert magnitude_db(listener.hear()[-96_000:], 400) == pytest.approx(-20, abs=0.5)
