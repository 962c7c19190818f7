"""Packets made by the caller join a stream."""

from __future__ import annotations

import pytest

from tests.fast.peer import TALK, Listener, drained
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
