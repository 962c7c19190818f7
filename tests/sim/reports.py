"""The server's RTCP against the truth: what it says it sent, received and lost (RFC 3550 6.4)."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace

from tests.sim.client import SimClient
from tests.sim.continuity import WALL_ERROR_S_MAX
from tests.sim.downlink import Heard
from tests.sim.rtcp import Nack, ReportBlock, SenderReport
from tests.sim.truth import Member, Violation
from tests.sim.voice import TICKS_PER_S
from tests.sim.world import World

# A report every 5 s, spread by half; the first one sooner.
INTERVAL_S = (0.1, 7.6)
# Fewer packets than this are not worth a report, which would be more than a twentieth of them.
REPORT_PACKETS_MIN = 40
# NTP timestamps and virtual time are both exact; this is rounding.
CLOCK_ERROR_S_MAX = 0.001
# Whatever comes later than so many others is not forwarded.
LATE_PACKETS_MAX = 64
# A publisher is asked for what came not, twice at most and while it may still be heard.
ASKED_MAX = 2
ASKED_WITHIN_S = 0.3


@dataclass(slots=True)
class Sent:
    """How far a track has been counted."""

    firsts: int = 0
    repeats: int = 0
    octets: int = 0

    @property
    def packets(self) -> int:
        """What was sent again counts again (RFC 3550 6.4.1)."""
        return self.firsts + self.repeats

    def count_until(
        self, track: list[Heard], again: list[tuple[float, Heard]], time: float
    ) -> None:
        """Add what was emitted before `time`; `again` is what was sent again on this track."""
        while self.firsts < len(track) and track[self.firsts].left < time:
            self.octets += track[self.firsts].octets
            self.firsts += 1
        while self.repeats < len(again) and again[self.repeats][0] < time:
            self.octets += again[self.repeats][1].octets
            self.repeats += 1


class ReportChecker:
    """Reads every report that left since the last call."""

    def __init__(self, wall_at_zero: float) -> None:
        self._wall_at_zero = wall_at_zero
        self._read: dict[int, int] = {}
        self._sent: dict[tuple[int, int], Sent] = {}
        self._last: dict[tuple[int, int], float] = {}
        # When each packet of each client was asked for again.
        self._asked: dict[int, dict[int, list[float]]] = {}

    def check(self, world: World, *, final: bool) -> None:
        """Compare each block with what left, came and was lost by its time."""
        for client in world.clients:
            reports = client.downlink.reports
            begin = self._read.get(client.index, 0)
            self._read[client.index] = len(reports)
            member = world.truth.members[client.index]
            for at, compound in reports[begin:]:
                for sender in compound.senders:
                    self._check(
                        client, at, sender.ssrc, self._sender_fault(world, client, at, sender)
                    )
                for block in compound.blocks:
                    asked = self._asked.get(client.index, {})
                    self._check(client, at, block.ssrc, block_fault(member, block, at, asked))
                for nack in compound.nacks:
                    self._check_nack(member, at, nack)
            if final:
                self._check_regular(client)

    def _check(self, client: SimClient, at: float, ssrc: int, fault: str) -> None:
        key = (client.index, ssrc)
        last = self._last.get(key)
        self._last[key] = at
        if last is not None and at - last < INTERVAL_S[0]:
            fault = f"{at - last:.3f} s after the last one"
        if fault:
            raise Violation("reports", f"to {client.name} at {at:.3f} about {ssrc:08x}: {fault}")

    def _check_nack(self, member: Member, at: float, nack: Nack) -> None:
        asked = self._asked.setdefault(member.client.index, {})
        fault = nack_fault(member, nack, at, asked)
        if fault:
            raise Violation("requests", f"to {member.client.name} at {at:.3f}: {fault}")

    def _sender_fault(
        self, world: World, client: SimClient, at: float, report: SenderReport
    ) -> str:
        track = client.downlink.tracks.get(report.ssrc)
        if not track:
            return "no such track, or nothing was sent on it"
        sent = self._sent.setdefault((client.index, report.ssrc), Sent())
        again = [entry for entry in client.downlink.repeats if entry[1].ssrc == report.ssrc]
        sent.count_until(track, again, at)
        # Packets of the same moment may leave before or after the report.
        after = replace(sent)
        after.count_until(track, again, at + 1e-9)
        if not sent.packets <= report.packets <= after.packets:
            return f"{report.packets} packets, {sent.packets} were sent"
        if not sent.octets <= report.octets <= after.octets:
            return f"{report.octets} octets, {sent.octets} were sent"
        if abs(report.wall - self._wall_at_zero - at) > CLOCK_ERROR_S_MAX:
            return f"NTP is off by {report.wall - self._wall_at_zero - at:.6f} s"
        newest = _newest(track, sent.firsts)
        return _timeline_fault(world.truth.members, newest, report, at)

    def _check_regular(self, client: SimClient) -> None:
        """Whoever was sent media all the time was told about it."""
        for ssrc, track in client.downlink.tracks.items():
            last = self._last.get((client.index, ssrc))
            since = [heard for heard in track if last is None or heard.left > last]
            # What carried little waits, but nobody waits for the first report.
            due = 0 if last is None else REPORT_PACKETS_MIN
            late = since[-1].left - since[due].left if len(since) > due else 0.0
            if late > INTERVAL_S[1]:
                raise Violation(
                    "reports", f"none to {client.name} about {ssrc:08x} for {late:.1f} s"
                )


def _newest(track: list[Heard], count: int) -> Heard:
    """Of the first `count`: the newest in number, which those that came late do not change."""
    newest = track[max(0, count - LATE_PACKETS_MAX)]
    for heard in track[max(0, count - LATE_PACKETS_MAX) : count]:
        if (heard.sequence - newest.sequence) & 0xFFFF < 0x8000:
            newest = heard
    return newest


def _timeline_fault(members: list[Member], last: Heard, report: SenderReport, at: float) -> str:
    ticks = (report.rtp_time - last.timestamp + 2**31) % 2**32 - 2**31
    error_s = ticks / TICKS_PER_S - (at - last.left)
    spread = max((member.delay_spread_s for member in members), default=0.0)
    if abs(error_s) > WALL_ERROR_S_MAX + spread:
        return f"RTP time is off by {error_s * 1000:.1f} ms"
    return ""


def block_fault(member: Member, block: ReportBlock, at: float, asked: Container[int] = ()) -> str:
    """What is wrong with a report about what this member sends, empty when nothing is.

    `asked` are the packets that it was asked for again.
    """
    microphone = member.client.microphone
    era = None if microphone is None else microphone.era(block.ssrc)
    if microphone is None or era is None:
        return "not the SSRC of its microphone"
    uplink = microphone.uplink
    come = [i for i in era if 0 <= uplink.arrived[i] <= at]
    # Packets of the same moment may have come before or after the report.
    told = block.highest_sequence & 0xFFFF
    while come and uplink.arrived[come[-1]] == at and uplink.sequences[come[-1]] & 0xFFFF != told:
        come.pop()
    if not come:
        return "nothing has come"
    heard = [i for i in come if uplink.audible[i]]
    # Whoever came before the first one in number, but later, was never expected (RFC 3550 A.1).
    first, highest = min(heard or come, key=uplink.arrived.__getitem__), come[-1]
    early = sum(i < first for i in come)
    sequences = {uplink.sequences[i] & 0xFFFF for i in come}
    if block.highest_sequence & 0xFFFF not in sequences:
        return f"highest sequence {block.highest_sequence & 0xFFFF} never came"
    leaps = uplink.sequences[highest] - uplink.sequences[first] - (highest - first)
    lost = highest - first + 1 - sum(i >= first for i in come)
    if not member.audibility_changed_at and not leaps:
        low = lost - early - uplink.copies
    else:
        low = -early - uplink.copies
    # What was asked for again may count as lost though it came: the line most likely did lose it.
    mended = sum(i in asked for i in come)
    if not low <= block.lost <= lost + leaps + mended:
        return f"{block.lost} lost, in truth {lost}"
    if block.fraction and not lost and not leaps and not mended:
        return "a fraction is lost where nothing was"
    return ""


def nack_fault(member: Member, nack: Nack, at: float, asked: dict[int, list[float]]) -> str:
    """What is wrong with a request for packets of this member; `asked` is kept up to date."""
    microphone = member.client.microphone
    era = None if microphone is None else microphone.era(nack.ssrc)
    if microphone is None or era is None or not member.client.shape.nack:
        return "it never offered to send anything again"
    uplink = microphone.uplink
    # Of the last packets only: numbers come round.
    packets = {uplink.sequences[i] & 0xFFFF: i for i in era[-32_768:]}
    for sequence in nack.sequences:
        packet = packets.get(sequence, -1)
        if packet < 0:
            return f"{sequence} was never sent"
        if 0 <= uplink.arrived[packet] < at:
            return f"{sequence} had come"
        times = asked.setdefault(packet, [])
        times.append(at)
        if len(times) > ASKED_MAX:
            return f"{sequence} is asked for {len(times)} times"
        age_s = at - uplink.sent[packet] - member.delay_min_s
        if age_s > ASKED_WITHIN_S + member.delay_spread_s:
            return f"{sequence} is {age_s:.3f} s old"
    return ""
