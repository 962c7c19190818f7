"""A listener who decodes finds out how late what it hears was said."""

from __future__ import annotations

import numpy as np
import pytest

from bench import speech
from bench.ear import Arrival, delays_ms, payload_of
from bench.loads.room import mix_delay_figures
from bench.talking import Spoken

S, MS = 1_000_000_000, 1_000_000
STARTED_NS = 1_700_000_000 * S
FIRST_STEP = 37
# What the packet itself takes, and what libopus looks ahead.
CAPTURED_MS = 26.5


@pytest.fixture(scope="module")
def voice() -> speech.Voice:
    return speech.voice(1, 0)


def track(voice: speech.Voice, late_ms: float, seconds: int = 6) -> list[Arrival]:
    """What a server sends that passes the packets on so much later; the listener came late."""
    jitter = np.random.default_rng(1)
    return [
        Arrival(
            STARTED_NS + step * 20 * MS + round((late_ms + jitter.uniform(0, 3)) * MS),
            (2**32 - 5_000 + step * 960) & 0xFFFFFFFF,
            voice.steps[(FIRST_STEP + step) % len(voice.steps)][0],
        )
        for step in range(150, 150 + 50 * seconds)
    ]


@pytest.mark.parametrize("late_ms", [0.5, 80, 140, 400])
def test_the_delay_is_found_by_what_is_said(voice: speech.Voice, late_ms: float) -> None:
    found = delays_ms(track(voice, late_ms), voice, Spoken(0, FIRST_STEP, STARTED_NS))
    assert len(found) == 300
    assert min(found) == pytest.approx(late_ms + CAPTURED_MS, abs=0.6)
    assert max(found) == pytest.approx(late_ms + CAPTURED_MS + 3, abs=0.6)


def test_another_voice_is_not_taken_for_it(voice: speech.Voice) -> None:
    other = speech.voice(1, 1)
    assert delays_ms(track(other, 80), voice, Spoken(0, FIRST_STEP, STARTED_NS)) == []
    assert mix_delay_figures([]) == {}


def test_percentiles_of_the_delay_are_told() -> None:
    figures = mix_delay_figures([float(one) for one in range(1, 101)])
    assert figures["mix_delay_p50_ms"] == pytest.approx(50, abs=1)
    assert figures["mix_delay_p99_ms"] == pytest.approx(99, abs=1)


def test_a_payload_is_what_follows_the_header() -> None:
    head = bytes([0xB1, 111, 0, 1, *bytes(8), 0, 0, 0, 9])
    extension = b"\xbe\xde\x00\x01\x10\x05\x00\x00"
    assert payload_of(head + extension + b"opus" + b"\x00\x00\x03") == b"opus"
    assert payload_of(bytes([0x80, 111, *bytes(10)]) + b"opus") == b"opus"
