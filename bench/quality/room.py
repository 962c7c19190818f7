"""The product's part of the way: a talker and a listener at a real forwarder, with real SRTP."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from pylibsrtp import Policy, Session

from bench.quality.treatments import Treatment
from sfu.fast import Batch, Forwarder

OPUS, RED = 111, 63  # payload types, as browsers number them
LEVEL_EXTENSION = 1
TICKS = 960  # of 20 ms at 48 kHz
FIRST_SEQUENCE = 100
_TALKER_SSRC = 0x5001


@dataclass(frozen=True)
class Packet:
    """What the listener reads of a packet: its Opus, and copies by how many packets ago."""

    sequence: int
    opus: bytes
    copies: tuple[tuple[int, bytes], ...] = ()


class Room:
    """One slot, held by a talker; one listener, served as the treatment wants."""

    def __init__(self, treatment: Treatment, now: float, *, is_packed: bool = False) -> None:
        forwarder = self._forwarder = Forwarder()
        self._talker, self._listener = _address(1), _address(2)
        self._says, receive = _session("talker", sends=True), _session("talker", sends=False)
        self._hears, send = _session("listener", sends=False), _session("listener", sends=True)
        talker = self._join(self._talker, receive, _session("talker answers", sends=True))
        listener = self._join(self._listener, _session("listener asks", sends=False), send)
        source = forwarder.add_source(
            talker, csrc=1, echo_group=1, payload_type=OPUS, level_extension=LEVEL_EXTENSION
        )
        forwarder.set_audible(source, True)
        slot = forwarder.add_slot()
        forwarder.assign(slot, source, now)
        self._egress = forwarder.add_egress(
            listener,
            ssrc=0x9001,
            payload_type=OPUS,
            first_sequence=FIRST_SEQUENCE,
            first_timestamp=0,
            echo_group=2,
            level_extension=LEVEL_EXTENSION,
            red_payload_type=RED,
            repeats=treatment.repeats,
        )
        stream = (
            forwarder.slot_stream(slot, packed=True)
            if is_packed
            else forwarder.slot_stream(slot, treatment.redundancy)
        )
        forwarder.subscribe(self._egress, stream)
        self._said = 0
        self._outbox = Batch()

    def _join(self, address: bytes, receive: Session, send: Session) -> int:
        transport = self._forwarder.add_transport()
        self._forwarder.set_keys(transport, receive, send)
        self._forwarder.allow(transport, address)
        self._forwarder.route(transport, address)
        return transport

    def say(self, opus: bytes, level: int, now: float) -> list[bytes]:
        """The talker's next packet; returns the datagrams that leave towards the listener."""
        sequence, timestamp = 1_000 + self._said, 77_000 + self._said * TICKS
        self._said += 1
        header = struct.pack("!BBHII", 0x90, OPUS, sequence, timestamp, _TALKER_SSRC)
        extension = bytes((0xBE, 0xDE, 0, 1, LEVEL_EXTENSION << 4, 0x80 | level, 0, 0))
        inbox = Batch(1, 4_096)
        assert inbox.append(self._says.protect(header + extension + opus), self._talker)
        self._forwarder.receive(inbox, now)
        return self._drained()

    def repeat(self, sequences: list[int], now: float, round_trip_s: float) -> list[bytes]:
        """The listener's request has come; returns the datagrams that leave again."""
        self._forwarder.resend(self._egress, sequences, now, round_trip_s)
        return self._drained()

    def _drained(self) -> list[bytes]:
        sent: list[bytes] = []
        is_more = True
        while is_more:
            self._outbox.clear()
            is_more = self._forwarder.drain(self._outbox)
            sent += [data for data, address in self._outbox if address == self._listener]
        return sent

    def hear(self, datagram: bytes) -> Packet:
        """The listener's end of SRTP, RTP and RED."""
        plain = self._hears.unprotect(datagram)
        first, second, sequence = struct.unpack_from("!BBH", plain)
        at = 12 + 4 * (first & 0x0F)
        if first & 0x10:
            at += 4 + 4 * int(struct.unpack_from("!H", plain, at + 2)[0])
        return _read(second & 0x7F, sequence, plain[at:])


def _read(payload_type: int, sequence: int, payload: bytes) -> Packet:
    """RFC 2198 section 3: headers of the copies, oldest first, one of the newest, then all data."""
    if payload_type != RED:
        return Packet(sequence, payload)
    copies: list[tuple[int, int]] = []
    at = 0
    while payload[at] & 0x80:
        fields = int.from_bytes(payload[at + 1 : at + 4], "big")
        copies.append(((fields >> 10) // TICKS, fields & 0x3FF))
        at += 4
    at += 1
    read = []
    for ago, size in copies:
        read.append((ago, payload[at : at + size]))
        at += size
    return Packet(sequence, payload[at:], tuple(read))


def _address(number: int) -> bytes:
    return bytes(10) + b"\xff\xff" + bytes((192, 0, 2, number)) + (5_000).to_bytes(2, "big")


def _session(name: str, *, sends: bool) -> Session:
    """Both ends of an association derive the same key from its name."""
    policy = Policy(
        key=hashlib.sha512(name.encode()).digest()[:28],  # AES-128-GCM: key and salt
        ssrc_type=Policy.SSRC_ANY_OUTBOUND if sends else Policy.SSRC_ANY_INBOUND,
        srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    )
    policy.allow_repeat_tx = sends  # what is asked for again
    return Session(policy)
