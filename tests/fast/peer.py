"""The client's end of an association, with keys made of its number."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pylibsrtp import Error, Policy, Session
from pylibsrtp._binding import ffi, lib

from sfu.fast import Batch, Forwarder
from tests.fast.oracle_packet import ONE_BYTE_PROFILE, TWO_BYTE_PROFILE

GCM = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
SHA1_80 = Policy.SRTP_PROFILE_AES128_CM_SHA1_80
TAG_BYTES = 16
PAYLOAD_TYPE = 111
LEVEL_ID = 1
FRAME_TICKS = 960
TALK = b"\x78" + bytes(range(79))  # one 20 ms frame, too long to be comfort noise

Elements = Sequence[tuple[int, bytes]]


class Heard(NamedTuple):
    """A decrypted packet, taken apart. `elements` are (id, value) in their order."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    csrcs: tuple[int, ...]
    profile: int
    elements: tuple[tuple[int, bytes], ...]
    payload: bytes


def address_of(number: int) -> bytes:
    """The `number`th address, IPv4 mapped."""
    return bytes(10) + b"\xff\xff\x0a" + number.to_bytes(3, "big") + (20_000).to_bytes(2, "big")


def srtp_session(number: int, way: str, *, protects: bool, profile: int = GCM) -> Session:
    """A session for any SSRC; both ends of association `number` derive the same key for a `way`."""
    policy = Policy(
        key=hashlib.sha512(f"{number} {way}".encode()).digest(),
        ssrc_type=Policy.SSRC_ANY_OUTBOUND if protects else Policy.SSRC_ANY_INBOUND,
        srtp_profile=profile,
    )
    policy.window_size = 128
    policy.allow_repeat_tx = protects  # as the transport's: what is asked for again
    return Session(policy)


