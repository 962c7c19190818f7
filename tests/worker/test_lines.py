"""What a listener's reports do at the worker: the counts that they are compared with, the gauge."""

from __future__ import annotations

from typing import Any, cast

import pytest

from control.commands import SubscriptionGet
from sfu.fast import EgressStats, Forwarder
from sfu.transport.rtcp import ReportBlock
from sfu.worker.lines import follow_line
from sfu.worker.peers import Peer
from tests.worker.harness import Bench, offer


class Reports:
    """A transport whose client has just reported."""

    def __init__(self) -> None:
        self.reporter = self
        self.blocks: dict[int, ReportBlock] = {}

    def reported(self, now: float) -> dict[int, ReportBlock]:
        return self.blocks


class Counts:
    """A forwarder that has sent so much on each egress."""

    def __init__(self) -> None:
        self.sent = 0

    def egress_stats(self, egress: int) -> EgressStats:
        return EgressStats(self.sent, 0, 0, 0.0, 1_000 + self.sent)


def report(highest: int, lost: int) -> ReportBlock:
    return ReportBlock(
        ssrc=1,
        fraction_lost=0,
        cumulative_lost=lost,
        highest_sequence=highest,
        jitter_ticks=0,
        lsr=0,
        dlsr=0,
    )


def reported(bench: Bench, *, lost: int, red: int) -> Peer:
    """Somebody whose client has reported twice, 250 packets apart, of which so many were lost."""
    bench.room()
    bench.join("guest-1", offer=offer(red_payload_type=red))
    peer = bench.worker._registry.peers.of("r", "guest-1")
    assert peer is not None
    egresses = peer.room.participants["guest-1"].egresses
    transport, reports, counts = peer.transport, Reports(), Counts()
    peer.transport = cast("Any", reports)
    for step in range(2):
        counts.sent = 250 * step
        reports.blocks = {egresses[0]: report(1_000 + counts.sent, lost * step)}
        follow_line(peer, cast(Forwarder, counts), bench.now)
    peer.transport = transport
    return peer


def gauge(bench: Bench) -> list[int]:
    return [bench.worker.sizes()[f"listeners_{copies}"] for copies in range(3)]


@pytest.mark.parametrize(("lost", "copies"), [(0, 0), (25, 1), (50, 2)])
def test_a_lossy_line_is_protected_told_and_counted(lost: int, copies: int) -> None:
    bench = Bench()
    peer = reported(bench, lost=lost, red=63)
    state = bench.run(SubscriptionGet(room="r", participant="guest-1")).subscription
    assert (state.protection, state.loss_ratio) == (copies, lost / 250)
    assert peer.line.copies == copies
    assert gauge(bench) == [int(number == copies) for number in range(3)]
    streams = bench.worker.forwarder.sizes()["streams"]
    assert streams == (6 if copies else 3), "made when the first listener needs them"


def test_who_takes_no_red_has_a_loss_and_no_protection() -> None:
    bench = Bench()
    reported(bench, lost=50, red=0)
    state = bench.run(SubscriptionGet(room="r", participant="guest-1")).subscription
    assert (state.protection, state.loss_ratio) == (0, 0.2)
    assert gauge(bench) == [1, 0, 0]


def test_whoever_replaces_somebody_begins_unprotected() -> None:
    bench = Bench()
    reported(bench, lost=50, red=63)
    bench.join("guest-1", offer=offer(red_payload_type=63))
    state = bench.run(SubscriptionGet(room="r", participant="guest-1")).subscription
    assert (state.protection, state.loss_ratio) == (0, None)
    assert gauge(bench) == [1, 0, 0]


def test_nobody_is_counted_in_an_empty_server() -> None:
    assert gauge(Bench()) == [0, 0, 0]
