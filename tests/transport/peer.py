"""The client's side for transport tests: an independent STUN, recorded offers, a fake DTLS."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aioice import stun

from sfu.transport.address import pack_address
from sfu.transport.dtls import DtlsState, SrtpKeys, SrtpProfile

OFFERS = Path(__file__).parent / "offers"
FINGERPRINT = ":".join(["AB"] * 32)
HOME = pack_address("192.0.2.10", 40_000)
OFFICE = pack_address("198.51.100.20", 50_000)
SIX = pack_address("2001:db8::30", 60_000)


def seeded(seed: str) -> Callable[[int], bytes]:
    """Entropy that repeats itself from run to run, but not within one."""
    drawn = 0

    def entropy(size_bytes: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return hashlib.shake_256(f"{seed} {drawn}".encode()).digest(size_bytes)

    return entropy


def offer_text(name: str) -> str:
    """A recorded offer, with the line ends of the wire."""
    return (OFFERS / f"{name}.sdp").read_text().replace("\n", "\r\n")


def check(
    username: str,
    password: str,
    *,
    nominate: bool = False,
    controlled: bool = False,
    extra: dict[str, Any] | None = None,
    sign: bool = True,
    fingerprint: bool = True,
    transaction: bytes = b"0123456789ab",
) -> bytes:
    """A binding request as ICE agents send it."""
    attributes: dict[str, Any] = {"USERNAME": username, "PRIORITY": 1_853_824_767}
    attributes["ICE-CONTROLLED" if controlled else "ICE-CONTROLLING"] = 0x1122334455667788
    if nominate:
        attributes["USE-CANDIDATE"] = None
    attributes.update(extra or {})
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction, attributes)
    if sign:
        request.add_message_integrity(password.encode())
    if not fingerprint:
        request.attributes.pop("FINGERPRINT", None)
    return bytes(request)


class FakeDtls:
    """A DTLS endpoint whose state the test sets; keys as a real handshake would export."""

    def __init__(self) -> None:
        self.state = DtlsState.NEW
        self.received: list[bytes] = []
        self.outgoing: list[bytes] = []
        self.deadline: float | None = None
        self.timers: list[float] = []
        self.next_state: DtlsState | None = None

    def receive(self, datagram: bytes, now: float) -> None:
        """Note the datagram; the state the test asked for follows."""
        self.received.append(datagram)
        if self.next_state is not None:
            self.state = self.next_state

    def handle_timer(self, now: float) -> None:
        """Note the call."""
        self.timers.append(now)
        self.deadline = None
        self.outgoing.append(b"\x16again")

    def next_deadline(self) -> float | None:
        """What the test set."""
        return self.deadline

    def datagrams_to_send(self) -> list[bytes]:
        """Take what is to be sent."""
        taken, self.outgoing = self.outgoing, []
        return taken

    def srtp_keys(self) -> SrtpKeys:
        """Keys of the right length."""
        return SrtpKeys(SrtpProfile.AEAD_AES_128_GCM, receive=b"r" * 28, send=b"s" * 28)

    def close(self) -> None:
        """Say close_notify once."""
        if self.state is not DtlsState.CLOSED:
            self.outgoing.append(b"\x15close_notify")
        self.state = DtlsState.CLOSED
