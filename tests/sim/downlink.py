"""What the server sends to one client, taken apart: the truth at its exit, and reception."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

from pylibsrtp import Error as SrtpError
from pylibsrtp import Session

from tests.sim.rtcp import Compound, ReportBlock, parse_compound
from tests.sim.voice import IDENTITY, SILENCE, TABLES_OF_CONTENTS

_HEADER = Struct("!BBHII")
_OUR_TABLES = frozenset(TABLES_OF_CONTENTS.values())
# Who a packet is from when no client sent it.
SERVER_SILENCE = -1
UNKNOWN = -2


class Heard:
    """One media packet as it left the server. `speaker` is a client's index, `packet` its packet's.

    `emitted` is when it was due: when it `left`, or, if it was held back for its tick, when it came
    to the server. `delivered` is when the client got it and could read it, None while it has not.
    """

    __slots__ = (
        "csrc",
        "delivered",
        "emitted",
        "extension",
        "left",
        "marker",
        "octets",
        "packet",
        "payload_type",
        "sequence",
        "speaker",
        "ssrc",
        "timestamp",
    )

    def __init__(self, plain: bytes, now: float) -> None:
        first, second, self.sequence, self.timestamp, self.ssrc = _HEADER.unpack_from(plain)
        self.emitted = self.left = now
        self.delivered: float | None = None
        self.marker = second >> 7
        self.payload_type = second & 0x7F
        offset = 12
        self.csrc = 0
        if first & 0x0F:
            self.csrc = int.from_bytes(plain[12:16], "big")
            offset += 4 * (first & 0x0F)
        self.extension = b""
        if first & 0x10:
            end = offset + 4 + 4 * (plain[offset + 2] << 8 | plain[offset + 3])
            self.extension = plain[offset:end]
            offset = end
        if first & 0x20:
            plain = plain[: len(plain) - plain[-1]]
        self.octets = len(plain) - offset
        self.speaker, self.packet = UNKNOWN, 0
        if len(plain) > offset + IDENTITY.size and plain[offset] in _OUR_TABLES:
            self.speaker, self.packet, _ = IDENTITY.unpack_from(plain, offset + 1)
        elif plain[offset:] == SILENCE:
            self.speaker = SERVER_SILENCE

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
    expected_before: int = 0
    received_before: int = 0
    last_report: int = 0
    last_report_at: float = 0.0

    def note(self, sequence: int) -> None:
        """A packet came."""
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
        return ReportBlock(
            ssrc, fraction, expected - self.received, self.highest, 0, self.last_report, delay
        )


@dataclass(slots=True)
class Downlink:
    """All that the server ever sent to one client, by SSRC, and its reports in order."""

    tracks: dict[int, list[Heard]] = field(default_factory=dict)
    reports: list[tuple[float, Compound]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    datagrams: int = 0
    last_delivered: dict[int, float] = field(default_factory=dict)
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
            heard = Heard(self._tap.unprotect(data), now)
        except (SrtpError, ValueError) as error:
            self.faults.append(f"unreadable: {error}")
            return None
        track = self.tracks.get(heard.ssrc)
        if track is None:
            self.faults.append(f"SSRC {heard.ssrc:08x} is not in the answer")
            return heard
        track.append(heard)
        return heard

    def deliver(self, heard: Heard) -> None:
        """A media packet came through the network for the first time."""
        reception = self._receptions.get(heard.ssrc)
        if reception is None:
            reception = Reception(heard.sequence, heard.sequence)
            self._receptions[heard.ssrc] = reception
        reception.note(heard.sequence)
        assert heard.delivered is not None
        self.last_delivered[heard.speaker] = heard.delivered

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
