"""Loudness: who is far off is brought near, who is not stays exactly as they are."""

from __future__ import annotations

import numpy as np
import pytest

from sfu.mixing.levelling import GAIN_DB_MAX, SLEW_DB_S, TARGET_DB, Levelling
from sfu.mixing.opus import RATE_HZ

from .talking import Sound, Stage, Talker, level_dbov, magnitude_db, sine, speech


def gains(levels: list[float]) -> list[float]:
    """The gain after each 20 ms in which a source is so loud (dBov)."""
    levelling = Levelling()
    result = []
    for db in levels:
        levelling.observe(10 ** (db / 10), db, 0.02)
        result.append(levelling.gain_db)
    return result


def words(db: float, seconds: float) -> list[float]:
    """Speech at `db`: half a second of it, then a fifth of noise at -65."""
    return [db if step % 35 < 25 else -65.0 for step in range(round(seconds * 50))]


@pytest.mark.parametrize("db", [-31, -29, -26, -23, -20, -19])
def test_ordinary_voices_are_left_alone(db: float) -> None:
    assert set(gains(words(db, 60))) == {0.0}


@pytest.mark.parametrize(("db", "gain"), [(-34, 9), (-36, 11), (-45, 12), (-16, -9), (-5, -12)])
def test_others_are_brought_to_the_target_by_12_db_at_most(db: float, gain: float) -> None:
    reached = gains(words(db, 30))
    assert reached[-1] == pytest.approx(gain, abs=0.5)
    assert abs(reached[-1]) <= GAIN_DB_MAX
    assert reached[-1] == reached[-200]  # and stays there


def test_the_gain_moves_by_3_db_a_second_at_most() -> None:
    moving = np.diff([0.0, *gains(words(-50, 10) + words(-2, 20))])
    assert np.abs(moving).max() <= SLEW_DB_S * 0.02 + 1e-9


def test_it_moves_while_somebody_speaks_only() -> None:
    levels = words(-45, 10)
    reached = gains(levels)
    for index in range(1, len(levels)):
        if levels[index] == -65:
            assert reached[index] == reached[index - 1]


def test_a_voice_that_changes_is_followed_and_one_that_wavers_is_not() -> None:
    reached = gains(words(-45, 20) + words(-25, 30))
    assert reached[-1] == pytest.approx(0, abs=3)
    wavering = [db for _ in range(20) for db in (*words(-28, 2), *words(-22, 2))]
    assert set(gains(wavering)) == {0.0}


def test_a_voice_that_was_brought_near_is_then_left_alone_too() -> None:
    wavering = [db for _ in range(10) for db in (*words(-35, 3), *words(-39, 3))]
    reached = gains(words(-37, 20) + wavering)
    assert reached[999] == pytest.approx(12, abs=0.5)
    assert len(set(reached[999:])) == 1


@pytest.mark.parametrize("db", [-55, -45, -36])
def test_steady_noise_is_not_turned_up(db: float) -> None:
    rng = np.random.default_rng(1)
    assert set(gains([db + float(rng.normal(0, 1)) for _ in range(50 * 60)])) == {0.0}


@pytest.mark.parametrize("sound", [sine(440, 0.1), speech(-20)], ids=["sine", "speech"])
def test_a_talker_at_20_below_full_scale_alone_is_unchanged(sound: Sound) -> None:
    stage = Stage()
    listener = stage.listen()
    stage.talk(Talker(1, sound), 21)
    stage.run(21)
    heard = listener.hear()
    # Compared over whole phrases, wherever the delay has put them.
    expected = level_dbov(sound(0, 3 * RATE_HZ))
    for second in (3, 9, 15):
        piece = heard[second * RATE_HZ : (second + 3) * RATE_HZ]
        assert level_dbov(piece) == pytest.approx(expected, abs=0.5)


def test_a_whisper_and_a_shout_end_nearer_to_each_other() -> None:
    stage = Stage()
    listener = stage.listen()
    stage.talk(Talker(1, speech(-40, 130), slot=0), 30)
    stage.talk(Talker(2, speech(-10, 210), slot=1), 30)
    stage.run(30)
    heard = listener.hear()
    begin, end = heard[: 2 * RATE_HZ], heard[-3 * RATE_HZ :]
    before = magnitude_db(begin, 210) - magnitude_db(begin, 130)
    after = magnitude_db(end, 210) - magnitude_db(end, 130)
    assert before == pytest.approx(30, abs=3)
    assert after == pytest.approx(30 - 24, abs=3)


def test_the_target_is_where_voices_are_left_alone() -> None:
    assert -31 < TARGET_DB < -19
