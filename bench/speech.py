"""Speech made from numbers, as a speaker's client would send it: Opus packets and their levels.

A voice is a pulse train of harmonics whose loudness follows the formants of vowels, with hisses
and closures for consonants, syllables at 4 to 6 a second, phrases and breaths. It is babble, but
its packets have speech's sizes and its levels move as speech's do, which is what a server that
selects speakers by level has to see. Everything follows from a seed: the same seed says the same.

A packet is rewritten as a code 3 packet with eight bytes of Opus padding at its end (RFC 6716
3.2.5). Decoders skip the padding; the sender writes the time of sending into it, the receiver
reads it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import Literal

import av
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
Talk = Literal["always", "speech", "turns"]

SAMPLE_RATE = 48_000
STEP_SAMPLES = 960
STEP_S = 0.02
STEPS_PER_S = 50
VOICE_S = 20.0
# Loads with more speakers let them share voices, each begun at another step.
VOICES = 4
BITRATE_BPS = 28_000
# Of 0..10: what phones use; the sizes hardly differ and generating is four times as fast.
COMPLEXITY = 4
STAMP_BYTES = 8
LEVEL_SILENT = 127
# Silence as libopus judges it is about this far down; above it a frame is sent.
LEVEL_SENT_MAX = 70
# libopus stops sending after 10 frames of silence, then refreshes the noise every 400 ms.
DTX_AFTER_STEPS = 10
DTX_REFRESH_STEPS = 20
# A 20 ms fullband frame without sound, as libopus makes it.
SILENCE_FRAME = bytes.fromhex("f8fffe")

_CODE_3 = 0b11
_ONE_FRAME_PADDED = 0x41  # constant bit rate, padding follows, one frame
_FORMANTS_HZ = np.array(
    [
        (710.0, 1_100.0, 2_540.0),
        (550.0, 1_770.0, 2_490.0),
        (280.0, 2_250.0, 2_890.0),
        (590.0, 880.0, 2_540.0),
        (310.0, 870.0, 2_250.0),
    ]
)
_BANDWIDTHS_HZ = np.array((80.0, 110.0, 170.0))
_LOUDNESS = np.array((1.0, 0.55, 0.25))
_HARMONICS_HZ_MAX = 4_000.0
_PEAK_DBFS = -12.0


@dataclass(frozen=True)
class Voice:
    """Something to say, step by step: 20 ms each, `b""` where nothing is sent.

    Each packet ends in `STAMP_BYTES` of Opus padding. Levels are RFC 6464's: 0 the loudest.
    """

    steps: tuple[tuple[bytes, int], ...]


def stampable(packet: bytes) -> bytes:
    """The same sound with room for the send time at the end. ValueError unless `packet` has just
    one frame (code 0), as every 20 ms packet of libopus has.
    """
    if not packet or packet[0] & _CODE_3:
        raise ValueError("an Opus packet of one frame is expected")
    head = bytes((packet[0] | _CODE_3, _ONE_FRAME_PADDED, STAMP_BYTES))
    return head + packet[1:] + bytes(STAMP_BYTES)


@lru_cache(maxsize=64)
def voice(seed: int, number: int, talk: Talk = "always", seconds: float = VOICE_S) -> Voice:
    """Voice `number` of a seed. `speech` has pauses and DTX; `always` and `turns` have neither:
    whose turn it is, the load decides.
    """
    entropy = np.random.default_rng((seed, number))
    sound = _speak(entropy, seconds, with_pauses=talk == "speech")
    levels = [level_dbov(block) for block in sound]
    packets = [stampable(packet) for packet in _encode(sound)]
    steps = list(zip(packets, levels, strict=True))
    return Voice(tuple(_discontinued(steps) if talk == "speech" else steps))


def silence() -> Voice:
    """An open microphone in a quiet room: a packet every 400 ms."""
    packet = stampable(SILENCE_FRAME)
    nothing = [(b"", LEVEL_SILENT)] * (DTX_REFRESH_STEPS - 1)
    return Voice(((packet, LEVEL_SILENT), *nothing))


def level_dbov(block: Samples) -> int:
    """The level of one step as RFC 6464 counts it, in -dBov."""
    power = float(np.mean(block * block))
    if power < 1e-13:
        return LEVEL_SILENT
    return min(LEVEL_SILENT, max(0, round(-10 * math.log10(power))))


def _discontinued(steps: Sequence[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
    """Leave out what a sender with DTX does not send; levels stay, though nobody sees them."""
    kept: list[tuple[bytes, int]] = []
    quiet = 0
    for packet, level in steps:
        quiet = quiet + 1 if level > LEVEL_SENT_MAX else 0
        beyond = quiet - DTX_AFTER_STEPS
        is_sent = beyond <= 0 or beyond % DTX_REFRESH_STEPS == 0
        kept.append((packet if is_sent else b"", level))
    return kept


def _encode(blocks: Samples) -> list[bytes]:
    """One Opus packet for each block of 20 ms."""
    return list(islice(_packets(blocks), len(blocks)))


def _packets(blocks: Samples) -> Iterator[bytes]:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate = SAMPLE_RATE
    encoder.layout = "mono"
    encoder.format = av.AudioFormat("s16")
    encoder.bit_rate = BITRATE_BPS
    encoder.options = {
        "application": "voip",
        "frame_duration": "20",
        "compression_level": str(COMPLEXITY),
    }
    # The encoder looks ahead; a block of silence at the end gets the last packet out of it.
    for index, block in enumerate((*blocks, np.zeros(STEP_SAMPLES))):
        pcm = np.clip(block * 32_767, -32_768, 32_767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = index * STEP_SAMPLES
        frame.time_base = Fraction(1, SAMPLE_RATE)
        for packet in encoder.encode(frame):
            yield bytes(packet)
    for packet in encoder.encode(None):
        yield bytes(packet)


def _speak(entropy: np.random.Generator, seconds: float, *, with_pauses: bool) -> Samples:
    """Blocks of 20 ms: phrases of syllables, after each a breath or a thought."""
    length = round(seconds * STEPS_PER_S) * STEP_SAMPLES
    pitch_hz = float(entropy.uniform(95, 220))
    throat = 1.0 + (pitch_hz - 95) / 125 * 0.17  # shorter throats go with higher voices
    parts: list[Samples] = []
    made = 0
    while made < length:
        part = _phrase(entropy, pitch_hz, throat)
        if with_pauses:
            # Every third pause is a listening one: long enough for DTX and for somebody else.
            pause_s = (
                entropy.uniform(0.8, 2.5) if len(parts) % 3 == 2 else entropy.uniform(0.2, 0.6)
            )
            part = np.concatenate((part, np.zeros(int(pause_s * SAMPLE_RATE))))
        parts.append(part)
        made += len(part)
    sound = np.concatenate(parts)[:length]
    sound *= 10 ** (_PEAK_DBFS / 20) / float(np.max(np.abs(sound)))
    return np.asarray(sound, dtype=np.float64).reshape(-1, STEP_SAMPLES)


def _phrase(entropy: np.random.Generator, pitch_hz: float, throat: float) -> Samples:
    """Syllables on a pitch that falls towards the end."""
    count = int(entropy.integers(5, 11))
    parts: list[Samples] = []
    for index in range(count):
        if entropy.random() < 0.65:
            parts.append(_consonant(entropy))
        falling = 1.15 - 0.3 * index / count
        parts.append(_vowel(entropy, pitch_hz * falling * entropy.normal(1.0, 0.03), throat))
    return np.concatenate(parts)


def _consonant(entropy: np.random.Generator) -> Samples:
    """A hiss, or the closure before a plosive: too short to be a pause."""
    samples = int(SAMPLE_RATE * entropy.uniform(0.025, 0.07))
    loudness = 0.004 if entropy.random() < 0.3 else 0.08
    return np.asarray(np.diff(entropy.normal(0.0, loudness, samples + 1)) * np.hanning(samples))


def _vowel(entropy: np.random.Generator, pitch_hz: float, throat: float) -> Samples:
    """A voiced syllable: harmonics of a pitch that sways, gliding between two vowels."""
    samples = int(SAMPLE_RATE * entropy.uniform(0.1, 0.22))
    first, last = _FORMANTS_HZ[entropy.choice(len(_FORMANTS_HZ), 2, replace=False)] * throat
    time_s = np.arange(samples) / SAMPLE_RATE
    progress = np.linspace(0.0, 1.0, samples)
    sway = 1 + 0.015 * np.sin(2 * np.pi * 5.2 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz * sway) / SAMPLE_RATE
    sound = np.zeros(samples)
    for harmonic in range(1, int(_HARMONICS_HZ_MAX / pitch_hz) + 1):
        begin, end = (_gain(harmonic * pitch_hz, formants) for formants in (first, last))
        sound += (begin + (end - begin) * progress) * np.sin(harmonic * phase) / harmonic**0.5
    attack = np.minimum(1.0, progress * 8) * np.minimum(1.0, (1 - progress) * 5)
    return np.asarray(sound * attack * entropy.uniform(0.5, 1.0))


def _gain(frequency_hz: float, formants_hz: Samples) -> float:
    """How much of a harmonic passes a throat with these formants."""
    distance = (frequency_hz - formants_hz) / _BANDWIDTHS_HZ
    return float(np.sum(_LOUDNESS / (1 + distance * distance)))
