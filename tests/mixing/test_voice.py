"""One source's packets, come what may, become continuous sound on the room clock."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from sfu.mixing import Packet
from sfu.mixing.opus import RATE_HZ, Encoder, Pcm
from sfu.mixing.waiting import PACKETS_MAX

from .talking import (
    BEGIN_S,
    ROOM,
    STEP,
    TONE,
    Listener,
    Sound,
    Stage,
    Talker,
    hear,
    level_dbov,
    magnitude_db,
    seconds_of,
    sine,
    speech,
    stereo,
)


def unchanged(packets: list[Packet]) -> list[Packet]:
    return packets


def noise(begin: int, count: int) -> Pcm:
    """Noise in which any place is found again."""
    blocks = range(begin // 960, (begin + count) // 960 + 1)
    whole = np.concatenate([np.random.default_rng(block).normal(0, 0.05, 960) for block in blocks])
    start = begin - blocks[0] * 960
    return whole[start : start + count].astype(np.float32)


def delays_s(listener: Listener, begin_s: float, sound: Sound = noise) -> list[float]:
    """How much later than said each 100 ms are heard, measured by what they are.

    Sound is said when it goes into a packet, which is as much later as the talker's encoder looks
    ahead.
    """
    ahead = Encoder(bitrate_bps=48_000, frame_ms=20, complexity=3).lookahead
    heard = listener.hear()
    first = listener.frames[0].at
    delays = []
    for begin in range(0, len(heard) - 4_800, 4_800):
        piece = heard[begin : begin + 4_800]
        if level_dbov(piece) < -40:
            continue
        at = round((first - begin_s) * RATE_HZ) + begin
        if at < 9_600:
            continue
        spoken = sound(at - 9_600, 9_600 + 4_800)
        likeness = np.correlate(spoken, piece, "valid")
        delays.append((9_600 - int(likeness.argmax()) - ahead) / RATE_HZ)
    return delays


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_frames_of_any_length_are_heard_without_a_gap(frame_ms: int) -> None:
    stage, sound = hear(unchanged, Talker(1, TONE, frame_ms=frame_ms), seconds=3.0)
    counts = stage.mixer.stats().counts
    assert counts.late_packets == counts.bad_packets == 0
    spoken = seconds_of(sound, 0.5, 2.8)
    assert level_dbov(spoken) == pytest.approx(-23, abs=0.3)
    assert np.abs(np.diff(spoken)).max() < 1.5 * STEP
    for begin in np.arange(0.5, 2.8, 0.1):
        assert level_dbov(seconds_of(sound, begin, begin + 0.1)) == pytest.approx(-23, abs=1)


def test_two_channels_are_mixed_down() -> None:
    talker = Talker(1, TONE)
    packets = stereo(talker, sine(440, 0.2), sine(1_000, 0.2), BEGIN_S, 2.0)
    _, sound = hear(lambda _: packets, seconds=2.0)
    spoken = seconds_of(sound, 0.5, 1.5)
    assert magnitude_db(spoken, 440) == pytest.approx(-20, abs=1)
    assert magnitude_db(spoken, 1_000) == pytest.approx(-20, abs=1)


@pytest.mark.parametrize("phase_ms", [0, 3, 7, 10, 13, 17])
def test_on_a_clean_line_99_of_100_packets_leave_within_80_ms(phase_ms: int) -> None:
    stage = Stage()
    listener = stage.listen()
    rng = random.Random(phase_ms)
    begin = stage.now + phase_ms / 1_000
    packets = Talker(1, noise).packets(begin, begin + 12)
    stage.send(0, (replace(one, at=one.at + rng.uniform(0, 0.008)) for one in packets))
    stage.run(12)
    # A packet comes 20 ms after its first sample, and that leaves up to 20 ms after its place.
    measured = delays_s(listener, begin)
    assert len(measured) > 100
    assert np.percentile(measured, 99) <= 0.080
    # 20 ms in the packet, 20 to 30 waiting, up to 20 for the tick, limiter and codec.
    assert max(measured[20:]) <= 0.065
    assert stage.mixer.stats().counts.concealed_frames <= 4


@pytest.mark.parametrize("sound", [TONE, noise], ids=["tone", "noise"])
def test_after_a_minute_of_jitter_the_delay_is_back_within_5_s(sound: Sound) -> None:
    stage = Stage()
    rng = random.Random(1)
    packets = Talker(1, sound).packets(stage.now, stage.now + 70)
    stormy = stage.now + 60
    stage.send(0, (replace(p, at=p.at + rng.uniform(0, 0.3) * (p.at < stormy)) for p in packets))
    delays: list[tuple[float, float]] = []

    def note(now: float) -> None:
        delays.extend((now, one.delay_ms) for one in stage.mixer.stats().buffers[ROOM])

    stage.run(70, note)
    # The cap, and what is not worth a cut.
    assert max(delay for _, delay in delays) <= 120 + 10
    assert max(delay for now, delay in delays if now > stage.now - 5) <= 60


def test_a_delay_that_shrinks_is_heard_as_shrunken_and_does_not_click() -> None:
    stage = Stage()
    listener = stage.listen()
    packets = list(Talker(1, noise).packets(stage.now, stage.now + 12))
    stormy = stage.now + 4
    rng = random.Random(3)
    stage.send(0, (replace(p, at=p.at + rng.uniform(0, 0.1) * (p.at < stormy)) for p in packets))
    stage.run(12)
    measured = delays_s(listener, BEGIN_S)
    assert max(measured[15:35]) > 0.1
    assert max(measured[90:]) <= 0.06
    _, tone = hear(
        lambda packets: [
            replace(p, at=p.at + rng.uniform(0, 0.09) * (p.at < stormy)) for p in packets
        ],
        seconds=8.0,
    )
    calm = seconds_of(tone, 4.5, 7.8)
    assert np.abs(np.diff(calm)).max() < 1.5 * STEP
    assert level_dbov(calm) == pytest.approx(-23, abs=0.3)


def test_a_lost_packet_is_made_from_the_copy_in_the_next() -> None:
    talker = Talker(1, speech(-22), bitrate_bps=24_000, expected_loss_percent=20)

    def lossy(packets: list[Packet]) -> list[Packet]:
        return [packet for packet in packets if packet.index % 10 != 5]

    stage, _ = hear(lossy, talker, seconds=6)
    counts = stage.mixer.stats().counts
    # In pauses there are no copies.
    assert counts.recovered_frames >= 18
    assert counts.recovered_frames + counts.concealed_frames <= 30 + 8


def test_a_single_loss_without_a_copy_is_bridged() -> None:
    stage, sound = hear(lambda packets: [p for p in packets if p.index != 100])
    assert stage.mixer.stats().counts.concealed_frames <= 1 + 4  # and what follows the last packet
    around = seconds_of(sound, 1.9, 2.3)
    assert np.abs(np.diff(around)).max() < 2 * STEP
    for begin in np.arange(0.0, 0.4, 0.02):
        # libopus itself lets a pure tone fall so far where concealment and truth meet.
        assert level_dbov(seconds_of(around, begin, begin + 0.02)) > -40


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_what_was_lost_takes_its_time_and_no_more(lost: int) -> None:
    """On a line so calm that nothing waits for long, a loss shows only after its time."""
    delays: list[float] = []
    stage = Stage()
    packets = list(Talker(1, TONE).packets(stage.now, stage.now + 3))
    stage.send(0, [packet for packet in packets if not 100 <= packet.index < 100 + lost])
    stage.run(1.9)
    (before,) = stage.mixer.stats().buffers[ROOM]
    stage.run(0.3, lambda _: delays.extend(b.delay_ms for b in stage.mixer.stats().buffers[ROOM]))
    assert delays[-1] <= before.delay_ms + 20  # and now waits for a successor that has a copy
    assert stage.mixer.stats().counts.concealed_ticks == pytest.approx(lost * 960, abs=480)
    assert stage.mixer.stats().counts.late_packets == 0


def test_after_a_pause_the_wait_is_at_once_what_the_line_wants() -> None:
    stage = Stage()
    rng = random.Random(5)
    packets = list(Talker(1, TONE).packets(stage.now, stage.now + 8))
    # Jitter for 2 s, calm that is just about to be believed, 40 ms without packets.
    sent = []
    for number, packet in enumerate(packets):
        if number < 100:
            packet = replace(packet, at=packet.at + rng.uniform(0, 0.08))
        if number < 197:
            sent.append(packet)
        elif number >= 199:
            sent.append(replace(packet, index=packet.index - 2))
    stage.send(0, sent)
    delays: list[tuple[float, float]] = []

    def note(_: float) -> None:
        delays.extend((b.delay_ms, b.target_ms) for b in stage.mixer.stats().buffers[ROOM])

    stage.run(4.4, note)
    assert abs(delays[-1][0] - delays[-1][1]) <= 10
    # No period of a voice is as long.
    steps = np.diff([delay for delay, _ in delays[-25:]])
    assert steps.min() < -20


def test_concealment_fades_after_60_ms_and_the_voice_comes_back_without_a_click() -> None:
    _, sound = hear(lambda packets: [p for p in packets if not 100 <= p.index < 130])
    loudness = [level_dbov(seconds_of(sound, t, t + 0.02)) for t in np.arange(1.9, 2.9, 0.02)]
    loud = [level > -27 for level in loudness]
    assert loud[0] and loud[-1]
    silent = [index for index, level in enumerate(loudness) if level < -60]
    assert 22 <= len(silent) <= 27  # of 600 ms all but 60 to 100, and ramps
    assert silent == list(range(silent[0], silent[-1] + 1))
    assert np.abs(np.diff(seconds_of(sound, 1.9, 2.9))).max() < 2 * STEP


def test_a_bad_packet_costs_one_concealed_frame_and_is_counted() -> None:
    clean, _ = hear(unchanged)
    garbage = b"\x79" + bytes(21)  # two frames of one length do not divide 21 bytes

    def spoiled(packets: list[Packet]) -> list[Packet]:
        return [
            replace(packet, payload=garbage) if packet.index in (60, 90, 120) else packet
            for packet in packets
        ]

    stage, sound = hear(spoiled)
    counts, expected = stage.mixer.stats().counts, clean.mixer.stats().counts
    assert counts.bad_packets == 3
    assert counts.concealed_frames == expected.concealed_frames + 3
    assert counts.decoded_frames == expected.decoded_frames - 3
    assert level_dbov(seconds_of(sound, 3, 3.8)) == pytest.approx(-23, abs=0.3)


@pytest.mark.parametrize("seed", range(20))
def test_no_garbage_whatever_gets_further_than_its_voice(seed: int) -> None:
    rng = random.Random(seed)

    def spoiled(packets: list[Packet]) -> list[Packet]:
        changed = []
        for packet in packets:
            kind = rng.randrange(6)
            payload = packet.payload
            if kind == 0:
                payload = rng.randbytes(rng.randrange(0, 60))
            elif kind == 1:
                payload = payload[: rng.randrange(len(payload))]
            elif kind == 2:
                cut = rng.randrange(len(payload))
                payload = payload[:cut] + rng.randbytes(3) + payload[cut:]
            changed.append(
                replace(
                    packet,
                    payload=payload,
                    time_ticks=packet.time_ticks + rng.choice((0, 0, 0, 7, -500, 3_000)),
                    index=packet.index + rng.choice((0, 0, 0, 2, -3, 70)),
                    at=packet.at + rng.uniform(0, 0.2),
                )
            )
        return changed

    stage, sound = hear(spoiled, seconds=2)
    assert len(sound) == pytest.approx(2.5 * RATE_HZ, abs=0.5 * RATE_HZ)
    assert np.isfinite(sound).all()
    stage.talk(Talker(9, TONE, slot=1), 1)
    stage.run(1.5)
    assert magnitude_db(stage.listeners[0].hear()[-48_000:-36_000], 440) > -30


def test_pauses_are_silent_and_what_follows_begins_softly_and_in_time() -> None:
    def pausing(packets: list[Packet]) -> list[Packet]:
        """0.5 s of speech and 0.6 s in which the talker sends comfort noise every 400 ms."""
        sent, index = [], 0
        for number, packet in enumerate(packets):
            step = number % 55
            if step < 25 or step in (25, 45):
                # Its configuration and that there is nothing, or noise of a few bytes.
                payload = packet.payload if step < 25 else packet.payload[: 1 + step // 9]
                sent.append(replace(packet, index=index, payload=payload, marker=step == 0))
                index += 1
        return sent

    stage, sound = hear(pausing, seconds=5.5)
    counts = stage.mixer.stats().counts
    assert counts.concealed_frames == counts.late_packets == 0
    loudness = [level_dbov(seconds_of(sound, t, t + 0.02)) for t in np.arange(0, 5.4, 0.02)]
    loud = sum(level > -27 for level in loudness)
    assert loud == pytest.approx(5 * 25, abs=6)
    assert sum(level < -60 for level in loudness) > 4 * 27
    assert np.abs(np.diff(sound)).max() < 2 * STEP


def test_who_takes_over_a_slot_is_heard_and_who_had_it_fades() -> None:
    stage = Stage()
    listener = stage.listen()
    red = list(Talker(1, sine(440, 0.1)).packets(stage.now, stage.now + 1))
    white = list(Talker(2, sine(1_000, 0.1)).packets(stage.now + 1, stage.now + 2, index=50))
    back = list(Talker(1, sine(440, 0.1)).packets(stage.now + 2, stage.now + 3, index=100))
    stage.send(0, [*red, *white, *back])
    stage.run(3.5)
    sound = listener.hear()
    assert magnitude_db(seconds_of(sound, 0.3, 1.0), 440) == pytest.approx(-20, abs=0.5)
    assert magnitude_db(seconds_of(sound, 1.2, 2.0), 440) < -70
    assert magnitude_db(seconds_of(sound, 1.2, 2.0), 1_000) == pytest.approx(-20, abs=0.5)
    assert magnitude_db(seconds_of(sound, 2.2, 3.0), 440) == pytest.approx(-20, abs=0.5)
    assert magnitude_db(seconds_of(sound, 2.2, 3.0), 1_000) < -70
    assert stage.mixer.stats().counts.concealed_frames <= 4 + 2
    assert np.abs(np.diff(sound)).max() < 2 * 0.1 * 2 * np.pi * 1_000 / RATE_HZ


def test_whoever_is_cut_off_fades_within_a_frame() -> None:
    """Silence that the server puts onto a slot ends its holder's voice at once."""
    stage = Stage()
    listener = stage.listen()
    packets = list(Talker(1, TONE).packets(stage.now, stage.now + 1))
    silence = replace(
        packets[-1],
        source=-1,
        index=50,
        time_ticks=packets[-1].time_ticks + 960,
        payload=b"\xf8\xff\xfe",
        at=packets[-1].at + 0.02,
    )
    stage.send(0, [*packets, silence])
    stage.run(1.5)
    sound = listener.hear()
    assert stage.mixer.stats().counts.concealed_frames == 0
    assert level_dbov(seconds_of(sound, 1.15, 1.4)) < -80
    assert np.abs(np.diff(sound)).max() < 2 * STEP


