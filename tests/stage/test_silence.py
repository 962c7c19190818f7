"""What listeners hear of a voice that was cut off, through libopus: silence, and soon.

A listener plays at the pace of the timestamps and conceals whatever is missing, as WebRTC's jitter
buffer does. A conversation that goes on shows nothing of any of this.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from bench.quality.opus import STEP_IN, Decoder, Encoder, Pcm
from control.commands import RoomCreate
from control.types import Role
from deploy.club.voices import Voice, speak
from sfu.stage import SILENCE
from sfu.stage.tails import LOST_AFTER_S, TAIL_S
from tests.fast.peer import FRAME_TICKS, Heard
from tests.stage.real import STEP_S, RealStage

SET_DTX = 4_016  # of opus_encoder_ctl
QUIET_DBFS = -70.0
QUIET_WITHIN_S = 0.3
WORDS_FRAMES = 50
DTX_FRAMES = 120
NOISE_DBFS = -50.0


def dbfs(sound: Pcm) -> float:
    """The level of 16-bit sound, at least -120."""
    power = float(np.mean((sound.astype(np.float64) / 32_768) ** 2))
    return float(10 * np.log10(max(power, 1e-12)))


@functools.cache
def street_talker() -> tuple[bytes, ...]:
    """A loud second of words, then only the noise around, which DTX sends now and then."""
    rng = np.random.default_rng(1)
    noise = np.convolve(rng.normal(0, 1, DTX_FRAMES * STEP_IN), np.ones(16) / 16, "same")
    sound = noise * (10 ** (NOISE_DBFS / 20) / np.sqrt(np.mean(noise**2)))
    words = 3 * speak(Voice("white", 120, 1.0, 3), 1, rng)[: WORDS_FRAMES * STEP_IN]
    sound[: len(words)] += words
    encoder = Encoder(24_000, 10, None)
    encoder._set(SET_DTX, 1)
    steps = (sound * 32_767).clip(-32_768, 32_767).astype(np.int16).reshape(-1, STEP_IN)
    return tuple(encoder.encode(step) for step in steps)


def played(packets: Sequence[Heard], seconds: float) -> list[Pcm]:
    """20 ms at a time, from the first packet on."""
    first = packets[0].timestamp
    frames = {(packet.timestamp - first) % 2**32 // FRAME_TICKS: packet for packet in packets}
    decoder = Decoder()
    return [
        decoder.decode(frames[index].payload) if index in frames else decoder.conceal()
        for index in range(round(seconds / STEP_S))
    ]


class Street:
    """A talker of `street_talker` and somebody who listens to all of it."""

    def __init__(self) -> None:
        self.stage = RealStage()
        self.talker = self.stage.join("talker", "speaker")
        self.stage.join("listener", lines=1)
        self.heard: list[Heard] = []
        self.said = 0

    def talk(self, frames: int) -> None:
        """As a browser does: of a pause by DTX only the first packet is sent."""
        packets = street_talker()
        for index in range(self.said, self.said + frames):
            is_pause = index > 0 and len(packets[index]) <= 2 and len(packets[index - 1]) <= 2
            if is_pause:
                self.talker.timestamp += FRAME_TICKS
                self.step({})
            else:
                self.talker.payload = packets[index]
                self.step({"talker": 20 if index < WORDS_FRAMES else 55})
        self.said += frames

    def step(self, levels: dict[str, int]) -> None:
        self.stage.step(levels)
        self.heard += self.stage.packets["listener"]

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.step({})

    @property
    def silences(self) -> int:
        return sum(packet.payload == SILENCE for packet in self.heard)

    def level_after(self, seconds: float, packets: Sequence[Heard] | None = None) -> float:
        """What is heard from `seconds` after the first packet on, for half a second."""
        sound = played(packets or self.heard, seconds + 0.5)
        return dbfs(np.concatenate(sound[round(seconds / STEP_S) :]))


def mute(street: Street) -> None:
    street.stage.room.moderation.set_muted("talker", True, street.stage.now)


def demote(street: Street) -> None:
    street.stage.room.moderation.set_role("talker", Role.LISTENER, street.stage.now)


def leave(street: Street) -> None:
    street.stage.leave("talker")


def move(street: Street) -> None:
    street.stage.move("talker", street.stage.open_room("elsewhere"))


ENDS: tuple[Callable[[Street], None], ...] = (mute, demote, leave, move)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("frames", [40, DTX_FRAMES])
def test_whoever_is_cut_off_is_silent_within_300_ms(
    end: Callable[[Street], None], frames: int
) -> None:
    """In the middle of a word, and in a pause whose noise would be heard for ever."""
    street = Street()
    street.talk(frames)
    voice = list(street.heard)
    end(street)
    cut_at = frames * STEP_S
    street.wait(1.0)
    assert street.level_after(cut_at + QUIET_WITHIN_S) < QUIET_DBFS
    if frames == DTX_FRAMES:
        assert street.level_after(cut_at + QUIET_WITHIN_S, voice) > QUIET_DBFS, "so it was needed"
    assert 20 <= street.silences <= round(TAIL_S / STEP_S)
    _assert_whole(street)


def test_a_lost_publisher_is_followed_by_silence_and_heard_at_once_when_it_is_back() -> None:
    street = Street()
    street.talk(30)
    street.wait(LOST_AFTER_S - STEP_S)
    assert street.silences == 0, "a network that stalls is no end"
    street.wait(0.3)
    assert 0 < street.silences < 25
    before = len(street.heard) - street.silences
    street.talker.timestamp += round((LOST_AFTER_S - STEP_S + 0.3) / STEP_S) * FRAME_TICKS
    street.talk(15)
    assert len(street.heard) - street.silences == before + 15
    said = [packet.payload for packet in street.heard if packet.payload != SILENCE]
    assert said == list(street_talker()[:45])
    after = len(street.heard)
    street.wait(2.0)
    assert len(street.heard) - after == pytest.approx(TAIL_S / STEP_S, abs=2), "one tail a loss"
    _assert_whole(street)


def test_a_pause_of_its_own_is_left_to_the_talker() -> None:
    street = Street()
    street.talk(DTX_FRAMES)
    assert len(street.heard) < DTX_FRAMES - 20, "there was a pause"
    assert street.silences == 0
    street.wait(2.0)
    assert street.silences == 0


def test_unmuting_in_the_middle_of_silence_loses_no_packet() -> None:
    for wait_frames in range(1, 27):
        street = Street()
        street.talk(30)
        mute(street)
        street.wait(wait_frames * STEP_S)
        street.stage.room.moderation.set_muted("talker", False, street.stage.now)
        street.talker.timestamp += wait_frames * FRAME_TICKS
        before = street.silences
        street.talk(15)
        assert street.silences == before, "the first packet of a voice ends it"
        said = [packet.payload for packet in street.heard if packet.payload != SILENCE]
        assert said == list(street_talker()[:45])
        _assert_whole(street)


def test_a_slot_that_goes_to_somebody_else_needs_no_silence() -> None:
    street = Street()
    street.stage.join("next", "speaker")
    street.talk(30)
    mute(street)
    for _ in range(50):
        street.step({"next": 20})
    assert street.silences == 0
    _assert_whole(street)


def test_silence_is_nobodys_voice() -> None:
    """It names nobody, says the lowest level, and its own talker hears it as everybody does."""
    street = Street()
    street.talk(30)
    mute(street)
    street.wait(0.1)
    silent = [packet for packet in street.heard if packet.payload == SILENCE]
    assert silent and all(packet.csrcs == () and not packet.marker for packet in silent)
    assert any(packet.payload == SILENCE for packet in street.stage.packets["talker"])
    assert street.stage.room.holders == [None, None, None]


def test_slots_that_go_take_their_silence_with_them() -> None:
    street = Street()
    for name in ("red", "blue"):
        street.stage.join(name, "speaker")
    street.step({"talker": 20, "red": 20, "blue": 20})
    street.stage.room.moderation.set_muted("blue", True, street.stage.now)
    street.stage.room.apply(RoomCreate(room="room", slots=2), street.stage.now)
    street.wait(0.1)
    mute(street)
    street.stage.room.close("over", street.stage.now)
    assert street.stage.room.tails.take(street.stage.now) is None
    assert street.stage.room.next_deadline() is None


def _assert_whole(street: Street) -> None:
    """No gap in the numbers, and time that only goes forward, never over what still lasts."""
    for before, after in zip(street.heard, street.heard[1:], strict=False):
        assert after.sequence - before.sequence == 1
        assert after.timestamp - before.timestamp >= FRAME_TICKS
