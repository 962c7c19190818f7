"""Header extensions: a listener gets those it negotiated, under its own ids, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from control.types import Role
from sfu.fast import Forwarder
from sfu.stage import Admission
from sfu.transport.answer import negotiate
from sfu.transport.offer import parse_offer
from sfu.worker.rows import add_egresses, add_source
from tests.fast.peer import Peer, extension_block, passed, rtp
from tests.transport.peer import FINGERPRINT, offer_text, seeded
from tests.worker.harness import CANDIDATE

NOW = 10.0
LINES = 3
ONE_BYTE, TWO_BYTE = 0xBEDE, 0x1000
CHROMIUM = offer_text("chromium_4_audio")


class Guest(Peer):
    """A client with the rows that its offer is worth."""

    def __init__(self, number: int, forwarder: Forwarder, offer: str) -> None:
        super().__init__(number)
        negotiation = negotiate(
            parse_offer(offer),
            tracks=LINES,
            candidates=[CANDIDATE],
            fingerprint=FINGERPRINT,
            entropy=seeded(str(number)),
        )
        admission = Admission(
            participant=str(number),
            number=number,
            generation=1,
            echo_group=number,
            echo_group_name=None,
            role=Role.SPEAKER,
            replaces=False,
        )
        row = self.join(forwarder)
        self.source = add_source(forwarder, row, admission, negotiation)
        self.egresses = add_egresses(forwarder, row, admission, negotiation, seeded("numbers"))
        self.media = negotiation.media[0]


# What each client calls level and MID, and the form that the larger id needs (RFC 8285 4.3).
MAPS: dict[str, tuple[str, dict[str, int], int]] = {
    "chromium": (CHROMIUM, {"level": 1, "mid": 4}, ONE_BYTE),
    "firefox": (offer_text("firefox_4_audio"), {"level": 1, "mid": 3}, ONE_BYTE),
    "aiortc": (offer_text("aiortc_4_audio"), {"level": 2, "mid": 1}, ONE_BYTE),
    "swapped": (
        CHROMIUM.replace("a=extmap:1 ", "a=extmap:x ")
        .replace("a=extmap:4 ", "a=extmap:1 ")
        .replace("a=extmap:x ", "a=extmap:4 "),
        {"level": 4, "mid": 1},
        ONE_BYTE,
    ),
    "large": (CHROMIUM.replace("a=extmap:4 ", "a=extmap:200 "), {"level": 1, "mid": 200}, TWO_BYTE),
    "no level": (CHROMIUM.replace("a=extmap:1 ", "a=x:"), {"mid": 4}, ONE_BYTE),
    "none": (CHROMIUM.replace("a=extmap:", "a=x:"), {}, 0),
}


class Room:
    """A talker whose slots are heard by one guest of each map, on every line."""

    def __init__(self, talks_as: str) -> None:
        self.forwarder = Forwarder()
        self.talker = Guest(1, self.forwarder, MAPS[talks_as][0])
        self.forwarder.set_audible(self.talker.source, True)
        self.slots = [self.forwarder.add_slot() for _ in range(LINES)]
        self.guests = {
            name: Guest(10 + index, self.forwarder, offer)
            for index, (name, (offer, _, _)) in enumerate(MAPS.items())
        }
        for guest in self.guests.values():
            for egress, slot in zip(guest.egresses, self.slots, strict=True):
                self.forwarder.subscribe(egress, self.forwarder.slot_stream(slot))

    def say(self, sequence: int, slot: int, extension: bytes) -> dict[str, Any]:
        """One packet on a slot: what each guest got of it."""
        self.forwarder.assign(self.slots[slot], self.talker.source, NOW)
        plain = rtp(
            sequence,
            960 * sequence,
            ssrc=self.talker.media.remote_ssrc or 5,
            payload_type=self.talker.media.payload_type,
            extension=extension,
        )
        sent = passed(self.forwarder, NOW, (self.talker.say(plain), self.talker.address))
        self.forwarder.assign(self.slots[slot], -1, NOW)
        by_address = {address: data for data, address in sent}
        return {name: one.hear(by_address[one.address]) for name, one in self.guests.items()}


@pytest.mark.parametrize("talks_as", ["chromium", "aiortc", "swapped", "large"])
def test_listeners_with_different_maps_hear_one_packet_each_under_its_own_ids(
    talks_as: str,
) -> None:
    room = Room(talks_as)
    ids = MAPS[talks_as][1]
    foreign = [(9, b"\x01\x02\x03"), (ids["mid"], b"0"), (ids["level"], b"\x94"), (12, b"\xff")]
    for turn, slot in enumerate([0, 1, 2, 0, 2]):
        block = extension_block(foreign, two_byte=max(ids.values()) > 14)
        heard = room.say(100 + turn, slot, block)
        for name, (_, expected, profile) in MAPS.items():
            mid = str(slot).encode()
            values = {"level": b"\x94", "mid": mid}
            assert dict(heard[name].elements) == {
                number: values[what] for what, number in expected.items()
            }, name
            assert heard[name].profile == profile, name
