"""RED from publishers is taken apart, and listeners get it as they ask."""

from __future__ import annotations

import random

import pytest

from tests.fast.oracle_red import Block, build_red, parse_red
from tests.fast.peer import PAYLOAD_TYPE, TALK, Heard, Listener, Talker, drained, rtp
from tests.fast.stage import FRAME_S, Stage

RED = 63
LISTENER_RED = 64


def text(number: int, length: int = 40) -> bytes:
    """A 20 ms Opus packet that can be told from others."""
    return b"\x78" + bytes([number]) * length


class RedStage(Stage):
    """The talker of the stage may send RED; its listener takes plain packets."""

    def __init__(self) -> None:
        super().__init__()
        self.forwarder.assign(self.slot, -1, self.now)
        self.talker = Talker(7, self.forwarder, red_payload_type=RED)
        self.forwarder.assign(self.slot, self.talker.source, self.now)

    def say(self, *copies: tuple[int, bytes], newest: bytes = TALK) -> list[Heard]:
        """One RED packet with `copies` (ticks before it, payload); what the listener hears."""
        data = build_red(PAYLOAD_TYPE, [*(Block(*copy) for copy in copies), Block(0, newest)])
        return self.heard(self.send(self.talker.talk(data, payload_type=RED)))

    def lose(self, packets: int) -> None:
        """So many packets of the talker never come."""
        self.talker.sequence += packets
        self.talker.timestamp += 960 * packets
        self.now += FRAME_S * packets

    def heard(self, sent: list[tuple[bytes, bytes]]) -> list[Heard]:
        """What the plain listener gets."""
        address = self.listener.address
        return [self.listener.hear(data) for data, to in sent if to == address]

    def red_listener(self, number: int, redundancy: int, **settings: int) -> Listener:
        """A client that carries a RED stream."""
        one = Listener(
            number, self.forwarder, red_payload_type=LISTENER_RED, payload_type=96, **settings
        )
        self.forwarder.subscribe(one.egress, self.forwarder.slot_stream(self.slot, redundancy))
        return one


# From a publisher -------------------------------------------------------------------------------


def test_the_newest_block_is_what_listeners_without_red_hear() -> None:
    stage = RedStage()
    [first] = stage.say(newest=text(1))
    [second] = stage.say((960, text(1)), newest=text(2))
    assert (first.payload, second.payload) == (text(1), text(2))
    assert second.payload_type == PAYLOAD_TYPE
    assert second.sequence == first.sequence + 1
    assert stage.forwarder.counters()["recovered"] == 0


def test_red_and_plain_packets_may_alternate() -> None:
    stage = RedStage()
    assert len(stage.say()) == 1
    assert len(stage.heard(stage.send(stage.talker.talk()))) == 1
    assert len(stage.say((960, TALK))) == 1


@pytest.mark.parametrize("lost", [1, 2, 3, 4])
def test_copies_fill_the_gap_before_them(lost: int) -> None:
    """Under the numbers and times of what was lost, oldest first, as if it had come."""
    stage = RedStage()
    [before] = stage.say()
    stage.lose(lost)
    copies = [(960 * back, text(back)) for back in range(lost, 0, -1)]
    heard = stage.say(*copies, newest=text(0))
    assert [one.payload for one in heard] == [text(back) for back in range(lost, -1, -1)]
    assert [one.sequence - before.sequence for one in heard] == list(range(1, lost + 2))
    steps = [one.timestamp - before.timestamp for one in heard]
    assert steps == [960 * number for number in range(1, lost + 2)]
    assert not any(one.marker for one in heard)
    assert stage.forwarder.counters()["recovered"] == lost


def test_copies_fill_the_gap_in_its_order_whatever_theirs_is() -> None:
    stage = RedStage()
    stage.say()
    stage.lose(2)
    heard = stage.say((960, text(1)), (1920, text(2)), (1920, text(9)), newest=text(0))
    assert [one.payload for one in heard] == [text(2), text(1), text(0)]


def test_a_copy_has_the_level_of_the_packet_that_brought_it() -> None:
    stage = RedStage()
    loud = Listener(8, stage.forwarder, level_extension=5)
    stage.forwarder.subscribe(loud.egress, stage.stream)
    stage.say()
    stage.lose(1)
    data = build_red(PAYLOAD_TYPE, [Block(960, text(1)), Block(0, text(0))])
    sent = stage.send(stage.talker.talk(data, payload_type=RED, level=33, marker=True))
    heard = [loud.hear(one) for one, address in sent if address == loud.address][-2:]
    assert [one.elements for one in heard] == [((5, bytes([0x80 | 33])),)] * 2
    assert [one.marker for one in heard] == [False, True]