def test_a_source_that_moves_to_another_slot_is_heard_there() -> None:
    stage = Stage()
    listener = stage.listen()
    stage.send(0, Talker(1, TONE).packets(stage.now, stage.now + 1))
    later = Talker(1, TONE, offset_ticks=77_777)
    stage.send(1, later.packets(stage.now + 1, stage.now + 3, index=900))
    stage.run(3)
    assert level_dbov(seconds_of(listener.hear(), 1.3, 2.8)) == pytest.approx(-23, abs=0.3)


def test_a_burst_fills_no_more_than_the_table_and_is_caught_up_with() -> None:
    """A network that stalled for two seconds delivers all at once."""
    stage, sound = hear(
        lambda packets: [
            replace(p, at=max(p.at, BEGIN_S + 3.0)) if p.at > BEGIN_S + 1 else p for p in packets
        ],
        Talker(1, TONE, frame_ms=10),
        seconds=6,
    )
    counts = stage.mixer.stats().counts
    assert counts.dropped_packets + counts.late_packets >= 200 - PACKETS_MAX
    assert level_dbov(seconds_of(sound, 3.2, 5.8)) == pytest.approx(-23, abs=0.3)


def test_the_same_packets_at_the_same_times_make_the_same_sound() -> None:
    first, second = (hear(unchanged, seconds=1)[1] for _ in range(2))
    assert (first == second).all()
