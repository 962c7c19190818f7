"""Packets sent again: the very same ciphertext, or nothing."""

from __future__ import annotations

import random

import pytest

from sfu.fast import Batch
from tests.fast.crowded import EVENTS, CrowdedRoom, RedTalker
from tests.fast.oracle_red import Block, build_red
from tests.fast.peer import PAYLOAD_TYPE, TALK, Listener, Talker, batch_of, drained, rtp
from tests.fast.stage import NOW, Stage

RED = 63


class Asking(Stage):
    """A room whose listener may ask again; `said` is the ciphertext of each of its packets."""

    def __init__(self, redundancy: int = 0) -> None:
        super().__init__()
        self.listener = Listener(4, self.forwarder, red_payload_type=RED, repeats=True)
        self.egress = self.listener.egress
        self.forwarder.subscribe(self.egress, self.forwarder.slot_stream(self.slot, redundancy))
        self.said: dict[int, bytes] = {}

    def talk(self, count: int, payload: bytes = TALK, talker: Talker | None = None) -> None:
        """So many packets, 20 ms apart."""
        talker = talker or self.talker
        for _ in range(count):
            for data, address in self.send(talker.talk(payload), sender=talker):
                if address == self.listener.address:
                    self.said[int.from_bytes(data[2:4], "big")] = data

    def ask(self, *sequences: int, spacing_s: float = 0.0) -> list[bytes]:
        """What comes again; each of it as it was."""
        count = self.forwarder.resend(self.egress, list(sequences), self.now, spacing_s)
        sent = drained(self.forwarder)
        assert len(sent) == count
        for data, address in sent:
            assert address == self.listener.address
            assert data == self.said[int.from_bytes(data[2:4], "big")]
        return [data for data, _ in sent]

    @property
    def newest(self) -> int:
        """The listener's newest sequence number."""
        return max(self.said)


