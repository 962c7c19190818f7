"""Three packets of a slot in one: what they say, when they leave, what they are called."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.fast.oracle_pack import Opus, put_together, take_apart
from tests.fast.packs import PackStage, frames_of
from tests.fast.peer import TALK, Heard, drained
from tests.fast.red_stage import text
from tests.fast.stage import FRAME_S, NOW

CONFIG_2_5_MS, CONFIG_5_MS, CONFIG_10_MS, CONFIG_20_MS = 28 << 3, 29 << 3, 30 << 3, 31 << 3
CONFIG_40_MS, CONFIG_60_MS = 10 << 3, 11 << 3


@pytest.fixture
def stage() -> PackStage:
    """A talker, a listener of plain packets and one of packs."""
    return PackStage()


def test_three_packets_leave_as_one(stage: PackStage) -> None:
    heard = stage.say_packed(*(text(number, 40 + number) for number in range(6)))
    assert [packet.sequence for packet in heard] == [100, 101]
    assert [packet.timestamp for packet in heard] == [5_000, 5_000 + 2_880]
    assert [packet.marker for packet in heard] == [True, False]
    assert [packet.csrcs for packet in heard] == [(stage.talker.number,)] * 2
    assert heard[0].payload == put_together(0x78, [text(n, 40 + n)[1:] for n in range(3)])
    assert [frame.data for frame in frames_of(heard)] == [text(n, 40 + n)[1:] for n in range(6)]


def test_a_pack_leaves_with_its_third_packet(stage: PackStage) -> None:
    assert stage.say_packed(TALK, TALK) == []
    assert len(stage.say_packed(TALK)) == 1
    assert stage.forwarder.next_flush() is None


def test_its_level_is_that_of_the_loudest(stage: PackStage) -> None:
    heard: list[Heard] = []
    for level, voiced in ((30, 0x80), (20, 0), (90, 0)):
        data = stage.talker.talk(
            extension=b"\xbe\xde\x00\x01" + bytes([0x10, voiced | level, 0, 0])
        )
        heard += stage.packs(stage.send(data))
    assert [packet.elements for packet in heard] == [((6, bytes([0x80 | 20])),)]


@pytest.mark.parametrize(
    ("payload", "packets"),
    [
        (bytes([CONFIG_2_5_MS]) + bytes(9), 24),
        (bytes([CONFIG_5_MS]) + bytes(9), 12),
        (bytes([CONFIG_10_MS]) + bytes(9), 6),
        (bytes([CONFIG_10_MS | 1]) + bytes(18), 3),
        (bytes([CONFIG_20_MS | 1]) + bytes(18), 1),
        (bytes([CONFIG_40_MS]) + bytes(9), 1),
        (bytes([CONFIG_60_MS]) + bytes(9), 1),
        (bytes([CONFIG_60_MS | 1]) + bytes(18), 1),
        (bytes([CONFIG_2_5_MS | 3, 48]) + bytes(48), 1),
    ],
)
def test_as_many_as_60_ms_hold(stage: PackStage, payload: bytes, packets: int) -> None:
    """What lasts longer by itself leaves as it came."""
    opus = take_apart(payload)
    ticks = len(opus.frames) * opus.frame_ticks
    sent = []
    for _ in range(packets):
        sent += stage.packs(stage.send(stage.talker.talk(payload)))
        stage.talker.timestamp += ticks - 960
        stage.now += ticks / 48_000 - FRAME_S
    [heard] = sent
    assert heard.payload == (
        payload if packets == 1 else put_together(opus.toc, opus.frames * packets)
    )


def test_what_comes_late_is_waited_for_60_ms(stage: PackStage) -> None:
    assert stage.say_packed(text(0), text(1)) == []
    begun_at = NOW + FRAME_S
    assert stage.forwarder.next_flush() == pytest.approx(begun_at + 0.06)
    assert stage.flush(begun_at + 0.059) == []
    assert [frame.data for frame in frames_of(stage.flush(begun_at + 0.06))] == [
        text(0)[1:],
        text(1)[1:],
    ]
    assert stage.forwarder.next_flush() is None
    heard = stage.say_packed(text(2), text(3), text(4))
    assert [packet.timestamp for packet in heard] == [5_000 + 2 * 960]


def test_one_packet_alone_leaves_as_it_came(stage: PackStage) -> None:
    padded = bytes([0x7B, 0x41, 3]) + bytes(40) + b"pad"
    stage.say_packed(padded)
    assert [packet.payload for packet in stage.flush(stage.now + 0.06)] == [padded]


def test_the_padding_of_the_first_packet_stays(stage: PackStage) -> None:
    """Whatever it is: extensions of a codec, or the time at which a load tester sent it."""
    padded = [put_together(0x78, [bytes([n]) * 30], b"pad%d" % n * 99) for n in range(3)]
    [heard] = stage.say_packed(*padded)
    assert take_apart(heard.payload) == Opus(
        0x78, [bytes([n]) * 30 for n in range(3)], b"pad0" * 99
    )


def test_frames_of_another_kind_begin_another_pack(stage: PackStage) -> None:
    heard = stage.say_packed(text(0), b"\x7c" + bytes(40), b"\x7c" + bytes(41), text(3), TALK)
    assert [len(take_apart(packet.payload).frames) for packet in heard] == [1, 2]
    assert [packet.timestamp for packet in heard] == [5_000, 5_960]


def test_a_pause_ends_a_pack(stage: PackStage) -> None:
    stage.say_packed(text(0))
    stage.talker.timestamp += 960
    heard = stage.say_packed(text(1), text(2), text(3))
    assert [packet.timestamp for packet in heard] == [5_000, 5_000 + 2 * 960]
    assert [packet.sequence for packet in heard] == [100, 101]


def test_another_voice_ends_a_pack(stage: PackStage) -> None:
    stage.say_packed(text(0))
    stage.forwarder.assign(stage.slot, stage.other.source, stage.now)
    heard = stage.packs(stage.send(stage.other.talk(text(1)), sender=stage.other))
    assert [packet.csrcs for packet in heard] == [(stage.talker.number,)]
    [second] = stage.flush(stage.now + 0.06)
    assert (second.csrcs, second.marker) == ((stage.other.number,), True)


def test_a_pushed_packet_is_packed_apart_from_the_voice(stage: PackStage) -> None:
    stage.say_packed(text(0))
    stage.now += FRAME_S
    assert stage.forwarder.push(stage.packed, text(1), stage.now, yields=True)
    heard = stage.packs(drained(stage.forwarder))
    heard += stage.say_packed(text(2))
    heard += stage.flush(stage.now + 0.06)
    assert [frame.data[0] for frame in frames_of(heard)] == [0, 1, 2]
    assert len(heard) == 3


def test_a_packet_lost_in_the_middle_is_an_empty_frame(stage: PackStage) -> None:
    """Which a decoder conceals as it conceals a lost packet (RFC 6716 3.2.1)."""
    heard = stage.say_packed(text(0))
    stage.lose(1)
    heard += stage.say_packed(text(2), text(3), text(4), text(5))
    assert [[f[:1] for f in take_apart(p.payload).frames] for p in heard] == [
        [b"\x00", b"", b"\x02"],
        [b"\x03", b"\x04", b"\x05"],
    ]
    assert [packet.timestamp for packet in heard] == [5_000, 5_000 + 2_880]


def test_a_pack_with_a_hole_waits_for_the_next_packet(stage: PackStage) -> None:
    """What is on its way still gets its place."""
    stage.say_packed(text(0))
    late = stage.talker.talk(text(1))
    assert stage.say_packed(text(2)) == []
    [heard] = stage.packs(stage.send(late))
    assert [frame[:1] for frame in take_apart(heard.payload).frames] == [b"\0", b"\1", b"\2"]
    assert stage.forwarder.counters()["packed_late"] == 0


def test_what_comes_after_its_pack_has_left_is_left_out(stage: PackStage) -> None:
    stage.say_packed(text(0))
    late = stage.talker.talk(text(1))
    stage.say_packed(text(2), text(3))
    assert stage.packs(stage.send(late)) == []
    assert stage.forwarder.counters()["packed_late"] == 1


@pytest.mark.parametrize("lost", range(1, 64))
def test_packs_keep_their_places_over_a_loss(lost: int) -> None:
    """Their numbers have a gap where a whole pack is missing, and their times none."""
    stage = PackStage()
    heard = stage.say_packed(text(0))
    stage.lose(lost)
    heard += stage.say_packed(*(text(1 + step) for step in range(9)))
    for before, after in pairwise(heard):
        ticks = 960 * len(take_apart(before.payload).frames)
        missing = after.sequence - before.sequence - 1
        assert after.timestamp == before.timestamp + ticks + 2_880 * missing
    came = [frame for frame in frames_of(heard) if frame.data]
    assert came[0].timestamp == 5_000
    assert came[1].timestamp == 5_000 + 960 * (1 + lost)


def test_large_packets_share_what_fits(stage: PackStage) -> None:
    large = [b"\x78" + bytes([number]) * 500 for number in range(5)]
    heard = stage.say_packed(*large)
    assert [len(take_apart(packet.payload).frames) for packet in heard] == [2, 2]
    assert all(len(packet.payload) <= 1_280 for packet in heard)


def test_nothing_is_packed_while_nobody_listens(stage: PackStage) -> None:
    stage.forwarder.subscribe(stage.ear.egress, -1)
    stage.say_packed(TALK, TALK, TALK, TALK)
    assert stage.forwarder.counters()["packed"] == 0
    assert stage.forwarder.next_flush() is None
    stage.forwarder.subscribe(stage.ear.egress, stage.packed)
    assert len(stage.say_packed(TALK, TALK, TALK, TALK)) == 1


def test_a_packed_stream_goes_with_its_slot(stage: PackStage) -> None:
    forwarder = stage.forwarder
    assert forwarder.sizes()["slots"] == 1
    stage.say_packed(TALK)
    forwarder.remove_slot(stage.slot)
    assert forwarder.egress_stream(stage.ear.egress) == -1
    assert forwarder.sizes() | {"slots": 0, "streams": 0} == forwarder.sizes()
    assert forwarder.next_flush() is None
    assert stage.flush(stage.now + 1.0) == []
    for row in range(4):
        with pytest.raises(KeyError):
            forwarder.slot_stream(row)


def test_the_row_of_a_packed_stream_is_no_slot(stage: PackStage) -> None:
    for row in set(range(8)) - {stage.slot}:
        with pytest.raises(KeyError):
            stage.forwarder.remove_slot(row)
        with pytest.raises(KeyError):
            stage.forwarder.assign(row, -1, NOW)


def test_a_lean_slot_has_lean_packs() -> None:
    stage = PackStage()
    slot = stage.forwarder.add_slot(lean=True)
    stage.forwarder.assign(stage.slot, -1, NOW)
    stage.forwarder.assign(slot, stage.talker.source, NOW)
    stage.forwarder.subscribe(stage.ear.egress, stage.forwarder.slot_stream(slot, packed=True))
    [heard] = stage.say_packed(TALK, TALK, TALK)
    assert (heard.csrcs, heard.elements) == ((), ())


def test_a_lost_pack_is_sent_again_bit_for_bit(stage: PackStage) -> None:
    sent: list[bytes] = []
    for number in range(30):
        said = stage.send(stage.talker.talk(text(number)))
        sent += [data for data, to in said if to == stage.ear.address]
    assert stage.forwarder.resend(stage.ear.egress, [108, 109], stage.now) == 2
    assert [data for data, _ in drained(stage.forwarder)] == sent[8:10]
    assert stage.forwarder.resend(stage.ear.egress, [101], stage.now) == 0, "too long ago"
    assert stage.forwarder.counters()["resends_refused"] == 1


def test_packs_come_in_red_too(stage: PackStage) -> None:
    listener = stage.red_listener(9, 0)
    stage.forwarder.subscribe(
        listener.egress, stage.forwarder.slot_stream(stage.slot, 1, packed=True)
    )
    sent = []
    for number in range(9):
        sent += stage.send(stage.talker.talk(text(number)))
    heard = [listener.hear(data) for data, to in sent if to == listener.address]
    pack = 2 + 3 * 40
    assert [len(packet.payload) for packet in heard] == [1 + pack, *[1 + 4 + 2 * pack] * 2]
    assert [frame.data[0] for frame in frames_of(heard)] == list(range(9))


def test_whoever_hears_packs_is_not_behind(stage: PackStage) -> None:
    stage.say_packed(*[TALK] * 150)
    assert stage.forwarder.behind(stage.now) == []
