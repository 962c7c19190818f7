"""What the server sends to one client, taken apart: the truth at its exit, and reception."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct, unpack_from

from pylibsrtp import Error as SrtpError
from pylibsrtp import Session

from tests.sim import red
from tests.sim.payload import Mixes, MixFrame, identify, ticks_of
from tests.sim.rtcp import Compound, ReportBlock, parse_compound
from tests.sim.voice import IDENTITY, TABLES_OF_CONTENTS, TICKS_PER_S

_HEADER = Struct("!BBHII")
NO_MIXES: Mixes = {}
_OUR_TABLES = frozenset(TABLES_OF_CONTENTS.values())
# At 50 packets a second a track's numbers come round after 22 minutes.
NUMBER_REUSED_S = 60.0
# DLSR has 32 bits of 1/65536 s: 18 hours.
DELAY_MAX = 2**32 - 1
JITTER_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class CopyOf:
    """A packet in the RED of a later one, which it precedes by `offset` ticks."""

    payload_type: int
    offset: int
    speaker: int
    packet: int
    mixes: tuple[MixFrame, ...] = ()


def extension_elements(block: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of an RTP header extension (RFC 8285 4.2, 4.3)."""
    one_byte = block[:2] == b"\xbe\xde"
    offset = 4
    while offset < len(block):
        if block[offset] == 0:
            offset += 1
            continue
        if one_byte:
            identifier, length = block[offset] >> 4, (block[offset] & 15) + 1
            offset += 1
        else:
            identifier, length = block[offset], block[offset + 1]
            offset += 2
        yield identifier, block[offset : offset + length]
        offset += length


def _wide(block: bytes, extension: int) -> int:
    """The transport-wide number in a header extension, negative for none."""
    for identifier, value in extension_elements(block):
        if identifier == extension and len(value) == 2:
            return int.from_bytes(value, "big")
    return -1


class Heard:
    """One media packet as it left the server. `speaker` is a client's index, `packet` its packet's.

    `emitted` is when it was due: when it `left`, or, if it was held back for its tick, when it came
    to the server. `delivered` is when the client got it and could read it, None while it has not.
    `copies` are the packets that came with it in RED: offset in ticks, speaker, packet. `repeats`
    is when it was sent again; `wire` is what was sent, as much as tells it from another text;
    `wide` is its number among all that was stamped for this client, negative for none.

    Of several packets in one, `frames` are all, and `speaker` and `packet` the first, which comes
    `lead_ticks` after the timestamp. Of a mix,
    `speaker` is MIX, `packet` its number, and `mixes` are the frames of mixes that it may be;
    `ticks` is how long one of those lasts, 0 for a packet as it came.
    """

    __slots__ = (
        "copies",
        "csrcs",
        "delivered",
        "emitted",
        "extension",
        "frames",
        "lead_ticks",
        "left",
        "marker",
        "mixes",
        "octets",
        "packet",
        "payload_type",
        "repeats",
        "sequence",
        "speaker",
        "ssrc",
        "ticks",
        "timestamp",
        "wide",
        "wire",
    )

    def __init__(
        self, plain: bytes, now: float, red_payload_type: int = -1, mixes: Mixes = NO_MIXES
    ) -> None:
        first, second, self.sequence, self.timestamp, self.ssrc = _HEADER.unpack_from(plain)
        self.emitted = self.left = now
        self.delivered: float | None = None
        self.marker = second >> 7
        self.payload_type = second & 0x7F
        offset = 12
        self.csrcs: tuple[int, ...] = ()
        if first & 0x0F:
            offset += 4 * (first & 0x0F)
            self.csrcs = unpack_from(f"!{first & 0x0F}I", plain, 12)
        self.extension = b""
        if first & 0x10:
            end = offset + 4 + 4 * (plain[offset + 2] << 8 | plain[offset + 3])
            self.extension = plain[offset:end]
            offset = end
        if first & 0x20:
            plain = plain[: len(plain) - plain[-1]]
        self.wide = -1
        self.octets = len(plain) - offset
        self.copies: tuple[CopyOf, ...] = ()
        self.repeats: list[float] = []
        self.wire = b""
        if self.payload_type == red_payload_type:
            block_type, payload, copies = red.parse(plain[offset:])
            self._identify(payload, 0, mixes)
            said = [identify(copy.payload, mixes) for copy in copies]
            self.copies = tuple(
                CopyOf(copy.payload_type, copy.offset, one.speaker, one.packet, one.mixes)
                for copy, one in zip(copies, said, strict=True)
            )
            if {block_type, *(copy.payload_type for copy in copies)} != {block_type}:
                raise ValueError("blocks of different payload types")
        else:
            self._identify(plain, offset, mixes)

    @property
    def csrc(self) -> int:
        """The first one, 0 for none."""
        return self.csrcs[0] if self.csrcs else 0

    @property
    def said(self) -> tuple[tuple[int, int], ...]:
        """Speaker and packet of all that is in it."""
        return self.frames or ((self.speaker, self.packet),)

    def _identify(self, data: bytes, offset: int, mixes: Mixes) -> None:
        """Take note of what the Opus payload is that begins there."""
        self.ticks = self.lead_ticks = 0
        self.frames: tuple[tuple[int, int], ...] = ()
        self.mixes: tuple[MixFrame, ...] = ()
        # Nearly all packets; the rest is for the few.
        if not mixes and len(data) > offset + IDENTITY.size and data[offset] in _OUR_TABLES:
            self.speaker, self.packet, _ = IDENTITY.unpack_from(data, offset + 1)
            return
        payload = data[offset:]
        one = identify(payload, mixes)
        self.speaker, self.packet, self.frames, self.mixes = (
            one.speaker,
            one.packet,
            one.frames,
            one.mixes,
        )
        if one.frames or one.mixes:
            self.ticks = ticks_of(payload)
        if one.lead:
            self.lead_ticks = one.lead * self.ticks // (payload[1] & 63)

    def __repr__(self) -> str:
        return (
            f"<ssrc {self.ssrc:08x} seq {self.sequence} ts {self.timestamp}"
            f"{' M' if self.marker else ''} from {self.speaker}/{self.packet}"
            f" at {self.emitted:.3f}>"
        )


