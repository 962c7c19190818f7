"""A small room whose talker may send RED."""

from __future__ import annotations

from tests.fast.oracle_red import Block, build_red
from tests.fast.peer import PAYLOAD_TYPE, TALK, Heard, Listener, Talker
from tests.fast.stage import FRAME_S, Stage

RED = 63
LISTENER_RED = 64


def text(number: int, length: int = 40) -> bytes:
    """A 20 ms Opus packet that can be told from others."""
    return b"\x78" + bytes([number]) * length


class RedStage(Stage):
    """The talker of the stage may send RED; its listener takes plain packets."""

    def __init__(self) -> None:
        super().__init__()
        self.forwarder.assign(self.slot, -1, self.now)
        self.talker = Talker(7, self.forwarder, red_payload_type=RED)
        self.forwarder.assign(self.slot, self.talker.source, self.now)

    def say(self, *copies: tuple[int, bytes], newest: bytes = TALK) -> list[Heard]:
        """One RED packet with `copies` (ticks before it, payload); what the listener hears."""
        data = build_red(PAYLOAD_TYPE, [*(Block(*copy) for copy in copies), Block(0, newest)])
        return self.heard(self.send(self.talker.talk(data, payload_type=RED)))

    def lose(self, packets: int) -> None:
        """So many packets of the talker never come."""
        self.talker.sequence += packets
        self.talker.timestamp += 960 * packets
        self.now += FRAME_S * packets

    def heard(self, sent: list[tuple[bytes, bytes]]) -> list[Heard]:
        """What the plain listener gets."""
        address = self.listener.address
        return [self.listener.hear(data) for data, to in sent if to == address]

    def red_listener(self, number: int, redundancy: int, **settings: int) -> Listener:
        """A client that carries a RED stream."""
        one = Listener(
            number, self.forwarder, red_payload_type=LISTENER_RED, payload_type=96, **settings
        )
        self.forwarder.subscribe(one.egress, self.forwarder.slot_stream(self.slot, redundancy))
        return one
