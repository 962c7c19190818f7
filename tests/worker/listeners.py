"""A worker's lines with scripted answers, on a forwarder that counts what it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from control.types import Role
from sfu.fast import Delivery, EgressStats
from sfu.listening import Demand, Terms, Tier
from sfu.transport.rtcp import ReportBlock
from sfu.worker.lines import Lines
from sfu.worker.peers import Peer
from tests.worker.harness import Bench, offer


class Reporter:
    """A client that has just said something."""

    rtt_s = 0.05
    jitter_s = 0.01

    def __init__(self) -> None:
        self.blocks: dict[int, ReportBlock] = {}
        self.told: list[bytes] = []
        self.remb_bps: float | None = None

    def reported(self, now: float) -> dict[int, ReportBlock]:
        return self.blocks

    def take_deliveries(self) -> list[bytes]:
        told, self.told = self.told, []
        return told

    def take_remb(self) -> float | None:
        return self.remb_bps


class Sending:
    """A forwarder that has sent so much on each egress, and is told whom to stamp."""

    def __init__(self) -> None:
        self.sent = 0
        self.stamped: list[tuple[int, bool]] = []

    def egress_stats(self, egress: int) -> EgressStats:
        return EgressStats(self.sent, 80 * self.sent, 0, 0.0, 1_000 + self.sent)

    def deliveries(self, row: int, feedback: bytes, now: float) -> list[Delivery]:
        return [Delivery(now - 0.1, now, len(feedback))]

    def set_stamped(self, row: int, on: bool) -> None:
        self.stamped.append((row, on))


class ScriptedLine:
    """A line that answers what a test says, and remembers what it was told."""

    def __init__(self) -> None:
        self.tier, self.copies, self.copies_sent = Tier.A1, 0, 0
        self.cause: Any = type("Cause", (), {"value": "estimate"})
        self.loss_ratio: float | None = None
        self.estimate_bps: float | None = None
        self.history: list[Any] = []
        self.is_settled = True
        self.is_sent = True  # anything at all
        self.wants_stamps = False
        self.asked: list[tuple[Demand, Terms]] = []
        self.sent: list[int] = []
        self.deliveries: list[Delivery] = []
        self.remb: list[float] = []
        self.reports: list[Any] = []

    def is_sent_anything(self, now: float) -> bool:
        return self.is_sent

    def observe_sent(self, packets: int, now: float) -> None:
        self.sent.append(packets)

    def observe_deliveries(self, deliveries: Sequence[Delivery], now: float) -> None:
        self.deliveries += deliveries

    def observe_remb(self, bps: float, now: float) -> None:
        self.remb.append(bps)

    def observe_reports(self, counted: Any, **told: Any) -> None:
        self.reports.append((counted, told["rtt_s"], told["jitter_s"]))

    def decide(self, demand: Demand, terms: Terms, now: float) -> bool:
        self.asked.append((demand, terms))
        if self.tier not in terms.tiers:
            self.tier = terms.rungs[0]
        return True


class House:
    """A worker's lines, with a forwarder that counts; listeners' answers are scripted."""

    def __init__(self, listeners: int = 1) -> None:
        self.bench = Bench()
        self.bench.room()
        for index in range(listeners):
            self.bench.join(f"guest-{index}", offer=offer(ufrag=f"g{index:03}"))
        self.registry = self.bench.worker._registry
        self.sending = Sending()
        self.settled: list[str] = []
        self.counters: Counter[str] = Counter()
        self.lines = Lines(
            cast("Any", self.sending),
            self.registry.peers,
            self.counters,
            rooms=self.registry.rooms,
            settle=lambda room: self.settled.append(room.id),
        )
        self.now = self.bench.now
        for index in range(listeners):
            self.peer(index).line = cast("Any", ScriptedLine())

    def peer(self, index: int = 0) -> Peer:
        peer = self.registry.peers.of("r", f"guest-{index}")
        assert peer is not None
        return peer

    def line(self, index: int = 0) -> ScriptedLine:
        return cast("ScriptedLine", self.peer(index).line)

    def flow(self) -> None:
        """Somebody is audible, so the room is not at rest."""
        self.bench.join("talker", Role.SPEAKER, offer=offer(ufrag="talk"))
        assert self.registry.rooms["r"].is_flowing

    def pass_time(self, seconds: float) -> int:
        """Look at each deadline; the most that were asked at one of them."""
        end, most = self.now + seconds, 0
        while (deadline := self.lines.deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            before = self.counters["line_decisions"]
            self.lines.look(self.now)
            most = max(most, self.counters["line_decisions"] - before)
            following = self.lines.deadline
            assert following is None or following > self.now, "a deadline in the past spins"
        self.now = end
        return most
