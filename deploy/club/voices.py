"""Speech-like sound for the demo's bots, made from numbers: no recording, no words.

A voice is a sum of harmonics of a gliding pitch, weighted by vowel formants (the source-filter
model of speech), cut into syllables with noise bursts where consonants would be. It is babble, but
it has what a speaker selector looks at: syllables at 4-6 Hz, pauses for breath, a level that
moves.

Everything comes from a seed, so a voice says the same thing in every run. Samples are float64 in
[-1, 1] at 48 kHz; a frame is 20 ms.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]

SAMPLE_RATE = 48_000
FRAME_SAMPLES = 960
# RFC 6716: one 20 ms fullband CELT frame of silence, what browsers send while nothing is said.
SILENCE_PACKET = bytes.fromhex("f8fffe")
SILENCE_LEVEL = 127
VOICED_LEVEL_MAX = 50
BITRATE_BPS = 32_000

# First three formants of spoken vowels, Hz (male averages; a voice scales them).
VOWELS = (
    (730.0, 1090.0, 2440.0),
    (530.0, 1840.0, 2480.0),
    (270.0, 2290.0, 3010.0),
    (570.0, 840.0, 2410.0),
    (300.0, 870.0, 2240.0),
    (660.0, 1720.0, 2410.0),
)
FORMANT_BANDWIDTHS = (90.0, 130.0, 200.0)
FORMANT_GAINS = (1.0, 0.5, 0.22)
HARMONIC_HZ_MAX = 3_800.0


@dataclass(frozen=True, slots=True)
class Voice:
    """Who is speaking: the pitch of the voice and the length of its throat."""

    name: str
    pitch_hz: float
    formant_scale: float
    seed: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """Some seconds of speech, ready to send: Opus packets of 20 ms and the level of each in
    -dBov.
    """

    packets: tuple[bytes, ...]
    levels: tuple[int, ...]


def speak(voice: Voice, phrases: int, entropy: np.random.Generator) -> Samples:
    """One utterance of `phrases` phrases with a breath between them."""
    parts: list[Samples] = []
    for index in range(phrases):
        if index:
            parts.append(np.zeros(int(SAMPLE_RATE * entropy.uniform(0.18, 0.4))))
        parts.append(_phrase(voice, entropy))
    sound = np.concatenate(parts)
    # -14 dBFS peaks: syllables come out near -26 dBov, where people in headsets are.
    return sound * (10 ** (-14 / 20) / max(1e-9, float(np.max(np.abs(sound)))))


def utterances(voice: Voice, count: int) -> list[Utterance]:
    """What this voice has to say, encoded once."""
    entropy = np.random.default_rng(voice.seed)
    return [encode(speak(voice, int(entropy.integers(2, 4)), entropy)) for _ in range(count)]


def encode(sound: Samples) -> Utterance:
    """Opus packets (mono) and RFC 6464 levels of `sound`, the last frame filled with silence."""
    frames = math.ceil(len(sound) / FRAME_SAMPLES)
    padded = np.zeros(frames * FRAME_SAMPLES)
    padded[: len(sound)] = sound
    blocks = padded.reshape(frames, FRAME_SAMPLES)
    # The encoder looks ahead and hands packets out late; one more frame flushes it.
    packets = itertools.islice(_opus_packets([*blocks, np.zeros(FRAME_SAMPLES)]), frames)
    return Utterance(packets=tuple(packets), levels=tuple(level_dbov(block) for block in blocks))


def level_dbov(frame: Samples) -> int:
    """The level of a frame as RFC 6464 counts it: 0 the loudest, 127 silence."""
    rms = math.sqrt(float(np.mean(frame * frame)))
    if rms < 1e-6:
        return SILENCE_LEVEL
    return min(SILENCE_LEVEL, max(0, round(-20 * math.log10(rms))))


def _opus_packets(blocks: list[Samples]) -> Iterator[bytes]:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate = SAMPLE_RATE
    encoder.layout = "mono"
    encoder.format = av.AudioFormat("s16")
    encoder.bit_rate = BITRATE_BPS
    encoder.options = {"application": "voip", "frame_duration": "20"}
    for index, block in enumerate(blocks):
        pcm = np.clip(block * 32_767, -32_768, 32_767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = index * FRAME_SAMPLES
        frame.time_base = Fraction(1, SAMPLE_RATE)
        for packet in encoder.encode(frame):
            yield bytes(packet)
    for packet in encoder.encode(None):
        yield bytes(packet)


def _phrase(voice: Voice, entropy: np.random.Generator) -> Samples:
    """5 to 9 syllables on a pitch that falls towards the end."""
    count = int(entropy.integers(5, 10))
    syllables: list[Samples] = []
    for index in range(count):
        progress = index / count
        pitch = voice.pitch_hz * (1.12 - 0.27 * progress) * float(entropy.normal(1.0, 0.04))
        if entropy.random() < 0.6:
            syllables.append(_consonant(entropy))
        syllables.append(_vowel(voice, pitch, entropy))
    return np.concatenate(syllables)


def _consonant(entropy: np.random.Generator) -> Samples:
    """A short hiss (differenced noise leans to the treble) or a stop's silence."""
    length = int(SAMPLE_RATE * entropy.uniform(0.03, 0.08))
    if entropy.random() < 0.35:
        return np.zeros(length)
    noise = np.diff(entropy.normal(0.0, 0.05, length + 1))
    return np.asarray(noise * np.hanning(length), dtype=np.float64)


def _vowel(voice: Voice, pitch_hz: float, entropy: np.random.Generator) -> Samples:
    """One voiced syllable: harmonics of `pitch_hz` gliding from one vowel's formants to
    another's.
    """
    length = int(SAMPLE_RATE * entropy.uniform(0.11, 0.24))
    time = np.linspace(0.0, 1.0, length)
    glide = pitch_hz * (1 + 0.06 * np.sin(np.pi * time) - 0.05 * time)
    phase = 2 * np.pi * np.cumsum(glide) / SAMPLE_RATE
    start, end = (np.array(VOWELS[int(entropy.integers(len(VOWELS)))]) for _ in range(2))
    formants = voice.formant_scale * (start[:, None] * (1 - time) + end[:, None] * time)
    sound = np.zeros(length)
    for harmonic in range(1, int(HARMONIC_HZ_MAX / pitch_hz) + 1):
        sound += _resonance(harmonic * glide, formants) * np.sin(harmonic * phase) / harmonic**0.5
    attack, release = int(0.02 * SAMPLE_RATE), int(0.05 * SAMPLE_RATE)
    sound[:attack] *= np.linspace(0, 1, attack)
    sound[-release:] *= np.linspace(1, 0, release)
    return np.asarray(sound * entropy.uniform(0.6, 1.0), dtype=np.float64)


def _resonance(frequency: Samples, formants: Samples) -> Samples:
    """How strongly the throat lets `frequency` through, by formant."""
    gain = np.zeros_like(frequency)
    for track, bandwidth, strength in zip(formants, FORMANT_BANDWIDTHS, FORMANT_GAINS, strict=True):
        gain += strength / (1 + ((frequency - track) / bandwidth) ** 2)
    return gain + 0.02
