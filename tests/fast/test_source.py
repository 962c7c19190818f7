"""What the forwarder knows of a source: how loud it is, what it lost, who may speak for it."""

from __future__ import annotations

import math

import pytest

from tests.fast.peer import TALK, level_block
from tests.fast.stage import FRAME_S, Stage

# Levels -----------------------------------------------------------------------------------------


def test_a_talker_without_levels_competes_as_an_ordinary_one(stage: Stage) -> None:
    """Long payloads count as level 30, short ones as comfort noise; both are marked unmeasured."""
    stage.send(stage.other.talk(extension=b""), sender=stage.other)
    level = stage.forwarder.level(stage.other.source, stage.now)
    assert (level.instant, level.voiced, level.measured) == (30, True, False)
    stage.send(stage.other.talk(b"\x78" + bytes(9), extension=b""), sender=stage.other)
    level = stage.forwarder.level(stage.other.source, stage.now)
    assert (level.instant, level.voiced, level.measured) == (127, False, False)


def test_comfort_noise_announces_a_pause_whatever_its_level(stage: Stage) -> None:
    for payload, pauses in ((TALK, False), (TALK[:10], True), (TALK[:11], False)):
        stage.send(stage.talker.talk(payload, level=40))
        assert stage.forwarder.level(stage.talker.source, stage.now).pausing is pauses
    stage.send(stage.talker.talk(TALK[:1], level=40))
    stage.forwarder.set_audible(stage.talker.source, False)
    assert not stage.forwarder.level(stage.talker.source, stage.now).pausing


def test_the_level_rises_fast_and_falls_slowly(stage: Stage) -> None:
    """Half of the way up for each 20 ms, a tenth down, and down in silence after 60 ms."""
    stage.send(stage.other.talk(level=27), sender=stage.other)
    assert stage.forwarder.level(stage.other.source, stage.now).level_db == pytest.approx(-77)
    stage.send(stage.other.talk(level=127), sender=stage.other)
    assert stage.forwarder.level(stage.other.source, stage.now).level_db == pytest.approx(-82)
    later = stage.forwarder.level(stage.other.source, stage.now + 0.1)
    assert later.level_db == pytest.approx(-127 + 45 * 0.81)
    assert later.packet_age == pytest.approx(0.1)
    assert later.voiced_age == pytest.approx(0.12)


def test_a_loud_hum_is_not_voice_for_long(stage: Stage) -> None:
    """After some seconds of the same level the floor has risen to it; a voice above it counts."""
    for _ in range(600):
        stage.send(stage.other.talk(level=48), sender=stage.other)
    assert not stage.forwarder.level(stage.other.source, stage.now).voiced
    stage.send(stage.other.talk(level=30), sender=stage.other)
    assert stage.forwarder.level(stage.other.source, stage.now).voiced


def test_a_steady_loud_talker_stays_voiced(stage: Stage) -> None:
    """The floor never counts as higher than -45 dBov."""
    for _ in range(600):
        stage.send(stage.other.talk(level=20), sender=stage.other)
    assert stage.forwarder.level(stage.other.source, stage.now).voiced


def test_the_levels_of_a_whole_room_are_those_of_each_source(stage: Stage) -> None:
    """In the order asked for, a source as often as it is asked for, ages at the same moment."""
    stage.send(stage.other.talk(level=27), sender=stage.other)
    one, two = stage.talker.source, stage.other.source
    now = stage.now + 0.2
    levels = stage.forwarder.levels([two, one, two], now)
    assert levels == [stage.forwarder.level(source, now) for source in (two, one, two)]
    assert levels[0].packet_age == pytest.approx(0.2) and levels[1].packet_age == math.inf
    assert stage.forwarder.levels([], now) == []
    with pytest.raises(KeyError):
        stage.forwarder.levels([one, 999], now)


# Reports ----------------------------------------------------------------------------------------


def test_source_statistics_are_those_of_a_receiver_report(stage: Stage) -> None:
    """Loss shows as expected minus received; muted packets are no loss."""
    for lost in (False, False, True, False):
        data = stage.talker.talk()
        if not lost:
            stage.send(data)
        else:
            stage.now += FRAME_S
    stage.forwarder.set_audible(stage.talker.source, False)
    for _ in range(5):
        stage.send(stage.talker.talk())
    stats = stage.forwarder.source_stats(stage.talker.source)
    assert stats == (stage.talker.ssrc, 8, 1008, 9, 0)


def test_egress_statistics_pair_the_newest_time_with_when_it_was_sent(stage: Stage) -> None:
    """A packet that comes late does not move the pair that a sender report is made of."""
    packets = [stage.talker.talk() for _ in range(3)]
    stage.send(packets[0])
    stage.send(packets[2])
    before = stage.forwarder.egress_stats(stage.listener.egress)
    assert before == (2, 2 * len(TALK), 5_000 + 2 * 960, stage.now, 102)
    stage.send(packets[1])
    after = stage.forwarder.egress_stats(stage.listener.egress)
    assert after == (3, 3 * len(TALK), before.rtp_time, before.sent_at, 102)


# SSRC -------------------------------------------------------------------------------------------


def test_another_ssrc_takes_over_after_a_second_of_silence(stage: Stage) -> None:
    """The track goes on with the next number."""
    [(data, _)] = stage.send(stage.talker.talk())
    assert stage.listener.hear(data).sequence == 100
    stage.now += 1.0
    stage.talker.ssrc += 1
    stage.talker.sequence = 9
    [(data, _)] = stage.send(stage.talker.talk())
    heard = stage.listener.hear(data)
    assert (heard.sequence, heard.marker) == (101, True)
    assert stage.forwarder.counters()["ssrc_changes"] == 1
    assert stage.forwarder.source_stats(stage.talker.source)[:4] == (stage.talker.ssrc, 1, 9, 1)


def test_a_long_mute_does_not_lose_the_roll_over_counter(stage: Stage) -> None:
    """Three wraps of the sequence number, hardly any of it decrypted; then it is heard."""
    stage.send(stage.talker.talk())
    stage.forwarder.set_audible(stage.talker.source, False)
    for _ in range(3 * 65_536 // 256):
        for _ in range(255):
            stage.talker.talk()
        stage.send(stage.talker.talk())
    assert stage.dropped().keys() == {"inaudible"}
    stage.forwarder.set_audible(stage.talker.source, True)
    [(data, _)] = stage.send(stage.talker.talk())
    assert stage.listener.hear(data).sequence == 101


def test_level_extension_of_a_source_is_read_under_its_id(stage: Stage) -> None:
    """An element under another id is somebody else's."""
    stage.send(stage.other.talk(extension=level_block(10, identifier=2)), sender=stage.other)
    assert not stage.forwarder.level(stage.other.source, stage.now).measured
