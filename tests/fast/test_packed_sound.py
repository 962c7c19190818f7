"""What a decoder makes of packs is what it makes of the packets, sample by sample."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
import pytest

from sfu.mixing.opus import RATE_HZ, Decoder, Encoder, packet_ticks
from tests.fast.packs import PackStage
from tests.fast.peer import Heard
from tests.fast.stage import FRAME_S

Sound = npt.NDArray[np.float32]


def vowels(seconds: float) -> Sound:
    """Something like speech: a pitch that moves, formants that come and go, breath, and pauses."""
    noise = np.random.default_rng(1)
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    pitch = 120 + 40 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    formant = 600 + 350 * np.sin(2 * np.pi * 2.3 * time)
    voice = sum(
        np.exp(-(((order * pitch - formant) / 500) ** 2)) * np.sin(order * phase)
        for order in range(1, 30)
    )
    loudness = np.clip(np.sin(2 * np.pi * 1.3 * time) + 0.4, 0, 1)
    breath = 0.02 * noise.standard_normal(len(time))
    return np.ascontiguousarray(0.2 * loudness * voice + breath * loudness, dtype=np.float32)


SOUND = vowels(4.0)


def encoded(bitrate_bps: int, frame_ms: int) -> list[bytes]:
    """The sound in packets."""
    encoder = Encoder(bitrate_bps=bitrate_bps, frame_ms=frame_ms, complexity=5)
    size = encoder.samples
    return [encoder.encode(SOUND[at : at + size]) for at in range(0, len(SOUND) - size, size)]


def decoded(heard: list[Heard], ticks: int) -> Sound:
    """All of it; what is missing between two packets is concealed packet by packet of `ticks`."""
    decoder = Decoder()
    parts: list[Sound] = []
    end = heard[0].timestamp
    for packet in heard:
        while end < packet.timestamp:
            parts.append(decoder.conceal(ticks).copy())
            end += ticks
        parts.append(decoder.decode(packet.payload).copy())
        end += packet_ticks(packet.payload)
    return np.concatenate(parts)


def both(payloads: list[bytes], *, loss: float = 0.0) -> tuple[list[Heard], list[Heard]]:
    """What a listener of packets and one of packs get of the same voice on the same bad line."""
    stage = PackStage()
    rng = random.Random(4)
    plain, packs = [], []
    for at, payload in enumerate(payloads):
        ticks = packet_ticks(payload)
        data = stage.talker.talk(payload)
        stage.talker.timestamp += ticks - 960
        stage.now += ticks / RATE_HZ - FRAME_S
        if at and rng.random() < loss:
            stage.now += FRAME_S
            continue
        sent = stage.send(data)
        plain += stage.heard(sent)
        packs += stage.packs(sent)
    packs += stage.flush(stage.now + 1.0)
    return plain, packs


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
@pytest.mark.parametrize("bitrate_bps", [10_000, 16_000, 24_000, 32_000, 64_000])
def test_packs_sound_as_their_packets_do(bitrate_bps: int, frame_ms: int) -> None:
    plain, packs = both(encoded(bitrate_bps, frame_ms))
    if frame_ms <= 20:
        assert len(packs) < len(plain) * frame_ms / 60 * 1.05 + 4
    assert np.array_equal(decoded(plain, 960), decoded(packs, 960))


@pytest.mark.parametrize("loss", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("bitrate_bps", [12_000, 20_000, 32_000])
def test_what_was_lost_sounds_the_same_in_packs(bitrate_bps: int, loss: float) -> None:
    plain, packs = both(encoded(bitrate_bps, 20), loss=loss)
    first, second = decoded(plain, 960), decoded(packs, 960)
    size = min(len(first), len(second))
    assert size > 3.5 * RATE_HZ
    assert np.array_equal(first[:size], second[:size])


def test_frames_of_changing_kind_sound_the_same() -> None:
    """An encoder that goes from speech to music and back."""
    rates = [encoded(rate, 20) for rate in (10_000, 40_000, 16_000)]
    payloads = [rates[at // 25 % 3][at] for at in range(len(rates[0]))]
    plain, packs = both(payloads)
    assert np.array_equal(decoded(plain, 960), decoded(packs, 960))
