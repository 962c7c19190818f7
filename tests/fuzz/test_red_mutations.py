"""Whatever an authentic publisher sends as RED: nothing is read beyond it, nobody else notices.

A healthy talker and its listener share the forwarder with a client whose RED is damaged behind the
cipher. What comes of each damaged packet is what a plain reading of RFC 2198 says.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from sfu.fast import Batch, Forwarder
from tests.fast.oracle_packet import opus_ticks
from tests.fast.oracle_red import Block, build_red, parse_red
from tests.fast.peer import FRAME_TICKS, PAYLOAD_TYPE, TALK, Heard, Listener, Talker, drained
from tests.fuzz.mutations import mutations, truncations

RED = 63
FRAME = 120  # of the broken packets: a batch of them, losses and all, is due within a second
BATCH = 40
RED_BYTES_MAX = 1_300  # what the client's session takes


def text(number: int) -> bytes:
    """An Opus packet that can be told from others."""
    return b"\x78" + bytes([number]) * (20 + number)


SAMPLES = [
    build_red(PAYLOAD_TYPE, [*(Block(FRAME * back, text(back)) for back in backs), Block(0, TALK)])
    for backs in ((), (1,), (2, 1), (3, 2, 1), (4, 3, 2, 1))
] + [
    build_red(PAYLOAD_TYPE, [Block(16_383, b"\x80" + bytes(1_022)), Block(0, text(0))]),
    build_red(PAYLOAD_TYPE, [Block(FRAME, b""), Block(0, b"\x7b\x83\x0a\x0c" + bytes(30))]),
]


class Room:
    """A healthy pair, and a client whose RED is broken, with a listener for each form."""

    def __init__(self) -> None:
        self.forwarder = Forwarder()
        self.now = 5.0
        self.rng = random.Random(22)
        self.talker = Talker(1, self.forwarder)
        self.listener = Listener(2, self.forwarder)
        self.nuisance = Talker(3, self.forwarder, red_payload_type=RED)
        self.victims = [
            Listener(number, self.forwarder, red_payload_type=RED) for number in (4, 5, 6)
        ]
        self.broken = 0
        for talker, listeners in ((self.talker, [self.listener]), (self.nuisance, self.victims)):
            slot = self.forwarder.add_slot()
            self.forwarder.assign(slot, talker.source, self.now)
            for redundancy, listener in enumerate(listeners):
                stream = self.forwarder.slot_stream(slot, redundancy)
                self.forwarder.subscribe(listener.egress, stream)
        self.inbox, self.outbox = Batch(), Batch(7, 2 * 2_048)

    def suffer(self, payloads: list[bytes]) -> None:
        """A batch of broken packets around a good one; some packets before them are lost."""
        self.now += 1.0  # the rate limit is not what is tested here
        self.inbox.clear()
        # The clock that every packet is due by, so that losses show as gaps and not as pauses.
        self.nuisance.timestamp = round(self.now * 48_000) - BATCH * FRAME_TICKS
        expected = []
        for number, payload in enumerate(payloads):
            if number == len(payloads) // 2:
                assert self.inbox.append(self.talker.talk(), self.talker.address)
            lost = self.rng.choice((0, 0, 1, 2, 4, 5))
            self.nuisance.sequence += lost
            self.nuisance.timestamp += FRAME * lost
            data = self.nuisance.talk(payload, payload_type=RED)
            self.nuisance.timestamp -= FRAME_TICKS - FRAME
            assert self.inbox.append(data, self.nuisance.address)
            blocks = parse_red(payload, PAYLOAD_TYPE)
            self.broken += blocks is None
            if blocks is not None and opus_ticks(blocks[-1].payload):
                expected.append(blocks[-1].payload)
        self.forwarder.receive(self.inbox, self.now)
        sent = drained(self.forwarder, self.outbox)
        [good] = [data for data, address in sent if address == self.listener.address]
        assert self.listener.hear(good).payload == TALK
        assert self.forwarder.counters()["dropped_red"] == self.broken
        plain, *wrapped = [self._heard(victim, sent) for victim in self.victims]
        newest = [packet.payload for packet in plain]
        assert not [payload for payload in expected if payload not in newest]
        for packets in wrapped:
            for packet in packets:
                blocks = parse_red(packet.payload, PAYLOAD_TYPE)
                assert blocks is not None and blocks[-1].payload in newest

    @staticmethod
    def _heard(victim: Listener, sent: list[tuple[bytes, bytes]]) -> list[Heard]:
        return [victim.hear(data) for data, address in sent if address == victim.address]

    def suffer_all(self, payloads: Iterable[bytes]) -> None:
        """All of them, in batches."""
        batch: list[bytes] = []
        for payload in payloads:
            batch.append(payload[:RED_BYTES_MAX])
            if len(batch) == BATCH:
                self.suffer(batch)
                batch = []
        if batch:
            self.suffer(batch)


def test_every_truncation_of_red_is_survived() -> None:
    room = Room()
    room.suffer_all(truncations(SAMPLES))
    assert room.broken > 100


def test_ten_thousand_mutations_of_red_are_survived() -> None:
    """Seeded, so that a failure repeats."""
    room = Room()
    room.suffer_all(mutations(SAMPLES, seed="red"))
    counters = room.forwarder.counters()
    assert room.broken > 500
    assert counters["recovered"] > 100
    assert counters["forwarded"] > 5_000
    assert counters["protect_errors"] == 0
