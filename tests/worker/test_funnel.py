"""How far joins come and how long they take, without anything per packet."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from sfu.transport.events import Checked, Connected
from sfu.worker.funnel import EDGES_S, GRAIN_S, Funnel, Stage


@dataclass
class FakeForwarder:
    """Packets by row."""

    came: dict[int, int] = field(default_factory=dict)
    went: dict[int, int] = field(default_factory=dict)
    asked: int = 0

    def source_stats(self, source: int) -> Any:
        self.asked += 1
        return SimpleNamespace(packets=self.came.get(source, 0))

    def egress_stats(self, egress: int) -> Any:
        self.asked += 1
        return SimpleNamespace(packets=self.went.get(egress, 0))


class FakePeers:
    def __init__(self) -> None:
        self.gone: list[Any] = []

    def is_here(self, peer: Any) -> bool:
        return peer not in self.gone


class Rig:
    def __init__(self) -> None:
        self.forwarder, self.peers = FakeForwarder(), FakePeers()
        self.funnel = Funnel(cast(Any, self.forwarder), cast(Any, self.peers))

    def connected(self, now: float, *, source: int = 1, egresses: tuple[int, ...] = (2,)) -> Any:
        """Somebody who joined 30 ms ago, was checked 20 ms ago and is connected now."""
        peer = SimpleNamespace(
            joined_at=now - 0.03, source=source, egresses=egresses, egress_count=len(egresses)
        )
        self.funnel.note(Checked(), cast(Any, peer), now - 0.02)
        self.funnel.note(Connected(), cast(Any, peer), now)
        return peer

    def run(self, until: float) -> int:
        """Let time pass from deadline to deadline; how many there were."""
        looks = 0
        while (deadline := self.funnel.deadline) is not None and deadline <= until:
            self.funnel.look(deadline)
            looks += 1
        return looks

    def counts(self, stage: Stage) -> dict[float, int]:
        """By edge, of those that have any."""
        tally = self.funnel.tallies[stage]
        return {
            edge: n for edge, n in zip((*EDGES_S, float("inf")), tally.counts, strict=True) if n
        }


def test_checks_and_handshakes_are_timed_from_the_join() -> None:
    rig = Rig()
    rig.connected(100.0)
    assert rig.counts(Stage.STUN_OK) == {0.02: 1}
    assert rig.counts(Stage.DTLS_OK) == {0.05: 1}


def test_the_first_packets_are_found_at_the_edge_after_them() -> None:
    rig = Rig()
    rig.connected(100.0)
    rig.run(100.15)
    rig.forwarder.came[1] = 5
    rig.run(100.9)
    rig.forwarder.went[2] = 1
    rig.run(200.0)
    assert rig.counts(Stage.FIRST_RTP_IN) == {0.2: 1}
    assert rig.counts(Stage.FIRST_RTP_OUT) == {1.0: 1}


def test_each_newcomer_is_looked_at_a_handful_of_times_and_then_no_more() -> None:
    rig = Rig()
    rig.connected(100.0)
    assert rig.run(1_000.0) == len(EDGES_S)
    assert rig.funnel.deadline is None
    assert rig.forwarder.asked == 2 * len(EDGES_S)
    rig.connected(2_000.0)
    rig.forwarder.came[1] = rig.forwarder.went[2] = 1
    assert rig.run(3_000.0) == 1


def test_who_has_no_microphone_is_not_waited_for_and_who_left_neither() -> None:
    rig = Rig()
    rig.connected(100.0, source=-1)
    rig.forwarder.went[2] = 1
    rig.run(100.5)
    assert rig.funnel.deadline is None and rig.counts(Stage.FIRST_RTP_IN) == {}
    rig.peers.gone.append(rig.connected(200.0))
    rig.run(200.5)
    assert rig.funnel.deadline is None
    assert sum(rig.counts(Stage.FIRST_RTP_OUT).values()) == 1


def test_looks_are_in_step_with_the_workers_wakes() -> None:
    rig = Rig()
    rig.connected(100.0073)
    rig.connected(100.0121)
    deadline = rig.funnel.deadline
    assert deadline is not None
    assert abs(deadline / GRAIN_S - round(deadline / GRAIN_S)) < 1e-6
    rig.funnel.look(deadline)
    assert rig.forwarder.asked == 4
