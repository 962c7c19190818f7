"""Whoever joins again is somebody new: nothing late of the old connection touches the new one."""

from __future__ import annotations

import pytest

from control.commands import ParticipantGet, ParticipantRemove, RoomClose, ServerInfo
from control.errors import ControlError
from control.events import (
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantJoined,
    ParticipantLeft,
)
from control.types import LeaveReason, ParticipantState, ParticipantStatus, Role
from sfu.transport.address import pack_address
from sfu.transport.events import (
    Closed,
    Connected,
    Recovered,
    Revoked,
    Routed,
    Suspected,
    TransportEvent,
    Validated,
)
from sfu.worker.peers import Peer
from sfu.worker.registry import Registry
from tests.worker.harness import Bench
from tests.worker.test_worker import check, credentials

OLD = pack_address("192.0.2.7", 4000)
NEW = pack_address("192.0.2.8", 4000)
HELLO = b"\x16\xfe\xfd" + bytes(60)  # a DTLS handshake record


def test_a_late_goodbye_touches_nobody_in_the_next_room_of_the_same_name() -> None:
    bench = Bench()
    bench.room()
    for _ in range(3):
        bench.join("p")
    bench.run(RoomClose(room="r"))
    bench.room()
    bench.join("q")
    assert bench.join("p").participant.generation == 4
    for late in (1, 2, 3):
        with pytest.raises(ControlError, match="generation"):
            bench.run(ParticipantRemove(room="r", participant="p", if_generation=late))


class Twice:
    """`p` has joined, was heard from OLD, and has joined again."""

    def __init__(self) -> None:
        self.bench = Bench(join_timeout_s=30.0)
        self.bench.room()
        self.registry: Registry = self.bench.worker._registry
        self.old_credentials = credentials(self.bench.join("p", Role.SPEAKER).answer)
        self.bench.receive(check(*self.old_credentials), OLD)
        self.old = self.peer()
        self.bench.now += 20.0
        self.new_credentials = credentials(self.bench.join("p", Role.SPEAKER).answer)
        self.new = self.peer()
        self.bench.methods()
        self.bench.sent.clear()

    def peer(self) -> Peer:
        peer = self.registry.peers.of("r", "p")
        assert peer is not None
        return peer

    def state(self) -> ParticipantState:
        state: ParticipantState = self.bench.run(
            ParticipantGet(room="r", participant="p")
        ).participant
        return state


def test_replacing_ends_the_old_before_the_new_begins() -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    bench.told.clear()
    bench.join("p")
    (_, left), (_, joined) = bench.told
    assert left == ParticipantLeft(participant="p", reason=LeaveReason.REPLACED, generation=1)
    assert isinstance(joined, ParticipantJoined) and joined.state.generation == 2


def test_checks_with_old_credentials_are_those_of_a_stranger() -> None:
    twice = Twice()
    twice.bench.receive(check(*twice.old_credentials), OLD)
    twice.bench.receive(check(*twice.old_credentials), NEW)
    assert twice.bench.sent == []
    assert twice.bench.worker.counters()["dropped_stun_stranger"] == 2
    assert twice.state().state is ParticipantStatus.NEW
    assert twice.bench.worker.sizes()["addresses"] == 0


def test_datagrams_from_the_old_address_reach_nobody() -> None:
    twice = Twice()
    for datagram in (HELLO, b"\x80\x6f" + bytes(60), b"\x80\xc9" + bytes(60)):
        twice.bench.receive(datagram, OLD)
    assert twice.bench.sent == []
    assert twice.bench.worker.sizes()["dtls_waiting"] == 0
    assert twice.state().state is ParticipantStatus.NEW


def test_handshakes_that_waited_are_not_given_to_the_new_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    received: list[bytes] = []
    monkeypatch.setattr(
        "sfu.transport.transport.Transport.receive_dtls",
        lambda self, data, address, now: received.append(data),
    )
    bench = Bench()
    bench.room()
    bench.receive(check(*credentials(bench.join("p").answer)), OLD)
    bench.receive(HELLO, OLD)
    assert bench.worker.sizes()["dtls_waiting"] == 1
    bench.receive(check(*credentials(bench.join("p").answer)), OLD)  # the same socket again
    bench.wait(0.1)
    assert received == [] and bench.worker.sizes()["dtls_waiting"] == 0
    bench.receive(HELLO, OLD)
    bench.wait(0.1)
    assert received == [HELLO]