@pytest.mark.parametrize(
    ("lost", "copies"),
    [
        (5, [(960, text(1))]),  # too many are missing
        (1, [(480, text(1))]),  # not at the place of the missing one
        (1, [(1920, text(1))]),  # of a packet that came
        (1, [(0, text(1))]),
        (1, [(960, b"\x7b\x00")]),  # not Opus
        (1, [(960, b"")]),
    ],
)
def test_a_copy_of_nothing_that_is_missing_is_left(
    lost: int, copies: list[tuple[int, bytes]]
) -> None:
    stage = RedStage()
    stage.say()
    stage.lose(lost)
    assert [one.payload for one in stage.say(*copies, newest=text(0))] == [text(0)]
    assert stage.forwarder.counters()["recovered"] == 0


def test_where_the_time_of_a_gap_does_not_divide_nothing_is_recovered() -> None:
    stage = RedStage()
    stage.say()
    stage.lose(1)
    stage.talker.timestamp += 1
    assert len(stage.say((960, text(1)))) == 1


def test_what_was_recovered_counts_as_lost_on_the_uplink() -> None:
    stage = RedStage()
    stage.say()
    stage.lose(1)
    stage.say((960, text(1)))
    stats = stage.forwarder.source_stats(stage.talker.source)
    assert (stats.packets, stats.expected) == (2, 3)


def test_an_original_that_comes_after_its_copy_is_late() -> None:
    stage = RedStage()
    stage.say()
    sequence, timestamp = stage.talker.sequence, stage.talker.timestamp
    stage.lose(1)
    assert len(stage.say((960, text(1)))) == 2
    stage.say()
    late = stage.talker.say(rtp(sequence, timestamp, text(2), ssrc=stage.talker.ssrc))
    assert stage.send(late) == []
    assert stage.dropped() == {"late": 1}


def test_a_late_packet_without_a_copy_still_comes() -> None:
    stage = RedStage()
    stage.say()
    held = stage.talker.talk(text(1))
    stage.say()
    assert [one.payload for one in stage.heard(stage.send(held))] == [text(1)]


def test_without_a_slot_nothing_is_recovered() -> None:
    stage = RedStage()
    stage.say()
    stage.forwarder.assign(stage.slot, -1, stage.now)
    stage.lose(1)
    assert stage.say((960, text(1))) == []
    assert stage.forwarder.counters()["recovered"] == 0
    [challenge] = stage.forwarder.challenges()
    stage.forwarder.assign(stage.slot, stage.talker.source, stage.now)
    stage.forwarder.accept(challenge.handle)
    assert [one.payload for one in stage.heard(drained(stage.forwarder))] == [TALK]


BROKEN = {
    "no newest": build_red(PAYLOAD_TYPE, [Block(960, text(1)), Block(0, b"")]),
    "nothing": b"",
    "header cut": bytes([0x80 | PAYLOAD_TYPE, 0, 0]),
    "only a header": bytes([PAYLOAD_TYPE]),
    "block cut": build_red(PAYLOAD_TYPE, [Block(960, text(1)), Block(0, text(0))])[:30],
    "five copies": build_red(PAYLOAD_TYPE, [Block(960, text(1, 3))] * 5 + [Block(0, TALK)]),
    "foreign": build_red(PAYLOAD_TYPE + 1, [Block(960, text(1)), Block(0, TALK)]),
    "foreign newest": build_red(PAYLOAD_TYPE, [Block(960, TALK), Block(0, TALK)]).replace(
        bytes([PAYLOAD_TYPE]) + TALK[:1], bytes([PAYLOAD_TYPE - 1]) + TALK[:1], 1
    ),
}


@pytest.mark.parametrize("case", list(BROKEN))
def test_broken_red_is_dropped_and_leaves_no_gap(case: str) -> None:
    stage = RedStage()
    [before] = stage.say()
    assert stage.send(stage.talker.talk(BROKEN[case], payload_type=RED)) == []
    assert stage.dropped() == {"red": 1}
    [after] = stage.say()
    assert after.sequence == before.sequence + 1


def test_red_that_was_not_negotiated_is_a_foreign_payload_type(stage: Stage) -> None:
    data = build_red(PAYLOAD_TYPE, [Block(0, TALK)])
    assert stage.send(stage.talker.talk(data, payload_type=RED)) == []
    assert stage.send(stage.talker.talk(TALK, payload_type=0)) == []
    assert stage.dropped() == {"payload_type": 2}


def test_padding_of_a_red_packet_is_no_part_of_its_newest_block() -> None:
    stage = RedStage()
    data = build_red(PAYLOAD_TYPE, [Block(960, text(1)), Block(0, text(2))])
    sent = stage.send(stage.talker.talk(data, payload_type=RED, padding=9))
    assert [one.payload for one in stage.heard(sent)] == [text(2)]


