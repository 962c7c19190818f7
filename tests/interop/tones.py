"""Tones as Opus packets, and back: which tone is in decoded sound."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable

import av
import numpy as np

from deploy.club.voices import FRAME_SAMPLES, SAMPLE_RATE, Samples, encode

AMPLITUDE = 0.3
# The second of every tone; packets repeat after it. Tones are whole numbers of hertz, so they join.
LOOP_FRAMES = 50
# The encoder's and decoder's first frames fade in.
SETTLE_FRAMES = 4


@functools.cache
def tone(hz: int) -> tuple[bytes, ...]:
    """One second of a sine as 50 Opus packets that may be repeated without end."""
    frames = LOOP_FRAMES + SETTLE_FRAMES
    time = np.arange(frames * FRAME_SAMPLES) / SAMPLE_RATE
    sound = AMPLITUDE * np.sin(2 * np.pi * hz * time)
    return encode(sound).packets[SETTLE_FRAMES:]


@functools.cache
def distinct_packets(count: int) -> tuple[bytes, ...]:
    """Opus packets of which no two are alike: noise, so that each can be recognised."""
    noise = np.random.default_rng(count).normal(0.0, 0.1, count * FRAME_SAMPLES)
    packets = encode(np.clip(noise, -1.0, 1.0)).packets
    assert len(set(packets)) == count
    return packets


def decode(packets: Iterable[bytes]) -> Samples:
    """Mono samples of packets played one after another."""
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    parts = [
        frame.to_ndarray().astype(np.float64).reshape(-1, frame.layout.nb_channels)[:, 0]
        for payload in packets
        # An empty packet would flush the decoder and end it.
        if payload
        for frame in decoder.decode(av.Packet(payload))
    ]
    if not parts:
        return np.zeros(0)
    sound = np.concatenate(parts)
    scale = max(1.0, float(np.iinfo(np.int16).max) if np.max(np.abs(sound)) > 2 else 1.0)
    return np.asarray(sound / scale, dtype=np.float64)


def loudest_hz(packets: Iterable[bytes]) -> float:
    """The frequency with the most energy; 0 for silence."""
    sound = decode(packets)[SETTLE_FRAMES * FRAME_SAMPLES :]
    if len(sound) < FRAME_SAMPLES or float(np.max(np.abs(sound))) < 1e-3:
        return 0.0
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum)) * SAMPLE_RATE / len(sound)


def endless(hz: int) -> Iterable[bytes]:
    """The tone for ever."""
    return itertools.cycle(tone(hz))
