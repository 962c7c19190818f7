"""The simulated microphone: cadence, identity, levels, DTX."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from tests.sim.downlink import Heard
from tests.sim.voice import Microphone, Voice


def frames(voice: Voice, seconds: float, *, speaking: bool = True) -> list[tuple[float, bytes]]:
    """What a microphone sends, with the times."""
    microphone = Microphone(
        7, voice, random.Random(1), ssrc=99, payload_type=111, level_extension=3
    )
    microphone.is_speaking = speaking
    microphone.open(0.0, 0.0)
    sent = []
    for number in range(int(seconds / microphone.frame_s)):
        now = number * microphone.frame_s
        frame = microphone.frame(now)
        if frame is not None:
            sent.append((now, frame[0]))
    return sent


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_a_frame_follows_the_other_in_number_and_time(frame_ms: int) -> None:
    heard = [Heard(plain, now) for now, plain in frames(Voice(frame_ms=frame_ms), 5.0)]
    assert len(heard) == 5_000 // frame_ms
    for before, after in pairwise(heard):
        assert (after.sequence - before.sequence) & 0xFFFF == 1
        assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == frame_ms * 48
    assert [h.marker for h in heard] == [1] + [0] * (len(heard) - 1)


def test_every_packet_tells_who_sent_it_and_which_it_is() -> None:
    heard = [Heard(plain, now) for now, plain in frames(Voice(), 3.0)]
    assert [(h.speaker, h.packet) for h in heard] == [(7, n) for n in range(len(heard))]


def test_levels_lie_where_they_should_and_carry_the_voice_bit() -> None:
    talk = [Heard(plain, now).extension for now, plain in frames(Voice(pause_s=(0.0, 0.0)), 2.0)]
    quiet = [Heard(plain, now).extension for now, plain in frames(Voice(), 2.0, speaking=False)]
    assert all(block[4] == 3 << 4 for block in talk + quiet)
    assert {block[5] & 0x80 for block in talk} == {0x80}
    assert {block[5] for block in talk} <= {0x80 | level for level in range(15, 31)}
    assert {block[5] for block in quiet} <= set(range(85, 121))


def test_dtx_stops_after_200_ms_and_refreshes_each_400() -> None:
    sent = [now for now, _ in frames(Voice(dtx=True), 3.0, speaking=False)]
    assert sent[:10] == pytest.approx([n * 0.020 for n in range(10)])
    assert all(after - before == pytest.approx(0.4) for before, after in pairwise(sent[10:]))


def test_time_goes_on_while_the_microphone_is_closed_unless_its_clock_stops() -> None:
    for stops, ticks in ((False, 48_000), (True, 0)):
        voice = Voice(clock_stops=stops, timestamp=1_000)
        microphone = Microphone(
            0, voice, random.Random(1), ssrc=1, payload_type=1, level_extension=0
        )
        microphone.open(1.0, 1.0)
        frame = microphone.frame(1.0)
        assert frame is not None
        assert Heard(frame[0], 1.0).timestamp == 1_000 + ticks
