"""RED from publishers is taken apart, and what it saves is heard."""

from __future__ import annotations

import pytest

from tests.fast.oracle_red import Block, build_red
from tests.fast.peer import PAYLOAD_TYPE, TALK, Listener, drained, rtp
from tests.fast.red_stage import RED, RedStage, text
from tests.fast.stage import Stage


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