def extension_block(elements: Elements, *, two_byte: bool = False) -> bytes:
    """An RTP header extension of RFC 8285 with `elements`."""
    body = b""
    for identifier, value in elements:
        if two_byte:
            body += bytes([identifier, len(value)]) + value
        else:
            body += bytes([identifier << 4 | len(value) - 1]) + value
    body += bytes(-len(body) % 4)
    profile = TWO_BYTE_PROFILE if two_byte else ONE_BYTE_PROFILE
    return struct.pack("!HH", profile, len(body) // 4) + body


def rtp(
    sequence: int,
    timestamp: int,
    payload: bytes = TALK,
    *,
    ssrc: int = 1,
    payload_type: int = PAYLOAD_TYPE,
    marker: bool = False,
    csrcs: Sequence[int] = (),
    extension: bytes = b"",
    padding: int = 0,
) -> bytes:
    """A plain RTP packet with a ready-made header extension and `padding` bytes of padding."""
    first = 0x80 | (0x20 if padding else 0) | (0x10 if extension else 0) | len(csrcs)
    second = (0x80 if marker else 0) | payload_type
    header = struct.pack("!BBHII", first, second, sequence % 2**16, timestamp % 2**32, ssrc)
    header += b"".join(csrc.to_bytes(4, "big") for csrc in csrcs) + extension
    tail = bytes(padding - 1) + bytes([padding]) if padding else b""
    return header + payload + tail


def level_block(level: int, identifier: int = LEVEL_ID) -> bytes:
    """A header extension that carries an audio level of `level` (-dBov) with the voice bit."""
    return extension_block([(identifier, bytes([0x80 | level]))])


def take_apart(plain: bytes) -> Heard:
    """The fields of a decrypted packet."""
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", plain)
    assert first >> 6 == 2 and not first & 0x20, "version 2, no padding"
    count = first & 0x0F
    csrcs = struct.unpack_from(f"!{count}I", plain, 12)
    at, profile, elements = 12 + 4 * count, 0, []
    if first & 0x10:
        profile, words = struct.unpack_from("!HH", plain, at)
        block = plain[at + 4 : at + 4 + 4 * words]
        elements = list(_elements(profile, block))
        at += 4 + 4 * words
    return Heard(
        bool(second & 0x80),
        second & 0x7F,
        sequence,
        timestamp,
        ssrc,
        csrcs,
        profile,
        tuple(elements),
        plain[at:],
    )


def _elements(profile: int, block: bytes) -> Iterable[tuple[int, bytes]]:
    at = 0
    while at < len(block):
        if block[at] == 0:
            at += 1
            continue
        if profile == ONE_BYTE_PROFILE:
            identifier, length, at = block[at] >> 4, (block[at] & 0x0F) + 1, at + 1
        else:
            identifier, length, at = block[at], block[at + 1], at + 2
        yield identifier, block[at : at + length]
        at += length


class Peer:
    """Client number `number`: protects what it says, opens what it is sent, at one address."""

    def __init__(self, number: int, profile: int = GCM) -> None:
        self.number = number
        self.profile = profile
        self.address = address_of(number)
        self._up = srtp_session(number, "up", protects=True, profile=profile)
        self._down = srtp_session(number, "down", protects=False, profile=profile)

    def server_sessions(self) -> tuple[Session, Session]:
        """The other end: sessions to receive and to send with, new ones at each call."""
        return (
            srtp_session(self.number, "up", protects=False, profile=self.profile),
            srtp_session(self.number, "down", protects=True, profile=self.profile),
        )

    def say(self, plain: bytes) -> bytes:
        """Protect a plain packet, also one that is longer than pylibsrtp's own buffer."""
        packet = ffi.new("char[]", plain + bytes(TAG_BYTES))
        size = ffi.new("int *", len(plain))
        status = lib.srtp_protect(self._up._srtp[0], packet, size)
        if status != lib.srtp_err_status_ok:
            raise Error(f"srtp_protect: {status}")
        return bytes(ffi.buffer(packet, size[0]))

    def hear(self, data: bytes) -> Heard:
        """Open a datagram of the forwarder."""
        return take_apart(self._down.unprotect(data))

    def join(self, forwarder: Forwarder) -> int:
        """A transport of this client, with keys, address and route."""
        transport = forwarder.add_transport()
        forwarder.set_keys(transport, *self.server_sessions())
        forwarder.allow(transport, self.address)
        forwarder.route(transport, self.address)
        return transport


class Talker(Peer):
    """A client with a source: says one 20 ms packet after the other."""

    def __init__(self, number: int, forwarder: Forwarder, *, sequence: int = 1000, **source: Any):
        super().__init__(number)
        self.transport = self.join(forwarder)
        settings: dict[str, Any] = {
            "csrc": number,
            "echo_group": number,
            "payload_type": PAYLOAD_TYPE,
            "level_extension": LEVEL_ID,
        }
        self.source = forwarder.add_source(self.transport, **(settings | source))
        forwarder.set_audible(self.source, True)
        self.ssrc = 0x5000 + number
        self.sequence = sequence
        self.timestamp = 77_000

    def talk(self, payload: bytes = TALK, *, level: int = 20, **fields: Any) -> bytes:
        """The next packet, protected."""
        fields.setdefault("extension", level_block(level))
        plain = rtp(self.sequence, self.timestamp, payload, ssrc=self.ssrc, **fields)
        self.sequence += 1
        self.timestamp += FRAME_TICKS
        return self.say(plain)


class Listener(Peer):
    """A client with one egress."""

    def __init__(self, number: int, forwarder: Forwarder, **egress: Any) -> None:
        super().__init__(number)
        self.transport = self.join(forwarder)
        settings: dict[str, Any] = {
            "ssrc": 0x9000 + number,
            "payload_type": PAYLOAD_TYPE,
            "first_sequence": 100,
            "first_timestamp": 5_000,
            "echo_group": number,
        }
        self.egress = forwarder.add_egress(self.transport, **(settings | egress))


def batch_of(*datagrams: tuple[bytes, bytes]) -> Batch:
    """A batch with exactly these (data, address) pairs."""
    batch = Batch(max(1, len(datagrams)), 2048 * max(1, len(datagrams)))
    for data, address in datagrams:
        assert batch.append(data, address)
    return batch


def drained(forwarder: Forwarder, outbox: Batch | None = None) -> list[tuple[bytes, bytes]]:
    """Everything the forwarder has to send, through as many outboxes as it takes."""
    outbox = outbox or Batch()
    sent: list[tuple[bytes, bytes]] = []
    more = True
    while more:
        outbox.clear()
        more = forwarder.drain(outbox)
        sent += list(outbox)
    return sent


def passed(
    forwarder: Forwarder, now: float, *datagrams: tuple[bytes, bytes]
) -> list[tuple[bytes, bytes]]:
    """Receive `datagrams` as one batch; returns what comes out."""
    forwarder.receive(batch_of(*datagrams), now)
    return drained(forwarder)
