"""Handshakes wait for their turn: bounded, counted, and never before media."""

from __future__ import annotations

from typing import Any

import pytest

from control.types import ParticipantStatus, Role
from sfu.fast import Batch
from sfu.transport.address import pack_address
from sfu.worker import backlog
from sfu.worker.worker import HANDSHAKE_STEPS
from tests.worker.harness import Bench
from tests.worker.test_worker import check, credentials

RECORD = bytes((22,)) + bytes(40)


class Steps:
    """Stands in for a transport's way into DTLS and notes what comes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken: list[bytes] = []
        monkeypatch.setattr("sfu.transport.transport.Transport.receive_dtls", self._receive)

    def _receive(self, data: bytes, address: bytes, now: float) -> None:
        self.taken.append(data)


def connecting(bench: Bench, count: int) -> list[bytes]:
    """The addresses of participants that have passed a check."""
    bench.room()
    addresses = []
    for number in range(count):
        address = pack_address("192.0.2.7", 4_000 + number)
        bench.receive(check(*credentials(bench.join(f"p{number}").answer)), address)
        addresses.append(address)
    return addresses


def burst(bench: Bench, datagrams: list[tuple[bytes, bytes]]) -> None:
    """All of them in one batch."""
    inbox = Batch(len(datagrams), 2_048 * len(datagrams))
    for data, address in datagrams:
        assert inbox.append(data, address)
    bench.worker.receive(inbox, bench.now)
    bench.drain()


def turn(bench: Bench) -> None:
    """What the owner does while `next_deadline` has come."""
    assert bench.worker.next_deadline() == bench.now
    bench.worker.handle_timer(bench.now)
    bench.drain()


def test_a_turn_takes_a_few_steps_in_the_order_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    addresses = connecting(bench, 10)
    steps = Steps(monkeypatch)
    records = [RECORD + bytes((number,)) for number in range(10)]
    burst(bench, list(zip(records, addresses, strict=True)))
    assert steps.taken == []
    assert bench.worker.sizes()["dtls_waiting"] == 10
    turn(bench)
    assert steps.taken == records[:HANDSHAKE_STEPS]
    while steps.taken != records:
        turn(bench)
    deadline = bench.worker.next_deadline()
    assert deadline is not None and deadline > bench.now


def test_an_answer_to_a_check_and_a_command_do_not_wait_for_handshakes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    addresses = connecting(bench, 3)
    ufrag, pwd = credentials(bench.join("late", Role.SPEAKER).answer)
    steps = Steps(monkeypatch)
    bench.sent.clear()
    here = pack_address("192.0.2.8", 5_000)
    burst(bench, [*((RECORD, address) for address in addresses), (check(ufrag, pwd), here)])
    assert [address for _, address in bench.sent] == [here]
    assert bench.join("other").participant.state is ParticipantStatus.NEW
    assert steps.taken == []


def test_what_one_peer_lets_wait_is_limited_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "DATAGRAMS_OF_PEER_MAX", 3)
    bench = Bench()
    noisy, calm = connecting(bench, 2)
    Steps(monkeypatch)
    burst(bench, [*((RECORD, noisy) for _ in range(5)), (RECORD, calm)])
    assert bench.worker.sizes()["dtls_waiting"] == 4
    assert bench.worker.counters()["dropped_dtls_backlog"] == 2


def test_what_all_let_wait_is_limited_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "DATAGRAMS_MAX", 4)
    bench = Bench()
    addresses = connecting(bench, 6)
    steps = Steps(monkeypatch)
    burst(bench, [(RECORD, address) for address in addresses])
    assert bench.worker.counters()["dropped_dtls_backlog"] == 2
    while bench.worker.sizes()["dtls_waiting"]:
        turn(bench)
    burst(bench, [(RECORD, addresses[0])])
    assert bench.worker.sizes()["dtls_waiting"] == 1
    assert len(steps.taken) == 4


def test_whoever_leaves_takes_no_more_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    addresses = connecting(bench, 2)
    steps = Steps(monkeypatch)
    burst(bench, [(RECORD, address) for address in addresses])
    bench.worker.drain_participants(bench.now)
    bench.drain()
    while bench.worker.sizes()["dtls_waiting"]:
        turn(bench)
    assert steps.taken == []


def test_only_what_is_no_signalling_counts_as_media() -> None:
    bench = Bench()
    (address,) = connecting(bench, 1)
    before = bench.worker.heard_media_at
    burst(bench, [(RECORD, address), (b"\x80\xc9" + bytes(30), address)])
    assert bench.worker.heard_media_at == before
    burst(bench, [(b"\x80\x6f" + bytes(30), address)])
    assert bench.worker.heard_media_at == bench.now


def test_a_crowd_that_comes_due_at_once_is_served_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that media is read in between, whatever the number of participants."""
    monkeypatch.setattr("sfu.worker.worker.PEERS_PER_TURN", 3)
    bench = Bench(join_timeout_s=1.0)
    bench.room()
    for number in range(8):
        bench.join(f"p{number}")
    bench.now += 1.5
    present: list[Any] = []
    for _ in range(3):
        bench.worker.handle_timer(bench.now)
        bench.drain()
        present.append(bench.worker.sizes()["participants_listener"])
    assert present == [5, 2, 0]
