"""A transport that goes on as another participant: numbers of a new room, everything else kept."""

from __future__ import annotations

import pytest

from sfu.fast import Forwarder
from tests.fast.peer import FRAME_TICKS, TALK, Heard, Listener, Talker, passed
from tests.fast.stage import Stage

CSRC = 77
GROUP = 900


def leave(stage: Stage) -> None:
    """The talker and the listener are taken off whatever they had."""
    stage.forwarder.assign(stage.slot, -1, stage.now)
    stage.forwarder.set_audible(stage.talker.source, False)
    stage.forwarder.subscribe(stage.listener.egress, -1)


def other_room(forwarder: Forwarder) -> tuple[int, int]:
    """A slot elsewhere and its stream."""
    slot = forwarder.add_slot()
    return slot, forwarder.slot_stream(slot)


def heard_by(listener: Listener, sent: list[tuple[bytes, bytes]]) -> list[Heard]:
    """What this listener gets of it."""
    return [listener.hear(data) for data, address in sent if address == listener.address]


def test_a_talker_is_heard_elsewhere_under_its_new_number_and_goes_on_counting() -> None:
    stage = Stage()
    forwarder, talker = stage.forwarder, stage.talker
    talker.sequence = 0xFFFE  # the roll-over comes after the change
    stage.send(talker.talk())
    leave(stage)
    forwarder.reidentify(talker.transport, csrc=CSRC, echo_group=GROUP)
    slot, stream = other_room(forwarder)
    stranger = Listener(9, forwarder)
    forwarder.subscribe(stranger.egress, stream)
    forwarder.set_audible(talker.source, True)
    forwarder.assign(slot, talker.source, stage.now)
    heard = [heard_by(stranger, stage.send(talker.talk()))[0] for _ in range(4)]
    assert {packet.csrcs for packet in heard} == {(CSRC,)}
    assert [packet.sequence for packet in heard] == [100, 101, 102, 103]
    assert stage.dropped() == {}
    stats = forwarder.source_stats(talker.source)
    assert (stats.packets, stats.expected, stats.highest_sequence) == (5, 5, 0x10002)


def test_a_listener_goes_on_with_its_numbers_on_streams_of_the_new_room() -> None:
    stage = Stage()
    forwarder = stage.forwarder
    before = heard_by(stage.listener, stage.send(stage.talker.talk()))[0]
    leave(stage)
    forwarder.reidentify(stage.listener.transport, csrc=CSRC, echo_group=GROUP)
    slot, stream = other_room(forwarder)
    forwarder.assign(slot, stage.other.source, stage.now)
    forwarder.subscribe(stage.listener.egress, stream)
    stage.now += 0.04
    sent = stage.send(stage.other.talk(), sender=stage.other)
    after = heard_by(stage.listener, sent)[0]
    assert after.sequence == before.sequence + 1
    assert after.timestamp == before.timestamp + 3 * FRAME_TICKS
    assert after.marker and after.csrcs == (2,)


def test_echo_groups_are_those_of_the_new_room() -> None:
    """Who shared a group before is heard; who shares the new one is not."""
    forwarder = Forwarder()
    talker, one, two = Talker(1, forwarder), Listener(2, forwarder), Listener(3, forwarder)
    slot, stream = other_room(forwarder)
    forwarder.reidentify(talker.transport, csrc=CSRC, echo_group=GROUP)
    forwarder.reidentify(one.transport, csrc=CSRC + 1, echo_group=1)  # was the talker's
    forwarder.reidentify(two.transport, csrc=CSRC + 2, echo_group=GROUP)
    forwarder.assign(slot, talker.source, 50.0)
    forwarder.subscribe(one.egress, stream)
    forwarder.subscribe(two.egress, stream)
    sent = passed(forwarder, 50.0, (talker.talk(), talker.address))
    assert [address for _, address in sent] == [one.address]


def test_what_it_asked_before_is_no_challenge_any_more() -> None:
    stage = Stage()
    forwarder = stage.forwarder
    stage.send(stage.other.talk(), sender=stage.other)
    (challenge,) = forwarder.challenges()
    forwarder.set_audible(stage.other.source, False)
    forwarder.reidentify(stage.other.transport, csrc=CSRC, echo_group=GROUP)
    forwarder.set_audible(stage.other.source, True)
    slot, _ = other_room(forwarder)
    forwarder.assign(slot, stage.other.source, stage.now)
    with pytest.raises(KeyError):
        forwarder.accept(challenge.handle)


def test_whoever_is_still_in_a_room_is_refused_and_nothing_changes() -> None:
    stage = Stage()
    forwarder = stage.forwarder
    with pytest.raises(ValueError, match="holds slot"):
        forwarder.reidentify(stage.talker.transport, csrc=CSRC, echo_group=GROUP)
    with pytest.raises(ValueError, match="carries stream"):
        forwarder.reidentify(stage.listener.transport, csrc=CSRC, echo_group=GROUP)
    with pytest.raises(ValueError, match="negative"):
        forwarder.reidentify(stage.other.transport, csrc=CSRC, echo_group=-1)
    with pytest.raises(KeyError):
        forwarder.reidentify(99, csrc=CSRC, echo_group=GROUP)
    heard = heard_by(stage.listener, stage.send(stage.talker.talk()))
    assert [(packet.csrcs, packet.payload) for packet in heard] == [((1,), TALK)]