@pytest.mark.parametrize("segmented", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_nothing_leaves_twice_under_one_number_in_two_texts(seed: int, segmented: bool) -> None:
    """SRTP would betray both. Forms, slots, routes and voices change, uplinks lose and reorder."""
    rng = random.Random(seed)
    room = CrowdedRoom(rng, segmented=segmented)
    for _ in range(1_500):
        rng.choice(EVENTS)(room)
    counters = room.forwarder.counters()
    assert counters["resent"] > 50 and counters["recovered"] > 5
    assert room.again == counters["resent"]
    assert counters["protect_errors"] == 0


@pytest.mark.parametrize("redundancy", [0, 1, 2])
def test_a_packet_comes_again_bit_for_bit(redundancy: int) -> None:
    room = Asking(redundancy)
    room.talk(12)
    assert len(room.ask(room.newest, room.newest - 3)) == 2
    assert room.forwarder.counters()["resent"] == 2
    assert room.forwarder.counters()["forwarded"] == 24


@pytest.mark.parametrize("redundancy", [0, 1, 2])
def test_a_packet_comes_again_in_the_form_in_which_it_left(redundancy: int) -> None:
    room = Asking(redundancy)
    room.talk(12)
    asked = room.newest
    room.forwarder.subscribe(
        room.egress, room.forwarder.slot_stream(room.slot, (redundancy + 1) % 3)
    )
    assert room.ask(asked)
    room.talk(1)
    assert room.newest == asked + 1, "no anchor between two forms of one slot"
    assert room.ask(asked, asked + 1)


def test_padding_comes_again_as_well() -> None:
    """The tick of three voices: two are padded to the length of the longest."""
    stage = Stage()
    forwarder = stage.forwarder
    audience = forwarder.add_audience()
    forwarder.set_segmented(audience, True)
    listener = Listener(8, forwarder, repeats=True)
    talkers = [Talker(20, forwarder), Talker(21, forwarder)]
    first: dict[bytes, bytes] = {}
    for line, talker in enumerate(talkers):
        slot = forwarder.add_slot(audience)
        forwarder.assign(slot, talker.source, NOW)
        egress = listener.egress
        if line:
            egress = forwarder.add_egress(
                listener.transport,
                ssrc=1,
                payload_type=PAYLOAD_TYPE,
                first_sequence=9,
                first_timestamp=0,
                echo_group=8,
            )
        forwarder.subscribe(egress, forwarder.slot_stream(slot))
    for step in range(8):
        for talker, payload in zip(talkers, (TALK[:30], TALK), strict=True):
            forwarder.receive(batch_of((talker.talk(payload), talker.address)), NOW + 0.02 * step)
            first |= {data[2:4] + data[8:12]: data for data, _ in drained(forwarder)}
    asked = [data for key, data in first.items() if key[2:] == (0x9008).to_bytes(4, "big")]
    padded = [data for data in asked if data[0] & 0x20]
    assert padded
    number = int.from_bytes(padded[-1][2:4], "big")
    assert forwarder.resend(listener.egress, [number], NOW + 0.16) == 1
    assert [data for data, _ in drained(forwarder)] == [padded[-1]]


def test_numbers_that_were_never_sent_are_refused() -> None:
    room = Asking()
    room.talk(12)
    assert room.ask(room.newest + 1, 99, 0, 65_535, 40_000) == []
    assert room.forwarder.counters()["resends_refused"] == 5


def test_who_did_not_negotiate_repetition_gets_none(stage: Stage) -> None:
    for _ in range(8):
        stage.send(stage.talker.talk())
    assert stage.forwarder.resend(stage.listener.egress, [107], stage.now) == 0


def test_a_packet_comes_again_twice_at_most() -> None:
    room = Asking()
    room.talk(12)
    assert [len(room.ask(room.newest)) for _ in range(3)] == [1, 1, 0]


def test_a_second_repetition_waits_for_the_spacing() -> None:
    room = Asking()
    room.talk(12)
    assert room.ask(room.newest, spacing_s=0.05)
    room.now += 0.04
    assert not room.ask(room.newest, spacing_s=0.05)
    room.now += 0.02
    assert room.ask(room.newest, spacing_s=0.05)


def test_what_came_late_from_its_publisher_waits_for_the_spacing_the_first_time() -> None:
    """Whoever asks sooner asked while it was on its way, and would get it twice."""
    room = Asking()
    room.talk(10)
    late = room.talker.talk()
    room.talk(2)
    sent = room.send(late)
    number = room.newest - 2
    room.said |= {number: data for data, address in sent if address == room.listener.address}
    room.now += 0.02
    assert room.ask(room.newest, spacing_s=0.05), "on time: nobody asks for it unless it is lost"
    assert not room.ask(number, spacing_s=0.05)
    room.now += 0.04
    assert room.ask(number, spacing_s=0.05)
    assert not room.ask(number, spacing_s=0.05)


def test_half_a_second_later_nothing_comes_again() -> None:
    room = Asking()
    room.talk(12)
    room.now += 0.49
    assert room.ask(room.newest)
    room.now += 0.02
    assert not room.ask(room.newest)


@pytest.mark.parametrize(("sent", "allowed"), [(3, 0), (4, 1), (20, 5), (100, 16)])
def test_a_quarter_of_what_was_sent_comes_again(sent: int, allowed: int) -> None:
    room = Asking()
    room.talk(sent)
    asked = [max(100, room.newest - back) for back in range(24)]
    assert len(room.ask(*asked)) == allowed


def test_one_call_looks_at_64_numbers() -> None:
    room = Asking()
    room.talk(12)
    assert room.ask(*[0] * 64, room.newest) == []
    assert room.forwarder.counters()["resends_refused"] == 65


def test_what_came_before_an_anchor_is_not_sent_again() -> None:
    """Another slot, back again, the same slot under a new anchor, nothing."""
    room = Asking()
    other = room.forwarder.add_slot()
    room.forwarder.assign(other, room.other.source, room.now)
    room.talk(12)
    before = room.newest
    room.forwarder.subscribe(room.egress, room.forwarder.slot_stream(other))
    assert not room.ask(before)
    room.talk(1, talker=room.other)
    assert not room.ask(before) and room.ask(room.newest)
    room.forwarder.subscribe(room.egress, room.stream)
    assert not room.ask(before)
    room.talk(1)
    assert not room.ask(before) and room.ask(room.newest)
    room.forwarder.subscribe(room.egress, -1)
    assert not room.ask(room.newest)


def test_slots_with_alike_indices_are_not_confused() -> None:
    """A packet of one slot left in RED, one of another of the same index plain."""
    room = Asking(2)
    other = room.forwarder.add_slot()
    room.forwarder.assign(other, room.other.source, room.now)
    room.talk(8)
    room.forwarder.subscribe(room.egress, room.forwarder.slot_stream(other))
    room.talk(8, talker=room.other)
    for sequence in range(108, 112):
        assert room.ask(sequence)


def test_a_copy_that_is_forgotten_takes_its_packet_with_it() -> None:
    """The oldest packet that 16 KiB hold comes again plain; in RED it would lack the one before."""
    room = Asking(1)
    plain = Listener(5, room.forwarder, repeats=True)
    room.forwarder.subscribe(plain.egress, room.stream)
    room.talk(80)
    for _ in range(40):
        room.now -= 0.012  # a burst, so that age is not what refuses
        room.talk(1, b"\x80" + bytes(630))
    ages = range(40, 0, -1)
    oldest = next(
        back for back in ages if room.forwarder.resend(plain.egress, [room.newest - back], room.now)
    )
    assert len(drained(room.forwarder)) == 1
    assert oldest == 24
    assert [len(room.ask(room.newest - back)) for back in (oldest, oldest - 1)] == [0, 1]


def test_without_a_route_nothing_comes_again() -> None:
    room = Asking()
    room.talk(12)
    room.forwarder.revoke(room.listener.address)
    assert not room.ask(room.newest)


def test_what_is_held_back_was_not_sent_yet() -> None:
    stage = Stage()
    forwarder = stage.forwarder
    audience = forwarder.add_audience()
    slots = [forwarder.add_slot(audience) for _ in range(2)]
    for slot, talker in zip(slots, (stage.talker, stage.other), strict=True):
        if slot == slots[0]:
            forwarder.assign(stage.slot, -1, NOW)
        forwarder.assign(slot, talker.source, NOW)
    listener = Listener(8, forwarder, repeats=True)
    forwarder.subscribe(listener.egress, forwarder.slot_stream(slots[0]))
    for _ in range(8):
        stage.send(stage.talker.talk())
        stage.send(stage.other.talk(), sender=stage.other)
    forwarder.set_segmented(audience, True)
    assert stage.send(stage.talker.talk()) == []
    assert forwarder.resend(listener.egress, [108], stage.now) == 0
    forwarder.flush(stage.now + 0.02)
    assert len(drained(forwarder)) == 1
    assert forwarder.resend(listener.egress, [108], stage.now + 0.02) == 1


def test_a_slot_that_goes_leaves_what_others_hold_as_it_is() -> None:
    """Two slots hold a packet; the first goes, and a third brings one."""
    stage = Stage()
    forwarder = stage.forwarder
    audience = forwarder.add_audience()
    talkers = [Talker(20 + number, forwarder) for number in range(3)]
    slots = [forwarder.add_slot(audience) for _ in talkers]
    listener = Listener(8, forwarder)
    for slot, talker in zip(slots, talkers, strict=True):
        forwarder.assign(slot, talker.source, NOW)
    forwarder.subscribe(listener.egress, forwarder.slot_stream(slots[1]))
    other = Listener(9, forwarder)
    forwarder.subscribe(other.egress, forwarder.slot_stream(slots[0]))
    third = Listener(10, forwarder)
    forwarder.subscribe(third.egress, forwarder.slot_stream(slots[2]))
    for talker in talkers:
        stage.send(talker.talk(), sender=talker)
    forwarder.set_segmented(audience, True)
    texts = [b"\x78" + bytes([number]) * 40 for number in range(3)]
    stage.now -= 0.015
    stage.send(talkers[0].talk(texts[0]), sender=talkers[0])
    stage.now -= 0.015
    stage.send(talkers[1].talk(texts[1]), sender=talkers[1])
    forwarder.remove_slot(slots[0])
    stage.now -= 0.015
    sent = stage.send(talkers[2].talk(texts[2]), sender=talkers[2])
    by_address = {address: data for data, address in sent}
    assert listener.hear(by_address[listener.address]).payload == texts[1]
    assert third.hear(by_address[third.address]).payload == texts[2]


def test_a_copy_recovered_long_ago_keeps_its_original_out() -> None:
    """64 packets after the recovery, the farthest that a late packet may come."""
    room = Asking()
    talker = RedTalker(30, room.forwarder)
    room.forwarder.assign(room.slot, talker.source, room.now)
    room.send(talker.talk(), sender=talker)
    lost, at = talker.sequence, talker.timestamp
    talker.leap(1)
    both = build_red(PAYLOAD_TYPE, [Block(960, TALK[:30]), Block(0, TALK)])
    assert len(room.send(talker.talk(both, payload_type=RED), sender=talker)) == 2 * 2
    for _ in range(63):
        room.send(talker.talk(), sender=talker)
    late = talker.say(rtp(lost, at, TALK[:31], ssrc=talker.ssrc))
    assert room.send(late, sender=talker) == []
    assert room.dropped() == {"late": 1}


def test_broken_red_does_not_make_room_for_an_original_that_was_recovered() -> None:
    """It moves the newest number far on without a place on the stream."""
    room = Asking()
    talker = RedTalker(30, room.forwarder)
    room.forwarder.assign(room.slot, talker.source, room.now)
    room.send(talker.talk(), sender=talker)
    lost, at = talker.sequence, talker.timestamp
    talker.leap(1)
    both = build_red(PAYLOAD_TYPE, [Block(960, TALK[:30]), Block(0, TALK)])
    room.send(talker.talk(both, payload_type=RED), sender=talker)
    talker.leap(80)
    room.send(talker.talk(b"\x80", payload_type=RED), sender=talker)
    late = talker.say(rtp(lost, at, TALK[:31], ssrc=talker.ssrc))
    assert room.send(late, sender=talker) == []
    assert room.dropped() == {"red": 1, "late": 1}


def test_repetitions_survive_an_outbox_of_one() -> None:
    room = Asking()
    room.talk(40)
    sequences = [room.newest - back for back in range(8)]
    assert room.forwarder.resend(room.egress, sequences, room.now) == 8
    with pytest.raises(RuntimeError):
        room.forwarder.subscribe(room.egress, -1)
    sent = drained(room.forwarder, Batch(1, 2_048))
    assert [data for data, _ in sent] == [room.said[one] for one in sequences]
