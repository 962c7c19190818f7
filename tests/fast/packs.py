"""A small room whose listeners may hear packs; what each of them hears, frame by frame."""

from __future__ import annotations

from typing import NamedTuple

from tests.fast.oracle_pack import Opus, take_apart
from tests.fast.peer import Heard, Listener, drained
from tests.fast.red_stage import LISTENER_RED, RedStage


class Frame(NamedTuple):
    """An Opus frame where a listener hears it."""

    timestamp: int
    data: bytes


class PackStage(RedStage):
    """The talker of the stage is heard plain by one listener, and in packs by another."""

    def __init__(self) -> None:
        super().__init__()
        self.packed = self.forwarder.slot_stream(self.slot, packed=True)
        self.ear = Listener(8, self.forwarder, level_extension=6, repeats=True)
        self.forwarder.subscribe(self.ear.egress, self.packed)

    def packs(self, sent: list[tuple[bytes, bytes]]) -> list[Heard]:
        """What the listener of packs gets of it."""
        return [self.ear.hear(data) for data, to in sent if to == self.ear.address]

    def say_packed(self, *payloads: bytes, step_s: float = 0.0) -> list[Heard]:
        """One plain packet for each payload; what the listener of packs gets."""
        heard = []
        for payload in payloads:
            heard += self.packs(self.send(self.talker.talk(payload)))
            self.now += step_s
        return heard

    def flush(self, now: float) -> list[Heard]:
        """What leaves when time passes."""
        self.now = now
        self.forwarder.flush(now)
        return self.packs(drained(self.forwarder))


def frames_of(heard: list[Heard]) -> list[Frame]:
    """All frames of some packets with their times; missing ones are empty."""
    found = []
    for packet in heard:
        opus: Opus = take_apart(plain_of(packet))
        found += [
            Frame((packet.timestamp + at * opus.frame_ticks) % 2**32, frame)
            for at, frame in enumerate(opus.frames)
        ]
    return found


def plain_of(packet: Heard) -> bytes:
    """The newest block of a packet that may be RED."""
    if packet.payload_type != LISTENER_RED:
        return packet.payload
    at, skipped = 0, 0
    while packet.payload[at] & 0x80:
        skipped += int.from_bytes(packet.payload[at + 1 : at + 4], "big") & 0x3FF
        at += 4
    return packet.payload[at + 1 + skipped :]
