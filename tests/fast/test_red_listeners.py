"""Listeners get a slot in RED, as they ask."""

from __future__ import annotations

import random

import pytest

from tests.fast.oracle_red import Block, build_red, parse_red
from tests.fast.peer import PAYLOAD_TYPE, TALK, Listener, Talker, drained, take_apart
from tests.fast.red_stage import LISTENER_RED, RED, RedStage, text
from tests.fast.stage import FRAME_S, Stage


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


def test_what_cannot_be_wrapped_comes_plain() -> None:
    stage = RedStage()
    listener = stage.red_listener(8, 1)
    full = b"\x7b\x02" + bytes(1_278)
    stage.send(stage.talker.talk())
    sent = stage.send(stage.talker.talk(full))
    [heard] = [listener.hear(data) for data, address in sent if address == listener.address]
    assert (heard.payload_type, heard.payload) == (96, full)
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


@pytest.mark.parametrize("forms", [(0, 1), (1, 0), (1, 2), (2, 0), (0, 1, 2), (0, 1, 0)])
def test_who_changes_form_while_a_tick_is_held_misses_and_repeats_nothing(
    forms: tuple[int, ...],
) -> None:
    stage = RedStage()
    forwarder = stage.forwarder
    audience = forwarder.add_audience()
    slots = [forwarder.add_slot(audience) for _ in range(2)]
    forwarder.assign(stage.slot, -1, stage.now)
    for slot, talker in zip(slots, (stage.talker, stage.other), strict=True):
        forwarder.assign(slot, talker.source, stage.now)
    listener = Listener(8, forwarder, red_payload_type=LISTENER_RED, payload_type=96)
    forwarder.subscribe(listener.egress, forwarder.slot_stream(slots[0], forms[0]))
    stage.send(stage.talker.talk(text(0)))
    stage.send(stage.other.talk(), sender=stage.other)  # from now on ticks wait for both
    forwarder.set_segmented(audience, True)
    sent = []
    for number, form in enumerate(forms, 1):
        forwarder.subscribe(listener.egress, forwarder.slot_stream(slots[0], form))
        sent += stage.send(stage.talker.talk(text(number)))
        stage.now -= 0.019  # all within the tick
    assert sent == []
    forwarder.subscribe(listener.egress, forwarder.slot_stream(slots[0], forms[-1]))
    forwarder.flush(stage.now + 1.0)
    own = [unpadded(listener, data) for data, to in drained(forwarder) if to == listener.address]
    assert [take_apart(data).sequence for data in own] == [101 + n for n in range(len(forms))]
    assert [data[-40:] for data in own] == [bytes([n]) * 40 for n in range(1, 1 + len(forms))]


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
