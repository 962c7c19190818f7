"""Whoever decodes gets the packets of a slot as they are placed."""

from __future__ import annotations

import pytest

from sfu.fast import Tapped
from tests.fast.oracle_red import Block, build_red
from tests.fast.peer import PAYLOAD_TYPE, TALK, batch_of, drained
from tests.fast.red_stage import RED, RedStage, text
from tests.fast.stage import FRAME_S, NOW, Stage


def test_taken_tells_of_each_packet_on_a_tapped_slot(stage: Stage) -> None:
    forwarder = stage.forwarder
    forwarder.tap(stage.slot, True)
    stage.send(stage.talker.talk(text(1), level=33))
    stage.send(stage.talker.talk(text(2), extension=b""))
    first, second = forwarder.taken()
    assert first == Tapped(
        stage.slot,
        stage.talker.source,
        csrc=stage.talker.number,
        index=1,
        time_ticks=round((NOW + FRAME_S) * 48_000),
        ticks=960,
        level=33,
        marker=True,
        payload=text(1),
        at=NOW + FRAME_S,
    )
    assert (second.index - first.index, second.time_ticks - first.time_ticks) == (1, 960)
    assert (second.payload, second.marker, second.level) == (text(2), False, -1)
    assert forwarder.taken() == []


def test_nothing_is_told_of_a_slot_without_a_tap(stage: Stage) -> None:
    stage.send(stage.talker.talk())
    stage.forwarder.tap(stage.slot, True)
    stage.send(stage.talker.talk())
    stage.forwarder.tap(stage.slot, False)
    stage.send(stage.talker.talk())
    assert [one.index for one in stage.forwarder.taken()] == [2]


def test_late_recovered_and_pushed_packets_are_told_too() -> None:
    stage = RedStage()
    stage.forwarder.tap(stage.slot, True)
    stage.say(newest=text(0))
    stage.talker.talk()
    stage.say((960, text(1)), newest=text(2))
    late = stage.talker.talk(text(3))
    stage.say(newest=text(4))
    stage.send(late)
    stage.now += FRAME_S
    assert stage.forwarder.push(stage.stream, text(5), stage.now, csrcs=(9, 8), level=50)
    drained(stage.forwarder)
    told = stage.forwarder.taken()
    assert [one.payload[1] for one in told] == [0, 1, 2, 4, 3, 5]
    assert [one.index - told[0].index for one in told] == [0, 1, 2, 4, 3, 5]
    pushed = told[-1]
    assert (pushed.source, pushed.csrc, pushed.level) == (-1, 9, 50)
    assert {one.source for one in told[:-1]} == {stage.talker.source}


def test_1024_packets_are_told_at_once_and_the_rest_counted(stage: Stage) -> None:
    forwarder = stage.forwarder
    forwarder.tap(stage.slot, True)
    for _ in range(1_030):
        stage.send(stage.talker.talk())
    assert len(forwarder.taken()) == 1_024
    assert forwarder.counters()["taps_dropped"] == 6
    stage.send(stage.talker.talk())
    assert len(forwarder.taken()) == 1


def test_a_slot_that_goes_leaves_what_was_taken(stage: Stage) -> None:
    stage.forwarder.tap(stage.slot, True)
    stage.send(stage.talker.talk())
    stage.forwarder.remove_slot(stage.slot)
    assert [one.payload for one in stage.forwarder.taken()] == [TALK]
    stage.forwarder.assign(stage.forwarder.add_slot(), stage.talker.source, stage.now)
    stage.send(stage.talker.talk())
    assert stage.forwarder.taken() == [], "a new slot is not tapped"


def test_packets_are_taken_between_inputs(stage: Stage) -> None:
    stage.forwarder.receive(batch_of((stage.talker.talk(), stage.talker.address)), NOW)
    with pytest.raises(RuntimeError):
        stage.forwarder.taken()


def test_a_publisher_of_red_is_told_without_its_wrapping() -> None:
    stage = RedStage()
    stage.forwarder.tap(stage.slot, True)
    data = build_red(PAYLOAD_TYPE, [Block(960, text(1)), Block(0, text(2))])
    stage.send(stage.talker.talk(data, payload_type=RED))
    assert [one.payload for one in stage.forwarder.taken()] == [text(2)]
