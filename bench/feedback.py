"""Transport-wide feedback of a virtual client: which packets came, and when.

The format of draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1, which browsers speak.
Sequence numbers stand in the clear in a header extension, so no key is needed to see them.
"""

from __future__ import annotations

import struct

_FEEDBACK = 205  # RFC 4585 6.1
_FORMAT = 15
_DELTA_NS = 250_000
_REFERENCE_NS = 64_000_000
_NOT_RECEIVED, _SMALL, _LARGE = 0, 1, 2
# A status chunk with two bits for each of seven packets.
_VECTOR = 0xC000
_VECTOR_PACKETS = 7
# Of a report; more than come between two of them at any rate of voices.
ARRIVALS_MAX = 1_000


class Arrivals:
    """What came since the last report."""

    def __init__(self) -> None:
        self._noted: list[tuple[int, int]] = []  # extended sequence number, ns
        self._next = -1  # the first that no report has told of
        self._reports = 0

    def note(self, sequence: int, at_ns: int) -> None:
        """A packet with this transport-wide sequence number (16 bits) came."""
        if self._next < 0:
            self._next = sequence
        highest = self._noted[-1][0] if self._noted else self._next
        # RFC 3550 A.1: the nearest number with these 16 bits.
        extended = highest + ((sequence - highest + 0x8000) & 0xFFFF) - 0x8000
        if extended >= self._next and len(self._noted) < ARRIVALS_MAX:
            self._noted.append((extended, at_ns))

    def report(self, ssrc: int, media_ssrc: int) -> bytes:
        """The RTCP packet that tells of them; empty when nothing came."""
        if not self._noted:
            return b""
        came: dict[int, int] = {}
        for sequence, at_ns in self._noted:
            came.setdefault(sequence, at_ns)
        first, last = self._next, max(came)
        statuses, deltas = _coded(came, first, last)
        reference = came[min(came)] // _REFERENCE_NS
        body = struct.pack("!IIHH", ssrc, media_ssrc, first & 0xFFFF, last - first + 1)
        body += (reference & 0xFFFFFF).to_bytes(3, "big") + bytes((self._reports & 0xFF,))
        body += _chunks(statuses) + deltas
        self._noted.clear()
        self._next = last + 1
        self._reports += 1
        return _padded(body)


def sequence_of(datagram: bytes, extension: int) -> int | None:
    """The transport-wide sequence number of an RTP packet, protected or not; None without one.

    `extension` is the negotiated id of the one-byte header extension (RFC 8285 4.2).
    """
    # RFC 5761 4, RFC 7983 7: neither RTCP nor anything but RTP.
    if len(datagram) < 16 or not 128 <= datagram[0] <= 191 or 192 <= datagram[1] <= 223:
        return None
    at = 12 + 4 * (datagram[0] & 0x0F)
    if not datagram[0] & 0x10 or datagram[at : at + 2] != b"\xbe\xde":
        return None
    end = at + 4 + 4 * int.from_bytes(datagram[at + 2 : at + 4], "big")
    at += 4
    while at < min(end, len(datagram)):
        identifier, size = datagram[at] >> 4, (datagram[at] & 0x0F) + 1
        if datagram[at] == 0:  # padding
            at += 1
            continue
        if identifier == extension and size == 2:
            return int.from_bytes(datagram[at + 1 : at + 3], "big")
        at += 1 + size
    return None


def _coded(came: dict[int, int], first: int, last: int) -> tuple[list[int], bytes]:
    """Each packet's status, and the times between those that came."""
    statuses, deltas = [], b""
    before = came[min(came)] // _REFERENCE_NS * (_REFERENCE_NS // _DELTA_NS)
    for sequence in range(first, last + 1):
        if sequence not in came:
            statuses.append(_NOT_RECEIVED)
            continue
        at = came[sequence] // _DELTA_NS
        delta = max(-0x8000, min(at - before, 0x7FFF))
        before += delta
        is_small = 0 <= delta <= 0xFF
        statuses.append(_SMALL if is_small else _LARGE)
        deltas += struct.pack("!B" if is_small else "!h", delta)
    return statuses, deltas


def _chunks(statuses: list[int]) -> bytes:
    chunks = b""
    for at in range(0, len(statuses), _VECTOR_PACKETS):
        chunk = _VECTOR
        for index, status in enumerate(statuses[at : at + _VECTOR_PACKETS]):
            chunk |= status << (2 * (_VECTOR_PACKETS - 1 - index))
        chunks += struct.pack("!H", chunk)
    return chunks


def _padded(body: bytes) -> bytes:
    """The packet, padded to words as RFC 3550 6.4.1 has it: the last byte counts."""
    missing = -len(body) % 4
    first = 0x80 | _FORMAT
    if missing:
        first |= 0x20
        body += bytes(missing - 1) + bytes((missing,))
    return struct.pack("!BBH", first, _FEEDBACK, len(body) // 4) + body