# To a listener ----------------------------------------------------------------------------------


def blocks_of(listener: Listener, sent: list[tuple[bytes, bytes]]) -> list[list[Block]]:
    """The RED packets of one listener, taken apart."""
    found = []
    for data, address in sent:
        if address == listener.address:
            heard = listener.hear(data)
            assert heard.payload_type == LISTENER_RED
            blocks = parse_red(heard.payload, 96)
            assert blocks is not None
            found.append(blocks)
    return found


@pytest.mark.parametrize("redundancy", [1, 2])
def test_each_packet_comes_with_those_before_it(redundancy: int) -> None:
    stage = RedStage()
    listener = stage.red_listener(8, redundancy)
    for number in range(6):
        sent = stage.send(stage.talker.talk(text(number)))
        [blocks] = blocks_of(listener, sent)
        backs = range(min(redundancy, number), -1, -1)
        assert blocks == [Block(960 * back, text(number - back)) for back in backs]


def test_all_forms_have_the_same_numbers_and_times() -> None:
    stage = RedStage()
    ears = [stage.listener, stage.red_listener(8, 1), stage.red_listener(9, 2)]
    rng = random.Random(3)
    numbers: list[list[tuple[int, int, bool]]] = [[] for _ in ears]
    for _ in range(40):
        if rng.random() < 0.2:
            stage.lose(rng.randrange(1, 70))
        for data, address in stage.send(stage.talker.talk()):
            at = [ear.address for ear in ears].index(address)
            heard = ears[at].hear(data)
            numbers[at].append((heard.sequence, heard.timestamp, heard.marker))
    assert numbers[0] == numbers[1] == numbers[2]
    assert len(numbers[0]) == 40


def test_a_copy_never_belongs_to_another_voice() -> None:
    stage = RedStage()
    listener = stage.red_listener(8, 2)
    stage.send(stage.talker.talk())
    stage.forwarder.assign(stage.slot, stage.other.source, stage.now)
    [blocks] = blocks_of(listener, stage.send(stage.other.talk(), sender=stage.other))
    assert blocks == [Block(0, TALK)]


def test_over_a_gap_only_what_was_there_comes_along() -> None:
    stage = RedStage()
    listener = stage.red_listener(8, 2)
    stage.send(stage.talker.talk(text(1)))
    stage.lose(1)
    [blocks] = blocks_of(listener, stage.send(stage.talker.talk(text(3))))
    assert blocks == [Block(1920, text(1)), Block(0, text(3))]


def test_a_late_packet_comes_alone() -> None:
    stage = RedStage()
    listener = stage.red_listener(8, 2)
    stage.send(stage.talker.talk())
    late = stage.talker.talk(text(1))
    stage.send(stage.talker.talk())
    assert blocks_of(listener, stage.send(late)) == [[Block(0, text(1))]]


@pytest.mark.parametrize(
    ("length", "copies"), [(600, 1), (636, 1), (637, 1), (638, 0), (1_023, 0), (1_275, 0)]
)
def test_a_red_packet_has_at_most_1280_bytes(length: int, copies: int) -> None:
    stage = RedStage()
    listener = stage.red_listener(8, 2)
    large = b"\x80" + bytes(length - 1)
    stage.send(stage.talker.talk(large))
    [blocks] = blocks_of(listener, stage.send(stage.talker.talk(large)))
    assert len(blocks) == 1 + copies


@pytest.mark.parametrize(("length", "copies"), [(1_023, 1), (1_024, 0)])
def test_a_copy_has_at_most_1023_bytes(length: int, copies: int) -> None:
    stage = RedStage()
    listener = stage.red_listener(8, 1)
    stage.send(stage.talker.talk(b"\x80" + bytes(length - 1)))
    [blocks] = blocks_of(listener, stage.send(stage.talker.talk(text(1))))
    assert len(blocks) == 1 + copies


def test_what_cannot_be_wrapped_is_a_loss_to_listeners_of_red_alone() -> None:
    stage = RedStage()
    listener = stage.red_listener(8, 1)
    full = b"\x7b\x02" + bytes(1_278)
    stage.send(stage.talker.talk())
    sent = stage.send(stage.talker.talk(full))
    assert [address for _, address in sent] == [stage.listener.address]
    sent = stage.send(stage.talker.talk())
    assert [len(blocks) for blocks in blocks_of(listener, sent)] == [1]


@pytest.mark.parametrize(("ticks", "copies"), [(5, 1), (6, 1), (17, 1), (18, 0)])
def test_a_copy_is_at_most_341_ms_old(ticks: int, copies: int) -> None:
    stage = RedStage()
    listener = stage.red_listener(8, 1)
    stage.send(stage.talker.talk())
    stage.talker.timestamp += 960 * (ticks - 1)
    stage.now += FRAME_S * (ticks - 1)
    [blocks] = blocks_of(listener, stage.send(stage.talker.talk(text(1))))
    assert len(blocks) == 1 + copies