@dataclass(slots=True)
class Reception:
    """What a receiver keeps of one stream for its reports (RFC 3550 A.3)."""

    base: int
    highest: int
    received: int = 0
    # RFC 3550 A.8, in ticks: how much the way of the last packet differed from those before.
    jitter: float = 0.0
    way_before: float | None = None
    expected_before: int = 0
    received_before: int = 0
    last_report: int = 0
    last_report_at: float = 0.0

    def note(self, sequence: int, timestamp: int, now: float) -> None:
        """A packet came."""
        way = now * TICKS_PER_S - timestamp
        if self.way_before is not None:
            # Timestamps wrap; what is left of a wrap is no jitter.
            difference = abs((way - self.way_before + 2**31) % 2**32 - 2**31)
            self.jitter += (difference - self.jitter) / 16
        self.way_before = way
        ahead = (sequence - self.highest) & 0xFFFF
        if ahead < 0x8000:
            self.highest += ahead
        self.received += 1

    def block(self, ssrc: int, now: float) -> ReportBlock:
        """The report about it since the last one."""
        expected = self.highest - self.base + 1
        expected_now = expected - self.expected_before
        lost_now = expected_now - (self.received - self.received_before)
        self.expected_before, self.received_before = expected, self.received
        fraction = min(255, lost_now * 256 // expected_now) if lost_now > 0 < expected_now else 0
        delay = int((now - self.last_report_at) * 65_536) if self.last_report else 0
        delay = min(delay, DELAY_MAX)
        lost = expected - self.received
        jitter = min(int(self.jitter), JITTER_MAX)
        return ReportBlock(ssrc, fraction, lost, self.highest, jitter, self.last_report, delay)


@dataclass(slots=True)
class Downlink:
    """All that the server ever sent to one client, by SSRC, and its reports in order."""

    tracks: dict[int, list[Heard]] = field(default_factory=dict)
    reports: list[tuple[float, Compound]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    datagrams: int = 0
    last_delivered: dict[int, float] = field(default_factory=dict)
    # By CSRC: when a mix with this one in it last came, whether its header says so or not.
    last_mixed: dict[int, float] = field(default_factory=dict)
    # What came out of the mixer so far.
    mixes: Mixes = field(default_factory=dict)
    red_payload_type: int = 0
    transport_cc_extension: int = 0
    may_repeat: bool = False
    # The numbers of all that was stamped, in order.
    stamped: list[int] = field(default_factory=list)
    # What was sent again and when, in order.
    repeats: list[tuple[float, Heard]] = field(default_factory=list)
    _recent: dict[tuple[int, int], Heard] = field(default_factory=dict)
    _tap: Session | None = None
    _receptions: dict[int, Reception] = field(default_factory=dict)

    def expect(self, ssrcs: list[int]) -> None:
        """These are the SSRCs that the answer declared."""
        self.tracks = {ssrc: [] for ssrc in ssrcs}

    def tap(self, session: Session) -> None:
        """Read along from now on."""
        self._tap = session

    def observe(self, data: bytes, now: float) -> Heard | None:
        """Take apart what leaves the server; what should not be is noted in `faults`."""
        self.datagrams += 1
        if data[0] < 128:
            return None
        if self._tap is None:
            self.faults.append("media or RTCP before the keys")
            return None
        try:
            if 192 <= data[1] <= 223:
                self.reports.append((now, parse_compound(self._tap.unprotect_rtcp(data))))
                return None
            again = self._recent.get((int.from_bytes(data[8:12], "big"), data[2] << 8 | data[3]))
            if again is not None and again.left > now - NUMBER_REUSED_S:
                return self._observe_repeat(again, data, now)
            heard = Heard(self._tap.unprotect(data), now, self.red_payload_type or -1, self.mixes)
        except (SrtpError, ValueError) as error:
            self.faults.append(f"unreadable: {error}")
            return None
        track = self.tracks.get(heard.ssrc)
        if track is None:
            self.faults.append(f"SSRC {heard.ssrc:08x} is not in the answer")
            return heard
        track.append(heard)
        if self.transport_cc_extension and heard.extension:
            heard.wide = _wide(heard.extension, self.transport_cc_extension)
            if heard.wide >= 0:
                self.stamped.append(heard.wide)
        if self.may_repeat:
            heard.wire = data
            self._recent[heard.ssrc, heard.sequence] = heard
        return heard

    def _observe_repeat(self, again: Heard, data: bytes, now: float) -> Heard:
        """The same number once more: it may only be the very same packet (RFC 3711 9.1)."""
        if data != again.wire:
            self.faults.append(f"two texts under one number: {again}")
        again.repeats.append(now)
        self.repeats.append((now, again))
        return again

    def deliver(self, heard: Heard) -> int:
        """A media packet came for the first time; the track's newest number till then, or -1."""
        reception = self._receptions.get(heard.ssrc)
        if reception is None:
            reception = Reception(heard.sequence, heard.sequence)
            self._receptions[heard.ssrc] = reception
            highest = -1
        else:
            highest = reception.highest & 0xFFFF
        assert heard.delivered is not None
        reception.note(heard.sequence, heard.timestamp, heard.delivered)
        for speaker, _ in heard.said:
            self.last_delivered[speaker] = heard.delivered
        for mix in heard.mixes:
            for csrc in mix.csrcs:
                self.last_mixed[csrc] = heard.delivered
        return highest

    def note_reports(self, compound: Compound, now: float) -> None:
        """Sender reports came: remember them for LSR and DLSR."""
        for report in compound.senders:
            reception = self._receptions.get(report.ssrc)
            if reception is not None:
                reception.last_report = report.ntp >> 16 & 0xFFFFFFFF
                reception.last_report_at = now

    def report_blocks(self, now: float) -> list[ReportBlock]:
        """A block for each stream that was ever heard, at most the 31 that fit."""
        return [
            reception.block(ssrc, now) for ssrc, reception in list(self._receptions.items())[:31]
        ]
