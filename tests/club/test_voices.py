"""The bots' voices: they must look like speech to whoever selects speakers by level."""

from __future__ import annotations

import random

import av
import numpy as np
import pytest

from deploy.club.conversation import SILENCE, conversation
from deploy.club.voices import (
    FRAME_SAMPLES,
    SILENCE_LEVEL,
    Utterance,
    Voice,
    encode,
    level_dbov,
    speak,
    utterances,
)

VOICE = Voice(name="test", pitch_hz=200.0, formant_scale=1.0, seed=3)


def test_a_voice_is_the_same_in_every_run() -> None:
    first, second = (utterances(VOICE, 1)[0] for _ in range(2))
    assert first == second


def test_speech_has_syllables_and_pauses_at_the_level_of_people() -> None:
    """Levels rise and fall several times a second; the loud frames lie where headsets put them."""
    sound = speak(VOICE, 2, np.random.default_rng(1))
    levels = encode(sound).levels
    loud = sorted(levels)[len(levels) // 4]
    assert 15 <= loud <= 35
    assert max(levels) > 60, "a breath between phrases is silent"
    rises = sum(1 for before, now in zip(levels, levels[1:], strict=False) if before - now > 5)
    assert rises / (len(levels) * 0.02) > 1.5


def test_the_pitch_of_a_voice_is_in_its_spectrum() -> None:
    """Energy sits on harmonics of the pitch: the lowest strong component is near it."""
    low, high = (
        speak(Voice("x", pitch, 1.0, 3), 1, np.random.default_rng(5)) for pitch in (110.0, 220.0)
    )
    assert _first_harmonic_hz(low) < 150 < _first_harmonic_hz(high)


def test_packets_are_20_ms_each_and_decode_to_the_whole_utterance() -> None:
    utterance = encode(speak(VOICE, 1, np.random.default_rng(1)))
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    samples = [f.samples for p in utterance.packets for f in decoder.decode(av.Packet(p))]
    assert set(samples) == {FRAME_SAMPLES}
    assert len(samples) == len(utterance.levels)


@pytest.mark.parametrize(("amplitude", "level"), [(1.0, 3), (0.1, 23), (0.0, SILENCE_LEVEL)])
def test_level_is_minus_dbov_of_the_rms(amplitude: float, level: int) -> None:
    """A full-scale sine is 3 dB below full scale (RFC 6464 3)."""
    sine = amplitude * np.sin(np.arange(FRAME_SAMPLES) * 2 * np.pi * 1000 / 48_000)
    assert level_dbov(sine) == level


def test_bots_take_turns_and_leave_pauses_for_people() -> None:
    """Never two at once, both get their turn, and there is a rest of several seconds."""
    talk = Utterance(packets=(b"a",) * 50, levels=(20,) * 50)
    ticks = conversation([[talk], [talk]], random.Random(2))
    spoke: set[int] = set()
    quiet = longest = 0
    for _ in range(3_000):
        frames = next(ticks)
        speaking = [index for index, frame in enumerate(frames) if frame is not SILENCE]
        assert len(speaking) <= 1
        spoke.update(speaking)
        quiet = 0 if speaking else quiet + 1
        longest = max(longest, quiet)
    assert spoke == {0, 1}
    assert longest >= 200


def _first_harmonic_hz(sound: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    frequencies = np.fft.rfftfreq(len(sound), 1 / 48_000)
    strong = frequencies[spectrum > 0.25 * spectrum.max()]
    return float(strong[strong > 60][0])
