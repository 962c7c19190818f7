"""Where packets stand in time: what they say of it, and what a voice believes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfu.mixing import Packet
from sfu.mixing.opus import RATE_HZ

from .talking import BEGIN_S, ROOM, STEP, TONE, Stage, Talker, hear, level_dbov, seconds_of


def test_order_and_duplicates_change_nothing() -> None:
    def scrambled(packets: list[Packet]) -> list[Packet]:
        swapped = [
            replace(packet, at=packet.at + 0.025 * (packet.index % 5 == 2)) for packet in packets
        ]
        return [*swapped, *(replace(p, at=p.at + 0.001) for p in swapped[::7])]

    def calm(packets: list[Packet]) -> list[Packet]:
        return [replace(packet, at=packet.at) for packet in packets]

    stage, sound = hear(scrambled, seconds=3)
    _, expected = hear(calm, seconds=3)
    counts = stage.mixer.stats().counts
    assert counts.duplicate_packets + counts.late_packets == 22
    assert counts.concealed_frames <= 6
    assert level_dbov(seconds_of(sound, 1, 2.8)) == pytest.approx(
        level_dbov(seconds_of(expected, 1, 2.8)), abs=0.2
    )


def test_a_timeline_that_leaps_is_a_pause() -> None:
    """What follows has come already, but its time is 200 ms later than where the last ended."""

    def leaping(packets: list[Packet]) -> list[Packet]:
        return [replace(p, time_ticks=p.time_ticks + 9_600 * (p.index >= 100)) for p in packets]

    stage, sound = hear(leaping)
    assert stage.mixer.stats().counts.late_packets <= 2
    assert np.abs(np.diff(sound)).max() < 2 * STEP
    for begin in np.arange(2.6, 3.8, 0.1):
        assert level_dbov(seconds_of(sound, begin, begin + 0.1)) == pytest.approx(-23, abs=0.5)


@pytest.mark.parametrize("leap_ticks", [RATE_HZ, 5 * RATE_HZ, 2**30, -RATE_HZ, -(2**30)])
def test_a_late_packet_that_claims_another_time_costs_no_more_than_itself(leap_ticks: int) -> None:
    def swapped(packets: list[Packet]) -> list[Packet]:
        late = replace(packets[75], time_ticks=packets[75].time_ticks + leap_ticks)
        after = packets[76]
        return [*packets[:75], after, replace(late, at=after.at), *packets[77:]]

    stage, sound = hear(swapped)
    counts = stage.mixer.stats().counts
    assert counts.late_packets + counts.bad_packets == 1
    for begin in np.arange(1.7, 3.8, 0.1):
        assert level_dbov(seconds_of(sound, begin, begin + 0.1)) == pytest.approx(-23, abs=0.5)


@pytest.mark.parametrize("leap_ticks", [5 * RATE_HZ, 2**30])
def test_a_timeline_that_leaps_ahead_and_back_is_heard_again_after_half_a_second(
    leap_ticks: int,
) -> None:
    def leaping(packets: list[Packet]) -> list[Packet]:
        return [replace(p, time_ticks=p.time_ticks + leap_ticks * (p.index == 75)) for p in packets]

    _, sound = hear(leaping, seconds=6.0)
    for begin in np.arange(2.3, 5.8, 0.1):
        assert level_dbov(seconds_of(sound, begin, begin + 0.1)) == pytest.approx(-23, abs=0.5)


def test_old_packets_that_come_again_are_not_heard_again_however_long_they_come() -> None:
    def repeating(packets: list[Packet]) -> list[Packet]:
        again = [replace(p, at=p.at + 2.2) for p in packets[10:90]]
        return [*packets[:100], *again]

    stage, sound = hear(repeating)
    assert stage.mixer.stats().counts.late_packets == 80
    assert level_dbov(sound[round(2.3 * RATE_HZ) :]) < -60


def test_a_clock_that_drifts_never_empties_or_fills_the_buffer() -> None:
    def drifting(packets: list[Packet]) -> list[Packet]:
        return [replace(p, at=BEGIN_S + (p.at - BEGIN_S) * 1.001) for p in packets]

    stage = Stage()
    stage.send(0, drifting(list(Talker(1, TONE).packets(stage.now, stage.now + 60))))
    delays: list[float] = []
    stage.run(60, lambda _: delays.extend(b.delay_ms for b in stage.mixer.stats().buffers[ROOM]))
    assert max(delays[100:]) <= 50
    assert min(delays) >= 0
    # 60 ms of time that has to be made, a period of the voice at a time.
    assert stage.mixer.stats().counts.concealed_frames <= 4 + 4
