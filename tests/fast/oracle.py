"""A readable forwarder, the independent oracle of the parity tests.

Written from the specification beside the compiled core (README and type stubs), not from its
sources; slow and plain where that one is fast. It has the same public methods as `Forwarder`. All
work of an input is done at once; `drain` only hands the datagrams out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from pylibsrtp import Error as SrtpError

from sfu.fast import DTLS, RTCP, STUN, Batch, Challenge, Gap, Slow, Tapped
from tests.fast.oracle_pack import unheard
from tests.fast.oracle_packet import (
    RtpPacket,
    build_header,
    opus_ticks,
    parse_rtp,
    strip_padding,
)
from tests.fast.oracle_red import Block, parse_red
from tests.fast.oracle_source import OracleSource
from tests.fast.oracle_stream import Mark, OracleEgress, Placed, room_clock
from tests.fast.oracle_tables import OracleSlot, OracleTables, OracleTransport, Waiting

REASONS = (
    "kind unvalidated malformed no_source payload_type ssrc rate inaudible auth replay no_keys "
    "empty opus late early unselected challenges oversize red"
).split()
COUNTERS = (
    "received forwarded forwarded_bytes challenges protect_errors overlapping ssrc_changes "
    "recovered repaired resent resends_refused packed packed_late taps_dropped stamped "
    "stamped_arrived stamped_lost feedback_malformed held held_us"
).split()
PAYLOAD_BYTES_MAX = 1_280
CHALLENGES_MAX = 64
RESENDS_MAX = 64
TAPPED_MAX = 1_024
RESEND_AGE_S = 0.5
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
        self._gapped: list[int] = []
        self._taken: list[Tapped] = []

    # The way of a datagram ----------------------------------------------------------------------

    def receive(self, inbox: Batch, now: float) -> None:
        """See `Forwarder`."""
        self._now = now
        self._waiting.clear()
        self._fresh.clear()
        self._slow.clear()
        self._flush_due()
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
        if packet.payload_type not in (source.payload_type, source.red_payload_type or -1):
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
        """Steps 6 and 7: late originals, RED, padding."""
        source = self._sources[identifier]
        is_first = source.reception.packets == 0
        before = source.reception.highest, source.reception.highest_timestamp
        newest_at, repairs = source.lost.newest_at, source.repairs
        sequence = source.count(packet, self._now, room_clock(self._now))
        self._counters["repaired"] += source.repairs - repairs
        if not source.audible:
            return "inaudible"
        if source.is_late_original(sequence):
            return "late"
        payload = strip_padding(payload, packet.padded)
        has_place = source.slot >= 0 and self._timeline_of(source).anchored
        if packet.payload_type != source.red_payload_type:
            if source.repeats and has_place and not is_first:
                self._note_gap(identifier, before[0], newest_at, sequence)
            return self._judge(identifier, packet, sequence, payload)
        blocks = parse_red(payload, source.payload_type)
        if blocks is None:
            if source.slot >= 0:
                self._timeline_of(source).drop(sequence)
            return "red"
        if source.repeats and has_place and not is_first:
            self._note_gap(identifier, before[0], newest_at, sequence)
        if source.slot >= 0 and not is_first:
            self._recover(identifier, packet, blocks[:-1], source.missing_before(packet, *before))
        return self._judge(identifier, packet, sequence, blocks[-1].payload)

    def _note_gap(self, identifier: int, newest: int, newest_at: float, sequence: int) -> None:
        """`sequence` came after `newest`: what lies between is told by `gaps`, if still missing."""
        lost = self._sources[identifier].lost
        if lost.untold is None and lost.note_gap(newest, newest_at, sequence):
            self._gapped.append(identifier)

    def gaps(self) -> list[Gap]:
        """See `Forwarder`."""
        told, self._gapped = self._gapped, []
        found = []
        for identifier in told:
            source = self._sources.get(identifier)
            gap = source.lost.take_gap(source.reception.highest) if source else None
            if source is not None and gap is not None:
                found.append(Gap(identifier, source.ssrc or 0, *gap))
        return found

    def missing(self, source: int, ssrc: int, sequences: list[int]) -> list[int]:
        """See `Forwarder`."""
        row = self._sources[source]
        if not row.audible or row.slot < 0 or row.ssrc != ssrc:
            return []
        timeline = self._timeline_of(row)
        found = [one for one in sequences if row.is_missing(one) and timeline.has_room(one)]
        row.lost.asked.update(found)
        return found

    def _recover(
        self, identifier: int, packet: RtpPacket, copies: list[Block], missing: dict[int, int]
    ) -> None:
        """Copies of what is missing, as if it had come."""
        for offset, sequence in missing.items():
            found = [c.payload for c in copies if c.offset == offset and opus_ticks(c.payload)]
            if not found:
                continue
            self._sources[identifier].recovered.add(sequence)
            self._sources[identifier].lost.arrived.add(sequence)
            self._counters["recovered"] += 1
            timestamp = (packet.timestamp - offset) % 2**32
            one = packet._replace(marker=False, timestamp=timestamp)
            reason = self._judge(identifier, one, sequence, found[0])
            if reason is not None:
                self._counters[f"dropped_{reason}"] += 1

    def _judge(
        self, identifier: int, packet: RtpPacket, sequence: int, payload: bytes
    ) -> str | None:
        """Steps 7 to 9: the payload, its level, who gets it."""
        source = self._sources[identifier]
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
        claimed = None if packet.level_byte is None else packet.level_byte & 0x7F
        mark = Mark(waiting.source, (source.csrc,), waiting.level_byte, claimed, source.echo_group)
        self._fan_out(self._slots[source.slot], Placed(*place, waiting.payload, ticks, mark))
        return None

    def _fan_out(self, slot: OracleSlot, packet: Placed) -> None:
        """To all who hear the slot, and then what is packed of it."""
        self._carry(slot, packet)
        packed = self._slots.get(slot.packed)
        if packed is None:
            return
        assert packed.packer is not None
        if not any(self._streams[stream].egresses for stream in packed.streams.values()):
            packed.packer.rest()
            return
        for pack in packed.packer.take(packet, self._now):
            self._carry(packed, pack)

    def _flush_due(self) -> None:
        """Packs that have waited for long enough."""
        for slot in self._slots.values():
            for pack in slot.packer.due(self._now) if slot.packer else ():
                self._carry(slot, pack)

    def _carry(self, slot: OracleSlot, packet: Placed) -> None:
        self._tell(slot, packet)
        kept = slot.history.remember(packet, self._now) if slot.history else None
        for redundancy, stream in sorted(slot.streams.items()):
            egresses = [self._egresses[egress] for egress in self._streams[stream].egresses]
            if redundancy and egresses:
                assert slot.history is not None
                if kept is None or not slot.history.wrap(kept, redundancy):
                    redundancy = 0
            for egress in egresses:
                if egress.is_part_heard(packet):
                    self._send_unheard(egress, packet)
                    continue
                payload: bytes | None = packet.payload
                if redundancy:
                    assert slot.history is not None and kept is not None
                    payload = slot.history.red_of(kept, redundancy, egress.layout.payload_type)
                assert payload is not None
                self._send(egress, packet, payload, redundancy)

    def _send_unheard(self, egress: OracleEgress, packet: Placed) -> None:
        """To one who has come from the plain packets: the rest of the pack."""
        rest = unheard(packet, egress.heard_until)
        if rest is not None:
            self._send(egress, rest, rest.payload, 0, is_part=True)

    def _tell(self, slot: OracleSlot, packet: Placed) -> None:
        """Keep a packet of a tapped slot for `taken`."""
        if not slot.tapped:
            return
        if len(self._taken) >= TAPPED_MAX:
            self._counters["taps_dropped"] += 1
            return
        self._taken.append(
            Tapped(
                slot.id,
                -1 if packet.mark.source is None else packet.mark.source,
                packet.mark.csrcs[0] if packet.mark.csrcs else 0,
                packet.stream_index,
                packet.time,
                packet.ticks,
                -1 if packet.mark.claimed is None else packet.mark.claimed,
                packet.marker,
                packet.payload,
                self._now,
            )
        )

    def taken(self) -> list[Tapped]:
        """See `Forwarder`."""
        taken, self._taken = self._taken, []
        return taken

    def _send(
        self,
        egress: OracleEgress,
        packet: Placed,
        payload: bytes,
        redundancy: int,
        *,
        is_part: bool = False,
    ) -> None:
        row = self._transports[egress.transport]
        if row.send is None or row.route is None:
            egress.anchored = egress.switching = False
            return
        stamp = egress.stamp(packet)
        if stamp is None:
            self._counters["overlapping"] += egress.is_early(packet)
            return
        layout = egress.layout
        if redundancy:
            layout = layout._replace(payload_type=egress.red_payload_type)
        try:
            lean = self._slots[self._streams[egress.stream].slot].lean
            data = row.send.protect(build_header(layout, stamp, lean=lean) + payload)
        except SrtpError:
            self._counters["protect_errors"] += 1
            return
        egress.count(packet, payload, None if is_part else redundancy, self._now)
        self._out.append((data, row.route))
        self._counters["forwarded"] += 1
        self._counters["forwarded_bytes"] += len(data)

    def _catch_up(self, egress: OracleEgress) -> None:
        """What its former stream has carried, or holds, and its new one does not bring any more."""
        target = self._slots[self._streams[egress.stream].slot]
        origin = self._slots[target.origin] if target.packer else target
        row = self._transports[egress.transport]
        if row.send is None or row.route is None:
            return
        waiting = target.packer.waiting if target.packer else None
        end = waiting.time if waiting else math.inf
        assert origin.history is not None
        for packet in origin.history.between(origin.timeline.index, egress.heard_until, end):
            if packet.mark.echo_group == egress.echo_group:
                continue
            is_part = target.packer is not None
            self._send(egress, packet._replace(late=False), packet.payload, 0, is_part=is_part)
            if is_part:
                egress.anchored, egress.switching = False, True

    def subscribe(self, egress: int, stream: int) -> None:
        """See `Forwarder`."""
        super().subscribe(egress, stream)
        row = self._egresses[egress]
        if row.switching and not row.anchored and stream >= 0:
            self._catch_up(row)

    def flush(self, now: float) -> None:
        """See `Forwarder`."""
        self._now = now
        self._flush_due()

    def next_flush(self) -> float | None:
        """See `Forwarder`."""
        packers = [slot.packer for slot in self._slots.values() if slot.packer]
        due = [at for packer in packers if (at := packer.due_at()) is not None]
        return min(due, default=None)

    def resend(self, egress: int, sequences: list[int], now: float, spacing_s: float = 0.0) -> int:
        """See `Forwarder`."""
        self._now = now
        row = self._egresses[egress]
        done = sum(self._send_again(row, one, spacing_s) for one in sequences[:RESENDS_MAX])
        self._flush_due()
        self._counters["resends_refused"] += len(sequences) - done
        return done

    def _send_again(self, egress: OracleEgress, asked: int, spacing_s: float) -> bool:
        sent, row = egress.sent_as(asked), self._transports[egress.transport]
        if sent is None or row.send is None or row.route is None:
            return False
        history = self._slots[self._streams[egress.stream].slot].history
        assert history is not None
        kept = history.recall(sent.sequence - egress.sequence_offset)
        if kept is None or self._now - kept.at > RESEND_AGE_S:
            return False
        payload: bytes | None = kept.packet.payload
        if sent.redundancy:
            payload = history.red_of(kept, sent.redundancy, egress.layout.payload_type)
        if payload is None or not egress.use_resend(sent, self._now, spacing_s):
            return False
        before = self._counters["forwarded"], self._counters["forwarded_bytes"]
        self._send(egress, kept.packet._replace(late=True), payload, sent.redundancy)
        self._counters["resent"] += self._counters["forwarded"] - before[0]
        self._counters["forwarded"], self._counters["forwarded_bytes"] = before
        return True

    # Inputs and outputs besides datagrams -------------------------------------------------------

    def push(
        self,
        stream: int,
        payload: bytes,
        now: float,
        *,
        at: float | None = None,
        csrcs: Sequence[int] = (),
        level: int = 127,
        yields: bool = False,
        marker: bool = False,
    ) -> bool:
        """See `Forwarder`."""
        if at is not None and yields:
            raise ValueError("what yields has no time of its own")
        self._now = now
        ticks = opus_ticks(payload)
        assert ticks is not None
        slot = self._slots[self._streams[stream].slot]
        slot = self._slots[slot.origin] if slot.packer else slot
        place = slot.timeline.append(ticks, now, at=at, yields=yields)
        if place is None:
            self._flush_due()
            return False
        mark = Mark(None, tuple(csrcs), level, level, None)
        self._fan_out(slot, Placed(*place, marker, False, payload, ticks, mark))
        self._flush_due()
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

    def set_measured_level(self, source: int, level: int | None) -> None:
        """See `Forwarder`."""
        loudness = self._sources[source].loudness
        loudness.decoded, loudness.decoded_at = level, self._now

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
        packers = [slot.packer for slot in self._slots.values() if slot.packer]
        self._counters["packed"] = self.gone["packed"] + sum(one.made for one in packers)
        self._counters["packed_late"] = self.gone["late"] + sum(one.late for one in packers)
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
