"""A readable forwarder, the independent oracle of the parity tests.

Written from the specification beside the compiled core (README and type stubs), not from its
sources; slow and plain where that one is fast. It has the same public methods as `Forwarder`. All
work of an input is done at once; `drain` only hands the datagrams out.
"""

from __future__ import annotations

import math
from collections import Counter

from pylibsrtp import Error as SrtpError

from sfu.fast import DTLS, RTCP, STUN, Batch, Challenge, Slow
from tests.fast.oracle_packet import (
    RtpPacket,
    build_header,
    opus_ticks,
    parse_rtp,
    strip_padding,
)
from tests.fast.oracle_source import OracleSource
from tests.fast.oracle_stream import OracleEgress, Placed, room_clock
from tests.fast.oracle_tables import OracleTables, OracleTransport, Waiting

REASONS = (
    "kind unvalidated malformed no_source payload_type ssrc rate inaudible auth replay no_keys "
    "empty opus late early unselected challenges oversize red"
).split()
COUNTERS = (
    "received forwarded forwarded_bytes challenges protect_errors ssrc_changes recovered resent resends_refused held held_us"
).split()
PAYLOAD_BYTES_MAX = 1_280
CHALLENGES_MAX = 64
ADDRESSES_MAX = 8
EGRESSES_MAX = 16