def test_what_was_recovered_is_wrapped_as_well() -> None:
    stage = RedStage()
    listener = stage.red_listener(8, 2)
    stage.say(newest=text(1))
    stage.lose(1)
    data = build_red(PAYLOAD_TYPE, [Block(960, text(2)), Block(0, text(3))])
    sent = stage.send(stage.talker.talk(data, payload_type=RED))
    assert blocks_of(listener, sent) == [
        [Block(960, text(1)), Block(0, text(2))],
        [Block(1920, text(1)), Block(960, text(2)), Block(0, text(3))],
    ]


def test_a_listener_changes_its_form_without_a_gap() -> None:
    stage = RedStage()
    listener = Listener(8, stage.forwarder, red_payload_type=LISTENER_RED, payload_type=96)
    numbers = []
    for step in range(12):
        stream = stage.forwarder.slot_stream(stage.slot, step // 2 % 3)
        stage.forwarder.subscribe(listener.egress, stream)
        assert stage.forwarder.egress_stream(listener.egress) == stream
        sent = [d for d, a in stage.send(stage.talker.talk()) if a == listener.address]
        heard = listener.hear(sent[0])
        numbers.append((heard.sequence, heard.timestamp))
        assert heard.payload_type == (LISTENER_RED if step // 2 % 3 else 96)
        assert heard.marker is (step == 0)
    assert numbers == [(100 + step, 5_000 + 960 * step) for step in range(12)]


def test_listeners_hear_the_same_red_held_for_their_tick_or_not() -> None:
    """A tick of two voices in three forms, with another listener between the two."""
    heard = []
    for segmented in (False, True):
        stage = RedStage()
        forwarder = stage.forwarder
        audience = forwarder.add_audience()
        forwarder.set_segmented(audience, segmented)
        talkers = [Talker(20 + number, forwarder, red_payload_type=RED) for number in range(2)]
        slots = [forwarder.add_slot(audience) for _ in talkers]
        ears = [
            Listener(30 + number, forwarder, red_payload_type=LISTENER_RED) for number in range(6)
        ]
        for slot, talker in zip(slots, talkers, strict=True):
            forwarder.assign(slot, talker.source, stage.now)
        for number, ear in enumerate(ears):
            stream = forwarder.slot_stream(slots[number % 2], number % 3)
            forwarder.subscribe(ear.egress, stream)
        sent: list[tuple[bytes, bytes]] = []
        for step in range(20):
            for talker in talkers:
                if (step + talker.number) % 5 == 0:
                    talker.sequence += 1
                    talker.timestamp += 960
                else:
                    sent += stage.send(talker.talk(text(step)), sender=talker)
                    stage.now -= FRAME_S / 2
        forwarder.flush(stage.now + 1.0)
        sent += drained(forwarder)
        plain = []
        for ear in ears:
            own = [data for data, address in sent if address == ear.address]
            plain.append([unpadded(ear, data) for data in own])
        heard.append(plain)
    assert heard[0] == heard[1]
    assert all(len(one) >= 14 for one in heard[0])


def unpadded(listener: Listener, data: bytes) -> bytes:
    """A decrypted packet without padding."""
    plain = listener._down.unprotect(data)
    end = len(plain) - plain[-1] if plain[0] & 0x20 else len(plain)
    return bytes([plain[0] & ~0x20]) + plain[1:end]


def test_who_takes_no_red_is_not_subscribed_to_it(stage: Stage) -> None:
    with pytest.raises(ValueError):
        stage.forwarder.subscribe(stage.listener.egress, stage.forwarder.slot_stream(stage.slot, 1))
    assert stage.forwarder.egress_stream(stage.listener.egress) == stage.stream


@pytest.mark.parametrize("redundancy", [-1, 3])
def test_a_slot_has_three_streams(stage: Stage, redundancy: int) -> None:
    with pytest.raises(ValueError):
        stage.forwarder.slot_stream(stage.slot, redundancy)
    streams = {stage.forwarder.slot_stream(stage.slot, one) for one in range(3)}
    assert len(streams) == stage.forwarder.sizes()["streams"] == 3
    stage.forwarder.remove_slot(stage.slot)
    assert stage.forwarder.sizes()["streams"] == 0


def test_opus_and_red_have_different_payload_types(stage: Stage) -> None:
    with pytest.raises(ValueError):
        Talker(9, stage.forwarder, red_payload_type=PAYLOAD_TYPE)
    with pytest.raises(ValueError):
        Listener(9, stage.forwarder, red_payload_type=128)
