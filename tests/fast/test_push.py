"""Packets made by the caller join a stream."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fast.oracle_red import parse_red
from tests.fast.peer import FRAME_TICKS, TAG_BYTES, TALK, Heard, Listener, drained
from tests.fast.red_stage import RedStage, text
from tests.fast.stage import FRAME_S, NOW, Stage


def test_a_pushed_packet_continues_the_stream(stage: Stage) -> None:
    """It takes the next number at the next 20 ms; the holder goes on after it."""
    heard = []
    for step in range(6):
        if step % 2:
            stage.now += FRAME_S
            stage.forwarder.push(stage.stream, TALK, stage.now, csrcs=(55,), level=40)
            sent = drained(stage.forwarder)
        else:
            sent = stage.send(stage.talker.talk())
        heard += [stage.listener.hear(data) for data, _ in sent]
    assert [packet.sequence for packet in heard] == list(range(100, 106))
    assert [packet.timestamp for packet in heard] == [5_000 + 960 * step for step in range(6)]
    assert [packet.csrcs[0] for packet in heard] == [1, 55] * 3


@pytest.mark.parametrize("phase_ms", range(0, 20, 3))
@pytest.mark.parametrize("wait_ms", range(0, 20, 3))
def test_no_voice_waits_for_a_packet_that_yields(phase_ms: int, wait_ms: int) -> None:
    """Whenever that was pushed, and whenever the voice comes after it."""
    stage = Stage()
    sent = stage.send(stage.talker.talk())
    stage.now += phase_ms / 1_000
    pushed = []
    for _ in range(3):
        stage.now += FRAME_S
        pushed.append(stage.forwarder.push(stage.stream, TALK, stage.now, yields=True))
        sent += drained(stage.forwarder)
    stage.now += wait_ms / 1_000 - FRAME_S
    sent += stage.send(stage.talker.talk())
    assert stage.dropped() == {}
    heard = [stage.listener.hear(data) for data, _ in sent]
    assert len(heard) == 2 + sum(pushed)
    times = [packet.timestamp for packet in heard]
    steps = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert min(steps) >= FRAME_TICKS


def test_what_yields_is_not_put_ahead_of_the_clock(stage: Stage) -> None:
    """Nor on a packet that still lasts."""
    (first,) = (stage.listener.hear(data) for data, _ in stage.send(stage.talker.talk()))
    for wait_s, taken in ((0.0, False), (0.019, False), (0.0011, True), (0.019, False)):
        stage.now += wait_s
        assert stage.forwarder.push(stage.stream, TALK, stage.now, yields=True) is taken
        for data, _ in drained(stage.forwarder):
            assert stage.listener.hear(data).timestamp == first.timestamp + FRAME_TICKS


def test_what_is_pushed_must_be_opus(stage: Stage) -> None:
    """A mistake of the caller, told at once."""
    for payload in (b"", b"\x7b\x00", b"\x7b\x02" + bytes(1_280)):
        with pytest.raises(ValueError):
            stage.forwarder.push(stage.stream, payload, NOW)


def test_level_of_a_push_is_told_to_listeners(stage: Stage) -> None:
    """Without the voice bit."""
    listener = Listener(8, stage.forwarder, level_extension=6)
    stage.forwarder.subscribe(listener.egress, stage.stream)
    stage.forwarder.push(stage.stream, TALK, NOW, csrcs=(5,), level=33)
    sent = dict((address, data) for data, address in drained(stage.forwarder))
    assert listener.hear(sent[listener.address]).elements == ((6, bytes([33])),)


def _pushed(stage: Stage, listener: Listener, **settings: Any) -> Heard | None:
    """What a listener gets of a push; None when it is refused."""
    if not stage.forwarder.push(stage.stream, TALK, stage.now, **settings):
        assert drained(stage.forwarder) == []
        return None
    sent = dict((address, data) for data, address in drained(stage.forwarder))
    return listener.hear(sent[listener.address])


@pytest.mark.parametrize("csrcs", [(), (7,), (7, 8), (7, 8, 9)])
def test_a_pushed_packet_names_those_whose_voices_are_in_it(csrcs: tuple[int, ...]) -> None:
    stage = Stage()
    listener = Listener(8, stage.forwarder, level_extension=6)
    stage.forwarder.subscribe(listener.egress, stage.stream)
    heard = _pushed(stage, listener, csrcs=csrcs, level=20)
    assert heard is not None
    assert (heard.csrcs, heard.elements, heard.payload) == (csrcs, ((6, b"\x14"),), TALK)


def test_a_packet_names_at_most_three(stage: Stage) -> None:
    with pytest.raises(ValueError):
        stage.forwarder.push(stage.stream, TALK, NOW, csrcs=(1, 2, 3, 4))


@pytest.mark.parametrize("marker", [False, True])
def test_a_pushed_packet_has_the_marker_that_the_caller_wants(stage: Stage, marker: bool) -> None:
    heard = _pushed(stage, stage.listener, marker=marker)
    assert heard is not None
    assert heard.marker is marker


def test_packets_with_a_time_keep_it_whenever_they_are_pushed(stage: Stage) -> None:
    """A mixer is late now and then; what it makes lies evenly on the room clock all the same."""
    times = []
    for step, late_s in enumerate((0.08, 0.1, 0.19, 0.13, 0.12, 0.08)):
        stage.now = NOW + 0.02 * step + late_s
        heard = _pushed(stage, stage.listener, at=NOW + 0.02 * step)
        assert heard is not None
        times.append(heard.timestamp)
    assert times == [5_000 + 960 * step for step in range(6)]


def test_a_time_need_not_be_a_multiple_of_20_ms_after_the_last_packet(stage: Stage) -> None:
    first = _pushed(stage, stage.listener, at=NOW)
    stage.now += 1.0
    second = _pushed(stage, stage.listener, at=NOW + 0.9305)
    assert first is not None and second is not None
    assert second.timestamp - first.timestamp == round(0.9305 * 48_000)


@pytest.mark.parametrize(("overlap_ms", "step"), [(0, 960), (1, 960), (20, 960), (21, None)])
def test_a_time_within_the_last_packet_moves_to_its_end(overlap_ms: int, step: int | None) -> None:
    """By 20 ms at most: beyond that it is not said."""
    stage = Stage()
    first = _pushed(stage, stage.listener, at=NOW)
    second = _pushed(stage, stage.listener, at=NOW + 0.02 - overlap_ms / 1_000)
    assert first is not None
    assert (second.timestamp - first.timestamp if second else None) == step


@pytest.mark.parametrize(
    ("age_s", "is_taken"), [(0.5, True), (0.501, False), (-0.02, True), (-0.021, False)]
)
def test_a_time_is_near_the_clock(stage: Stage, age_s: float, is_taken: bool) -> None:
    assert (_pushed(stage, stage.listener, at=NOW - age_s) is not None) is is_taken


def test_what_yields_has_no_time_of_its_own(stage: Stage) -> None:
    with pytest.raises(ValueError):
        stage.forwarder.push(stage.stream, TALK, NOW, at=NOW, yields=True)


def test_packets_of_a_lean_slot_have_12_bytes_of_header(stage: Stage) -> None:
    """Voices and pushed packets, sent once and again, whatever the listener negotiated."""
    forwarder = stage.forwarder
    slot = forwarder.add_slot(lean=True)
    listener = Listener(
        8, forwarder, level_extension=1, mid_extension=4, mid=b"audio", repeats=True
    )
    forwarder.subscribe(listener.egress, forwarder.slot_stream(slot))
    forwarder.assign(stage.slot, -1, NOW)
    forwarder.assign(slot, stage.talker.source, NOW)
    sent = stage.send(stage.talker.talk())
    stage.now += FRAME_S
    forwarder.push(forwarder.slot_stream(slot), TALK, stage.now, csrcs=(1, 2))
    sent += drained(forwarder)
    assert [len(data) for data, _ in sent] == [12 + len(TALK) + TAG_BYTES] * 2
    heard = [listener.hear(data) for data, _ in sent]
    assert [(packet.csrcs, packet.elements, packet.payload) for packet in heard] == [
        ((), (), TALK)
    ] * 2
    for _ in range(8):
        stage.send(stage.talker.talk())
    assert forwarder.resend(listener.egress, [100, 101], stage.now) == 2
    assert drained(forwarder) == sent


def test_a_lean_packet_of_a_stamped_transport_carries_its_number_alone(stage: Stage) -> None:
    forwarder = stage.forwarder
    slot = forwarder.add_slot(lean=True)
    listener = Listener(8, forwarder, level_extension=1, transport_cc_extension=5)
    forwarder.subscribe(listener.egress, forwarder.slot_stream(slot))
    forwarder.set_stamped(listener.transport, True)
    forwarder.push(forwarder.slot_stream(slot), TALK, NOW, csrcs=(1, 2))
    [(data, _)] = drained(forwarder)
    assert len(data) == 12 + 8 + len(TALK) + TAG_BYTES
    heard = listener.hear(data)
    assert (heard.csrcs, heard.elements) == ((), ((5, bytes(2)),))


def test_earlier_pushed_packets_go_with_the_next_in_red_whoever_is_in_them() -> None:
    """A mix is one voice, its speakers change."""
    stage = RedStage()
    listener = stage.red_listener(8, 2)
    for step in range(4):
        stage.now += FRAME_S
        stage.forwarder.push(stage.stream, text(step), stage.now, at=stage.now - 0.1, csrcs=(step,))
        sent = {address: data for data, address in drained(stage.forwarder)}
        blocks = parse_red(listener.hear(sent[listener.address]).payload, 96)
        assert blocks is not None
        assert [block.payload for block in blocks] == [
            text(one) for one in range(max(0, step - 2), step + 1)
        ]
