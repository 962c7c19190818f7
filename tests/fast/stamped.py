"""A listener whose packets carry transport-wide numbers, for the direct tests."""

from __future__ import annotations

from typing import Any

from sfu.fast import Forwarder
from tests.fast.peer import PAYLOAD_TYPE, TALK, Listener, Talker, passed
from tests.fast.stage import NOW

CC_ID = 5


class Room:
    """Talkers with a slot each, and one listener whose tracks carry them all."""

    def __init__(self, talkers: int = 3, *, segmented: bool = False, **settings: Any) -> None:
        self.forwarder = Forwarder()
        self.now = NOW
        self.audience = self.forwarder.add_audience()
        self.forwarder.set_segmented(self.audience, segmented)
        self.talkers = [Talker(number + 1, self.forwarder) for number in range(talkers)]
        settings = {"transport_cc_extension": CC_ID, "repeats": True} | settings
        self.listener = Listener(9, self.forwarder, **settings)
        self.egresses = [self.listener.egress]
        for line in range(1, talkers):
            self.egresses.append(
                self.forwarder.add_egress(
                    self.listener.transport,
                    ssrc=0xA000 + line,
                    payload_type=PAYLOAD_TYPE,
                    first_sequence=7,
                    first_timestamp=0,
                    echo_group=9,
                    **settings,
                )
            )
        self.slots = [self.forwarder.add_slot(self.audience) for _ in self.talkers]
        for talker, slot, egress in zip(self.talkers, self.slots, self.egresses, strict=True):
            self.forwarder.assign(slot, talker.source, NOW)
            self.forwarder.subscribe(egress, self.forwarder.slot_stream(slot))

    def stamp(self, on: bool = True) -> None:
        """From now on the listener's packets have numbers, or not."""
        self.forwarder.set_stamped(self.listener.transport, on)

    def tick(self, *payloads: bytes) -> list[bytes]:
        """20 ms: each talker says something; what the listener is sent."""
        self.now += 0.02
        said = zip(self.talkers, payloads or [TALK] * len(self.talkers), strict=True)
        datagrams = [(talker.talk(payload), talker.address) for talker, payload in said]
        return [data for data, _ in passed(self.forwarder, self.now, *datagrams)]
