"""What a room's listeners hear: sums without wrapping, nobody's own voice, silence that costs
nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfu.mixing import StopOutput
from sfu.mixing.opus import RATE_HZ, Pcm
from sfu.mixing.output import SILENCE
from sfu.mixing.source import Source
from sfu.mixing.sources import IDLE_TICKS_MAX, SOURCES_MAX

from .talking import BEGIN_S, LOUD, ROOM, Stage, Talker, level_dbov, magnitude_db, sine, speech


def test_eight_full_scale_sines_neither_wrap_nor_exceed_full_scale(mixed: list[Pcm]) -> None:
    stage = Stage(slots=8)
    listener = stage.listen()
    hertz = [310.0 * (k + 1) + 17 * k for k in range(8)]
    for k in range(8):
        stage.talk(Talker(k + 1, sine(hertz[k], 1.0), slot=k, bitrate_bps=96_000), 4)
    stage.run(4)
    sound = np.concatenate(mixed)
    assert 0.9 < np.abs(sound).max() <= 1.0
    # A wrap would be a step of 2; the sines themselves are less steep.
    steepest = sum(2 * np.pi * one / RATE_HZ for one in hertz)
    assert np.abs(np.diff(sound)).max() < steepest
    heard = listener.hear()[RATE_HZ : 3 * RATE_HZ]
    levels = [magnitude_db(heard, one) for one in hertz]
    assert min(levels) > -22 and max(levels) - min(levels) < 4
    assert np.abs(heard).max() < 1.2  # a codec overshoots a little


def test_a_click_at_full_scale_ducks_the_others_less_than_3_db_and_50_ms(mixed: list[Pcm]) -> None:
    at = 2 * RATE_HZ

    def clicking(begin: int, count: int) -> Pcm:
        sound = np.zeros(count, dtype=np.float32)
        if begin <= at < begin + count:
            sound[at - begin : at - begin + 5] = (1, -1, 1, -1, 1)
        return sound

    stage = Stage()
    stage.listen()
    for slot, hertz in ((0, 400.0), (1, 600.0)):
        stage.talk(Talker(slot + 1, sine(hertz, 0.1), slot=slot), 4)
    stage.talk(Talker(3, clicking, slot=2, bitrate_bps=128_000), 4)
    stage.run(4)
    sound = np.concatenate(mixed)
    peak = int(np.abs(sound).argmax())
    assert abs(sound[peak]) > 0.5
    gains = []
    for begin in range(peak - 4_800, peak + 9_600, 240):
        piece = sound[begin : begin + 480]
        if begin > peak + 480 or begin + 480 < peak - 480:  # the click itself is as loud as can be
            gains.append(max(magnitude_db(piece, 400), magnitude_db(piece, 600)) + 20)
    usual = np.median(gains)
    assert min(gains) > usual - 3
    ducked = [index for index, gain in enumerate(gains) if gain < usual - 0.5]
    assert len(ducked) * 240 / RATE_HZ < 0.050


def test_a_bang_of_who_is_turned_up_does_not_push_the_others_down() -> None:
    """12 dB up, and then at full scale."""
    source = Source(1)
    row = np.full(960, 0.01, dtype=np.float32)
    for _ in range(2):
        row[:] = 0.01
        source.amplify(row, 4.0)
    assert row[-1] == pytest.approx(0.04)
    row[:] = 0.01
    row[500] = -0.9
    source.amplify(row, 4.0)
    assert np.abs(row).max() <= 1
    assert np.abs(np.diff(row[:400])).max() < 0.04 / 40
    row[:] = 0.01
    source.amplify(row, 4.0)
    assert np.abs(np.diff(row)).max() < 0.001
    assert row[-1] == pytest.approx(0.04)


def test_who_decodes_to_more_than_full_scale_silences_nobody() -> None:
    stage = Stage()
    listener = stage.listen()
    stage.know(1)
    stage.know(2)
    stage.talk(Talker(1, sine(500, 0.2)), 3.0)
    hostile = Talker(2, speech(-20), slot=1)
    stage.send(1, (replace(one, payload=LOUD) for one in hostile.packets(stage.now, stage.now + 3)))
    stage.run(3.0)
    heard = listener.hear()[RATE_HZ : 2 * RATE_HZ]
    assert magnitude_db(heard, 500) > -20  # alone: -14 dB


@pytest.mark.parametrize("tier", ["B1", "B3"])
def test_nobody_on_stage_hears_their_own_voice(tier: str, mixed: list[Pcm]) -> None:
    stage = Stage()
    stage.listen(1, tier, minus=1)
    for source in (1, 2, 3):
        stage.know(source)
    stage.talk(Talker(1, sine(600, 0.5), slot=0), 4)
    stage.talk(Talker(2, sine(1_234, 0.3), slot=1), 4)
    stage.talk(Talker(3, sine(2_345, 0.3), slot=2), 4)
    stage.run(4)
    sound = np.concatenate(mixed)[RATE_HZ : 3 * RATE_HZ]
    own_db = magnitude_db(sine(600, 0.5)(0, 2 * RATE_HZ), 600)
    assert magnitude_db(sound, 600) - own_db < -60
    assert level_dbov(sound) > -14
    assert all(101 not in frame.csrcs for frame in stage.listeners[1].frames)


def test_devices_of_one_echo_group_do_not_hear_each_other(mixed: list[Pcm]) -> None:
    stage = Stage()
    listener = stage.listen(1, minus=50)
    stage.know(1, group=50)
    stage.know(2, group=50)
    stage.talk(Talker(1, sine(400, 0.3), slot=0), 2)
    stage.talk(Talker(2, sine(700, 0.3), slot=1), 2)
    stage.run(2)
    assert not np.concatenate(mixed).any()
    assert {frame.payload for frame in listener.frames} == {SILENCE}


def test_who_is_called_up_and_sent_back_never_hears_their_own_voice(mixed: list[Pcm]) -> None:
    """On stage everybody but oneself, in the audience everybody; another slot changes nothing."""
    stage = Stage()
    stage.know(1)
    stage.know(2)
    stage.listen(1, minus=1)
    own = sine(1_000, 0.3)
    for part in range(4):
        start = BEGIN_S + part
        talker = Talker(1, own, slot=part % 2)
        stage.send(part % 2, talker.packets(start, start + 1, index=100 * part))
    stage.run(5)
    assert not np.concatenate(mixed).any()


def test_whose_voice_it_is_must_be_known_before_anybody_on_stage_hears_it() -> None:
    stage = Stage()
    everybody, minus = stage.listen(0), stage.listen(1, minus=1)
    stage.talk(Talker(2, sine(440, 0.1)), 4)
    stage.run(2)
    assert all(frame.payload == SILENCE for frame in minus.frames)
    assert any(frame.csrcs == (102,) for frame in everybody.frames)
    stage.know(2)
    stage.run(2)
    assert magnitude_db(minus.hear()[-RATE_HZ:-9_600], 440) == pytest.approx(-20, abs=0.5)


def test_a_silent_room_says_so_for_two_seconds_and_then_nothing() -> None:
    stage = Stage()
    listener = stage.listen()
    stage.talk(Talker(1, sine(440, 0.1)), 1)
    stage.run(20)
    last = max(frame.at for frame in listener.frames if frame.csrcs)
    after = [frame for frame in listener.frames if frame.at > last]
    encoded = [frame for frame in after if frame.payload != SILENCE]
    refreshes = [frame for frame in after if frame.payload == SILENCE]
    assert encoded[-1].at - last <= 0.24
    assert {frame.level for frame in refreshes} == {127}
    assert len(refreshes) == 5
    gaps = np.diff([frame.at for frame in (encoded[-1], *refreshes)])
    assert gaps[1:] == pytest.approx([0.4] * 4)
    assert refreshes[-1].at - last <= 2.3
    assert stage.mixer.stats().counts.encoded_frames == len(listener.frames)


def test_the_first_word_after_a_silence_is_sent_at_once() -> None:
    stage = Stage()
    listener = stage.listen()
    stage.talk(Talker(1, sine(440, 0.1)), 1, begin_s=10)
    stage.run(11)
    spoken = [frame for frame in listener.frames if frame.csrcs]
    assert spoken[0].at - BEGIN_S == pytest.approx(10.07, abs=0.025)
    assert magnitude_db(listener.hear()[-24_000:-4_800], 440) == pytest.approx(-20, abs=0.5)


@pytest.mark.parametrize("tier", ["B1", "B5"])
def test_an_output_that_begins_in_silence_has_a_frame_at_once(tier: str) -> None:
    stage = Stage()
    stage.run(1)
    listener = stage.listen(tier=tier)
    stage.run(0.02)
    assert [frame.payload for frame in listener.frames] == [SILENCE]


def test_ticks_that_were_skipped_leave_frames_that_stand_where_they_belong() -> None:
    stage = Stage()
    listener = stage.listen(tier="B3")
    stage.talk(Talker(1, sine(440, 0.1)), 4)
    stage.run(1)
    stage.mixer.tick(stage.now + 0.31)
    stage.now += 0.32
    stage.run(2)
    for frame in listener.frames:
        assert (frame.at - BEGIN_S) * 50 == pytest.approx(round((frame.at - BEGIN_S) * 50))
    for before, after in zip(listener.frames, listener.frames[1:], strict=False):
        assert after.at >= before.at + before.ticks / RATE_HZ - 1e-9
    assert level_dbov(listener.hear()[-48_000:]) == pytest.approx(-23, abs=0.5)


def test_who_is_heard_is_named_the_loudest_first_and_at_most_three() -> None:
    stage = Stage(slots=4)
    listener = stage.listen(tier="B3")
    for slot, peak in enumerate((0.05, 0.2, 0.1, 0.0002)):
        stage.talk(Talker(slot + 1, sine(300 + 200 * slot, peak), slot=slot), 2)
    stage.run(2)
    assert listener.frames[15].csrcs == (102, 103, 101)


def test_decoders_of_the_silent_are_released() -> None:
    stage = Stage()
    stage.listen()
    stage.talk(Talker(1, sine(440, 0.1)), 1)
    stage.run(2)
    assert stage.mixer.stats().voices == 1
    stage.run(IDLE_TICKS_MAX / 50 + 1)
    assert stage.mixer.stats().voices == 0
    stage.talk(Talker(1, sine(440, 0.1)), 1)
    stage.run(0.5)
    assert stage.mixer.stats().voices == 1


def test_sources_and_voices_are_limited() -> None:
    stage = Stage(slots=2)
    stage.listen()
    for source in range(SOURCES_MAX + 10):
        stage.know(source)
    assert stage.mixer.stats().sources == SOURCES_MAX
    packets = list(Talker(1, sine(440, 0.1)).packets(BEGIN_S, BEGIN_S + 0.4))
    for number, packet in enumerate(packets):
        changed = replace(packet, source=2_000 + number)
        stage.mixer.take(ROOM, number % 2, [changed])
        assert stage.mixer.stats().voices <= 4
    stage.run(1)


def test_packets_of_a_slot_that_the_room_does_not_have_are_counted() -> None:
    stage = Stage(slots=1)
    stage.talk(Talker(1, sine(440, 0.1), slot=1), 0.2)
    stage.talk(Talker(1, sine(440, 0.1), slot=-1), 0.2)
    stage.run(0.5)
    assert stage.mixer.stats().counts.stray_packets == 20


def test_mixes_of_an_audience_are_one_signal_encoded_once_a_tier() -> None:
    stage = Stage()
    for output, tier in enumerate(("B1", "B2", "B3", "B4", "B5")):
        stage.listen(output, tier)
    stage.talk(Talker(1, sine(440, 0.1)), 2)
    stage.run(2)
    assert stage.mixer.stats().encoders == 5
    for output in range(5):
        stage.mixer.apply(StopOutput(ROOM, output))
    assert stage.mixer.stats().encoders == 0


def test_claims_that_differ_from_what_is_heard_are_told_until_they_are_true() -> None:
    stage = Stage()
    told: list[tuple[float, int, int | None]] = []

    def note(now: float) -> None:
        told.extend((now - BEGIN_S, *one) for one in stage.mixer.measured())

    honest = Talker(1, speech(-22))
    liar = Talker(2, speech(-40, 170), slot=1, claimed_level=10)
    stage.talk(honest, 12)
    stage.talk(liar, 6)
    stage.send(1, Talker(2, speech(-40, 170)).packets(BEGIN_S + 6, BEGIN_S + 12, index=300))
    stage.run(12, note)
    assert {source for _, source, _ in told} == {2}
    first = told[0]
    assert 2.0 <= first[0] <= 3.5
    levels = [level for at, _, level in told if level is not None]
    assert 35 <= float(np.median(levels)) <= 46
    gaps = np.diff([at for at, _, level in told if level is not None])
    assert gaps.max() <= 0.25  # it holds for a second
    assert told[-1][2] is None
    assert 8.0 <= told[-1][0] <= 10.5


def test_the_level_of_who_claims_none_is_measured_from_the_start() -> None:
    stage = Stage()
    told: list[tuple[int, int | None]] = []
    stage.talk(Talker(1, sine(440, 0.1), claimed_level=-1), 2)
    stage.run(0.2, lambda _: told.extend(stage.mixer.measured()))
    ((source, level),) = told
    assert source == 1 and level is not None and abs(level - 23) <= 8
    stage.run(1.8, lambda _: told.extend(stage.mixer.measured()))
    assert told[-1] == (1, 23)
    stage.run(1.0, lambda _: told.extend(stage.mixer.measured()))
    # Of who is not heard, for it says nothing or holds no slot any more, nothing is told.
    assert told[-1][1] is None
    told.clear()
    stage.run(1.0, lambda _: told.extend(stage.mixer.measured()))
    assert told == []
