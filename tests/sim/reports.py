"""The server's RTCP against the truth: what it says it sent, received and lost (RFC 3550 6.4)."""

from __future__ import annotations

from dataclasses import dataclass

from tests.sim.client import SimClient
from tests.sim.continuity import WALL_ERROR_S_MAX
from tests.sim.downlink import Heard
from tests.sim.rtcp import ReportBlock, SenderReport
from tests.sim.truth import Member, Violation
from tests.sim.voice import TICKS_PER_S
from tests.sim.world import World

# A report every 5 s, spread by half; the first one sooner.
INTERVAL_S = (0.1, 7.6)
# NTP timestamps and virtual time are both exact; this is rounding.
CLOCK_ERROR_S_MAX = 0.001


@dataclass(slots=True)
class Sent:
    """How far a track has been counted."""

    packets: int = 0
    octets: int = 0

    def count_until(self, track: list[Heard], time: float) -> None:
        """Add what was emitted before `time`."""
        while self.packets < len(track) and track[self.packets].left < time:
            self.octets += track[self.packets].octets
            self.packets += 1


class ReportChecker:
    """Reads every report that left since the last call."""

    def __init__(self, wall_at_zero: float) -> None:
        self._wall_at_zero = wall_at_zero
        self._read: dict[int, int] = {}
        self._sent: dict[tuple[int, int], Sent] = {}
        self._last: dict[tuple[int, int], float] = {}

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
                    self._check(client, at, block.ssrc, block_fault(member, block, at))
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

    def _sender_fault(
        self, world: World, client: SimClient, at: float, report: SenderReport
    ) -> str:
        track = client.downlink.tracks.get(report.ssrc)
        if not track:
            return "no such track, or nothing was sent on it"
        sent = self._sent.setdefault((client.index, report.ssrc), Sent())
        sent.count_until(track, at)
        # Packets of the same moment may leave before or after the report.
        after = Sent(sent.packets, sent.octets)
        after.count_until(track, at + 1e-9)
        if not sent.packets <= report.packets <= after.packets:
            return f"{report.packets} packets, {sent.packets} were sent"
        if not sent.octets <= report.octets <= after.octets:
            return f"{report.octets} octets, {sent.octets} were sent"
        if abs(report.wall - self._wall_at_zero - at) > CLOCK_ERROR_S_MAX:
            return f"NTP is off by {report.wall - self._wall_at_zero - at:.6f} s"
        return _timeline_fault(world.truth.members, track[sent.packets - 1], report, at)

    def _check_regular(self, client: SimClient) -> None:
        """Whoever was sent media all the time was told about it."""
        for ssrc, track in client.downlink.tracks.items():
            last = self._last.get((client.index, ssrc), 0.0)
            since = [heard for heard in track if heard.left > last]
            late = since[-1].left - since[0].left if since else 0.0
            if late > INTERVAL_S[1]:
                raise Violation(
                    "reports", f"none to {client.name} about {ssrc:08x} for {late:.1f} s"
                )


def _timeline_fault(members: list[Member], last: Heard, report: SenderReport, at: float) -> str:
    ticks = (report.rtp_time - last.timestamp + 2**31) % 2**32 - 2**31
    error_s = ticks / TICKS_PER_S - (at - last.left)
    spread = max((member.delay_spread_s for member in members), default=0.0)
    if abs(error_s) > WALL_ERROR_S_MAX + spread:
        return f"RTP time is off by {error_s * 1000:.1f} ms"
    return ""


def block_fault(member: Member, block: ReportBlock, at: float) -> str:
    """What is wrong with a report about what this member sends, empty when nothing is."""
    microphone = member.client.microphone
    if microphone is None or block.ssrc != microphone.ssrc:
        return "not the SSRC of its microphone"
    uplink = microphone.uplink
    come = [i for i, arrived in enumerate(uplink.arrived) if 0 <= arrived <= at]
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
    if not low <= block.lost <= lost + leaps:
        return f"{block.lost} lost, in truth {lost}"
    if block.fraction and not lost and not leaps:
        return "a fraction is lost where nothing was"
    return ""
