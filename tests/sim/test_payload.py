"""What a payload says, by the tables of RFC 6716 and by packets of simulated voices."""

from __future__ import annotations

import itertools

import pytest

from tests.sim.payload import (
    MIX,
    SERVER_SILENCE,
    UNKNOWN,
    MixFrame,
    Said,
    frames_of,
    identify,
    ticks_of,
)
from tests.sim.voice import IDENTITY, SILENCE


def frame(speaker: int, packet: int, size: int = 60) -> bytes:
    """What a simulated voice says, without the first byte."""
    return IDENTITY.pack(speaker, packet, 0).ljust(size, b"x")


def packed(*frames: bytes, toc: int = 0x7B) -> bytes:
    """Code 3 with a length for each frame but the last (RFC 6716 3.2.5, figure 7)."""
    lengths = b""
    for one in frames[:-1]:
        size = len(one)
        lengths += bytes((size,)) if size < 252 else bytes((252 + (size & 3), (size - 252) // 4))
    return bytes((toc, 0x80 | len(frames))) + lengths + b"".join(frames)


def test_a_voice_silence_and_nobody_are_told_apart() -> None:
    assert identify(b"\x78" + frame(7, 9), {}) == Said(7, 9)
    assert identify(SILENCE, {}) == Said(SERVER_SILENCE)
    assert identify(b"\x78" + b"short", {}) == Said(UNKNOWN)
    assert identify(b"\xf8anything", {}) == Said(UNKNOWN)


def test_frames_that_were_packed_are_taken_apart() -> None:
    payload = packed(frame(7, 9), frame(7, 10, 300), frame(7, 11))
    assert identify(payload, {}) == Said(7, 9, frames=((7, 9), (7, 10), (7, 11)))
    assert ticks_of(payload) == 2_880


def test_silence_that_was_packed_is_silence() -> None:
    payload = bytes((SILENCE[0] | 3, 3)) + SILENCE[1:] * 3
    assert identify(payload, {}).speaker == SERVER_SILENCE
    assert len(identify(payload, {}).frames) == 3 and ticks_of(payload) == 2_880
    assert identify(payload[:-1] + b"x", {}) == Said(UNKNOWN)


def test_a_frame_of_no_bytes_never_came() -> None:
    payload = packed(frame(7, 9), b"", frame(7, 11))
    assert identify(payload, {}).frames == ((7, 9), (7, 11))
    assert identify(packed(b"", frame(7, 10)), {}) == Said(7, 10, 1, ((7, 10),))


def test_frames_of_one_length_and_padding_are_read() -> None:
    frames = [frame(7, 9), frame(7, 10)]
    assert frames_of(bytes((0x7B, 2)) + b"".join(frames)) == frames
    padding = bytes((255, 3)) + b"".join(frames) + bytes(257)
    assert frames_of(bytes((0x7B, 0x42)) + padding) == frames
    for broken in (b"\x7b", b"\x7b\x00", bytes((0x7B, 2)) + b"odd", b"\x7b\x82\x09four"):
        with pytest.raises(ValueError):
            frames_of(broken)


def test_a_mix_is_known_by_what_was_encoded_even_where_it_looks_like_a_voice() -> None:
    payload = b"\x78" + frame(7, 9)
    one = MixFrame(3, 0, 1, "B1", None, (5,), 1.0)
    assert identify(payload, {payload: [one]}) == Said(MIX, 3, mixes=(one,))


@pytest.mark.parametrize(
    ("config", "ms"),
    [
        *zip(range(12), itertools.cycle((10, 20, 40, 60))),
        *zip(range(12, 16), itertools.cycle((10, 20))),
        *zip(range(16, 32), itertools.cycle((2.5, 5, 10, 20))),
    ],
)
def test_durations_are_those_of_the_table(config: int, ms: float) -> None:
    assert ticks_of(bytes((config << 3,))) == ms * 48
    assert ticks_of(bytes((config << 3 | 1,))) == ticks_of(bytes((config << 3 | 2,))) == ms * 96
    assert ticks_of(bytes((config << 3 | 3, 3))) == ms * 144