def test_the_old_deadline_to_connect_ends_nobody() -> None:
    twice = Twice()
    twice.bench.wait(29.0)  # past that of the old, before that of the new
    assert twice.bench.methods() == []
    twice.bench.wait(2.0)
    assert twice.bench.told == [
        (
            "r",
            ParticipantLeft(participant="p", reason=LeaveReason.JOIN_EXPIRED, generation=2),
        )
    ]


@pytest.mark.parametrize(
    "event",
    [
        Closed(LeaveReason.CONSENT_EXPIRED),
        Closed(LeaveReason.DTLS_CLOSED),
        Suspected(),
        Connected(),
        Recovered(),
        Validated(OLD),
        Validated(NEW),
        Routed(NEW),
        Revoked(NEW),
    ],
)
def test_what_the_old_connection_tells_late_changes_nothing(event: TransportEvent) -> None:
    twice = Twice()
    twice.bench.receive(check(*twice.new_credentials), NEW)
    before = twice.state(), twice.bench.worker.sizes()
    twice.bench.methods()
    twice.old.transport._events.append(event)
    twice.registry.settle(twice.old, twice.bench.now)
    twice.bench.drain()
    assert twice.bench.told == []
    assert (twice.state(), twice.bench.worker.sizes()) == before
    assert twice.peer() is twice.new
    twice.bench.sent.clear()
    twice.bench.receive(check(*twice.new_credentials), NEW)
    assert [address for _, address in twice.bench.sent] == [NEW]


def test_what_a_connection_tells_after_its_end_concerns_nobody() -> None:
    twice = Twice()
    twice.new.transport._events += [
        Closed(LeaveReason.DTLS_CLOSED),
        Suspected(),
        Closed(LeaveReason.CONSENT_EXPIRED),
    ]
    twice.registry.settle(twice.new, twice.bench.now)
    twice.bench.drain()
    assert [body for _, body in twice.bench.told] == [
        ParticipantLeft(participant="p", reason=LeaveReason.DTLS_CLOSED, generation=2)
    ]


def test_a_bug_of_the_old_connection_sends_nobody_away() -> None:
    bugs: list[Exception] = []
    bench = Bench(on_bug=bugs.append)
    bench.room()
    bench.join("p")
    old = bench.worker._registry.peers.of("r", "p")
    assert old is not None
    bench.join("p")
    bench.methods()

    def fail() -> None:
        raise ZeroDivisionError

    bench.worker._guard.give(old, bench.now, fail)
    bench.drain()
    assert len(bugs) == 1 and bench.methods() == []


def test_events_of_each_connection_carry_its_generation() -> None:
    twice = Twice()
    twice.new.transport._events += [Connected(), Suspected(), Recovered()]
    twice.registry.settle(twice.new, twice.bench.now)
    twice.bench.drain()
    told = [body for _, body in twice.bench.told]
    assert told == [
        ParticipantConnected(participant="p", generation=2),
        ParticipantDisconnected(participant="p", generation=2),
        ParticipantConnected(participant="p", generation=2),
    ]


def test_a_room_that_has_ended_does_not_take_its_successor_along() -> None:
    twice = Twice()
    ended = twice.registry.room("r")
    twice.bench.run(RoomClose(room="r"))
    twice.bench.room()
    twice.bench.join("p", Role.SPEAKER)
    twice.bench.methods()
    twice.new.transport._events.append(Closed(LeaveReason.DTLS_CLOSED))
    twice.registry.settle(twice.new, twice.bench.now)
    twice.registry.settle_room(ended)
    twice.bench.drain()
    assert twice.bench.told == []
    assert twice.state().generation == 3
    assert twice.bench.run(ServerInfo()).use["speakers"] == 1
