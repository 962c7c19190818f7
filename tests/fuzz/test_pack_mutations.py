"""Whatever a publisher calls Opus: packs hold the frames of its packets, and nothing else.

Two listeners, of packets and of packs, hear the same nonsense; every third of it is well formed as
far as its length goes. A listener that changes between the two hears each frame once.
"""

from __future__ import annotations

import random

import pytest

from tests.fast.oracle_packet import opus_ticks
from tests.fast.packs import PackStage, frames_of
from tests.fast.peer import Listener, drained
from tests.fast.stage import FRAME_S

PACKETS = 3_000
# One configuration of each frame length, with and without the stereo bit.
KINDS = tuple(number << 3 for number in (28, 29, 30, 31, 10, 11)) + (31 << 3 | 4,)


def nonsense(rng: random.Random) -> bytes:
    """A payload: Opus of any code, as a rule, with its bytes and lengths as they fall."""
    size = rng.choice((0, 1, 2, 3, 10, 40, 60, 253, 600, 1_279))
    if rng.random() < 0.2:
        return rng.randbytes(size)
    head = bytes([rng.choice(KINDS) | rng.choice((0, 0, 0, 1, 2, 3))])
    if head[0] & 3 == 3:
        frames = rng.choice((1, 2, 3, 4, 6, 8, 24, 48, rng.randrange(64)))
        head += bytes([frames | rng.choice((0, 0x40, 0x80, 0xC0))])
        head += bytes(rng.choice((0, 1, 5, 20, 251, 252, 255)) for _ in range(frames))
    return (head + rng.randbytes(size))[: rng.randint(1, 1_290)]


@pytest.mark.parametrize("seed", range(4))
def test_packs_hold_the_frames_of_their_packets(seed: int) -> None:
    rng = random.Random(seed)
    stage = PackStage()
    mover = Listener(9, stage.forwarder)
    stage.forwarder.subscribe(mover.egress, stage.stream)
    listeners = (stage.listener, stage.ear, mover)
    sent: list[tuple[bytes, bytes]] = []
    payload = b""
    for _ in range(PACKETS):
        if not payload or rng.random() < 0.5:
            payload = nonsense(rng)
        ticks = opus_ticks(payload) or 960
        data = stage.talker.talk(payload)
        stage.talker.timestamp += ticks - 960
        stage.now += ticks / 48_000 - FRAME_S
        if rng.random() < 0.2:
            stream = rng.choice((stage.stream, stage.packed))
            stage.forwarder.subscribe(mover.egress, stream)
        sent += stage.send(data)
    stage.forwarder.flush(stage.now + 1.0)
    sent += drained(stage.forwarder)
    heard = [[one.hear(data) for data, to in sent if to == one.address] for one in listeners]
    plain, packs, moved = ([f for f in frames_of(packets) if f.data] for packets in heard)
    assert len(plain) > PACKETS / 3
    assert len(heard[1]) < len(heard[0]) * 0.9
    assert packs == plain
    assert moved == plain
    assert all(opus_ticks(packet.payload) for packets in heard for packet in packets)
