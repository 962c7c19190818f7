"""Packets made by the caller join a stream."""

from __future__ import annotations

import pytest

from tests.fast.peer import FRAME_TICKS, TALK, Listener, drained
from tests.fast.stage import FRAME_S, NOW, Stage


def test_a_pushed_packet_continues_the_stream(stage: Stage) -> None:
    """It takes the next number at the next 20 ms; the holder goes on after it."""
    heard = []
    for step in range(6):
        if step % 2:
            stage.now += FRAME_S
            stage.forwarder.push(stage.stream, TALK, stage.now, csrc=55, level=40)
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
    stage.forwarder.push(stage.stream, TALK, NOW, csrc=5, level=33)
    sent = dict((address, data) for data, address in drained(stage.forwarder))
    assert listener.hear(sent[listener.address]).elements == ((6, bytes([33])),)