class OracleForwarder(OracleTables):
    """The tables and the way of a datagram; see the README of the compiled core."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._counters: Counter[str] = Counter()
        self._out: list[tuple[bytes, bytes]] = []
        self._slow: list[Slow] = []
        self._fresh: list[int] = []

    # The way of a datagram ----------------------------------------------------------------------

    def receive(self, inbox: Batch, now: float) -> None:
        """See `Forwarder`."""
        self._now = now
        self._waiting.clear()
        self._fresh.clear()
        self._slow.clear()
        for data, address in inbox:
            self._counters["received"] += 1
            reason = self._datagram(data, address)
            if reason is not None:
                self._counters[f"dropped_{reason}"] += 1

    def _datagram(self, data: bytes, address: bytes) -> str | None:
        """Take one datagram; returns why it was dropped."""
        kind = kind_of(data)
        if kind is None:
            return "kind"
        transport = self._addresses.get(address, -1)
        if kind != STUN and transport < 0:
            return "unvalidated"
        if kind == RTP:
            return self._rtp(data, transport)
        self._slow.append(Slow(kind, transport, address, data))
        return None

    def _rtp(self, data: bytes, transport: int) -> str | None:
        """Steps 1 to 5: everything before the payload is readable."""
        row = self._transports[transport]
        source = self._sources.get(row.source)
        packet = parse_rtp(data, source.level_extension if source else 0)
        if packet is None:
            return "malformed"
        if source is None:
            return "no_source"
        if packet.payload_type != source.payload_type:
            return "payload_type"
        if source.is_foreign(packet.ssrc, self._now):
            return "ssrc"
        if not source.take_token(len(data), self._now):
            return "rate"
        if source.skips_decryption(packet, self._now):
            return "inaudible"
        if row.receive is None:
            return "no_keys"
        try:
            plain = row.receive.unprotect(data)
        except SrtpError as error:
            return "replay" if "replay" in str(error) else "auth"
        self._latch(row, source, packet.ssrc)
        return self._authentic(row.source, packet, plain[packet.header_bytes :])

    def _latch(self, row: OracleTransport, source: OracleSource, ssrc: int) -> None:
        """The track goes on under the SSRC of an authentic packet."""
        if source.ssrc != ssrc and source.slot >= 0:
            self._timeline_of(source).restart()
        replaced = source.latch(ssrc)
        if replaced is not None:
            row.receive.remove_stream(replaced)
            self._counters["ssrc_changes"] += 1

    def _authentic(self, identifier: int, packet: RtpPacket, payload: bytes) -> str | None:
        """Steps 6 to 8: the payload, its level, who gets it."""
        source = self._sources[identifier]
        sequence = source.count(packet, self._now, room_clock(self._now))
        if not source.audible:
            return "inaudible"
        payload = strip_padding(payload, packet.padded)
        ticks = opus_ticks(payload)
        if ticks is None or len(payload) > PAYLOAD_BYTES_MAX:
            if source.slot >= 0:
                self._timeline_of(source).drop(sequence)
            return "oversize" if ticks else "opus" if payload else "empty"
        level_byte = source.loudness.hear(packet.level_byte, len(payload), ticks, self._now)
        waiting = Waiting(identifier, packet, sequence, payload, level_byte)
        return self._forward(waiting) if source.slot >= 0 else self._challenge(waiting)

    def _challenge(self, waiting: Waiting) -> str | None:
        """Keep a voiced packet for Python to decide."""
        if not self._sources[waiting.source].loudness.voiced:
            return "unselected"
        if len(self._waiting) >= CHALLENGES_MAX:
            return "challenges"
        handle = len(self._waiting)
        self._waiting[handle] = waiting
        self._counters["challenges"] += 1
        self._fresh.append(handle)
        return None

    def _forward(self, waiting: Waiting) -> str | None:
        """Put a source's packet onto the stream of its slot."""
        source, packet = self._sources[waiting.source], waiting.packet
        ticks = opus_ticks(waiting.payload)
        assert ticks is not None
        place = self._timeline_of(source).place(
            waiting.sequence, packet.timestamp, packet.marker, ticks, self._now
        )
        if isinstance(place, str):
            return place
        placed = Placed(
            *place,
            payload=waiting.payload,
            csrc=source.csrc,
            level_byte=waiting.level_byte,
            echo_group=source.echo_group,
            ticks=ticks,
        )
        self._fan_out(self._slots[source.slot].stream, placed)
        return None

    def _fan_out(self, stream: int, packet: Placed) -> None:
        for egress in self._streams[stream].egresses:
            self._send(self._egresses[egress], packet)

    def _send(self, egress: OracleEgress, packet: Placed) -> None:
        row = self._transports[egress.transport]
        if row.send is None or row.route is None:
            egress.anchored = False
            return
        stamp = egress.stamp(packet)
        if stamp is None:
            return
        try:
            data = row.send.protect(build_header(egress.layout, stamp) + packet.payload)
        except SrtpError:
            self._counters["protect_errors"] += 1
            return
        egress.count(packet, self._now)
        self._out.append((data, row.route))
        self._counters["forwarded"] += 1
        self._counters["forwarded_bytes"] += len(data)

    # Inputs and outputs besides datagrams -------------------------------------------------------

    def push(
        self, stream: int, payload: bytes, now: float, *, csrc: int = 0, level: int = 127
    ) -> bool:
        """See `Forwarder`."""
        self._now = now
        ticks = opus_ticks(payload)
        assert ticks is not None
        place = self._streams[stream].timeline.append(ticks, now)
        if place is None:
            return False
        placed = Placed(*place, False, False, payload, csrc, level, None, ticks)
        self._fan_out(stream, placed)
        return True

    def accept(self, handle: int) -> None:
        """See `Forwarder`."""
        if self._sources[self._waiting[handle].source].slot < 0:
            raise ValueError("the challenger holds no slot")
        reason = self._forward(self._waiting.pop(handle))
        if reason is not None:
            self._counters[f"dropped_{reason}"] += 1

    def drain(self, outbox: Batch) -> bool:
        """See `Forwarder`."""
        while self._out and outbox.append(*self._out[0]):
            self._out.pop(0)
        return bool(self._out)

    def challenges(self) -> list[Challenge]:
        """See `Forwarder`."""
        taken, self._fresh = self._fresh, []
        return [self._challenge_of(handle) for handle in taken if handle in self._waiting]

    def _challenge_of(self, handle: int) -> Challenge:
        source = self._waiting[handle].source
        smoothed = self._sources[source].loudness.smoothed
        return Challenge(source, math.floor(smoothed + 0.5), handle)

    def slow(self) -> list[Slow]:
        """See `Forwarder`."""
        taken, self._slow = self._slow, []
        return taken

    def counters(self) -> dict[str, int]:
        """See `Forwarder`."""
        names = COUNTERS + [f"dropped_{reason}" for reason in REASONS]
        return {name: self._counters[name] for name in names}


RTP = -1


def kind_of(data: bytes) -> int | None:
    """What the first byte says (RFC 7983), and the second for RTP and RTCP (RFC 5761 4)."""
    if not data:
        return None
    if data[0] < 4:
        return STUN
    if 20 <= data[0] < 64:
        return DTLS
    if not 128 <= data[0] < 192:
        return None
    if len(data) > 1 and 192 <= data[1] < 224:
        return RTCP
    return RTP
