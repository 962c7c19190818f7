"""A small room in a forwarder, for the direct tests."""

from __future__ import annotations

from sfu.fast import Forwarder
from tests.fast.peer import Listener, Peer, Talker, passed

NOW = 50.0
FRAME_S = 0.02


class Stage:
    """A talker with a slot, a listener subscribed to it, and a talker without a slot."""

    def __init__(self) -> None:
        self.forwarder = Forwarder()
        self.now = NOW
        self.talker = Talker(1, self.forwarder)
        self.other = Talker(2, self.forwarder)
        self.listener = Listener(3, self.forwarder)
        self.slot = self.forwarder.add_slot()
        self.stream = self.forwarder.slot_stream(self.slot)
        self.forwarder.assign(self.slot, self.talker.source, NOW)
        self.forwarder.subscribe(self.listener.egress, self.stream)

    def send(self, *datagrams: bytes, sender: Peer | None = None) -> list[tuple[bytes, bytes]]:
        """The datagrams of one client, in one batch, 20 ms after what was before."""
        self.now += FRAME_S
        address = (sender or self.talker).address
        return passed(self.forwarder, self.now, *((data, address) for data in datagrams))

    def dropped(self) -> dict[str, int]:
        """The drop counters that are not zero."""
        prefix = "dropped_"
        counters = self.forwarder.counters().items()
        return {k.removeprefix(prefix): v for k, v in counters if v and k.startswith(prefix)}
