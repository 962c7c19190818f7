"""The worker's inputs beyond commands: time, strangers' datagrams, draining, bugs."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, cast

import pytest
from aioice import stun

from control.commands import ParticipantGet, RoomCreate
from control.errors import ControlError, ErrorCode
from control.events import ParticipantLeft, RoomClosed
from control.types import LeaveReason, ParticipantStatus, Role
from sfu.transport.address import pack_address
from sfu.worker.peers import ADDRESS_KEPT_S
from tests.worker.harness import Bench

HERE = pack_address("192.0.2.7", 4000)


def check(ufrag: str, pwd: str, remote_ufrag: str = "abcd") -> bytes:
    """A connectivity check as a controlling agent of user fragment `remote_ufrag` sends it."""
    message = stun.Message(
        stun.Method.BINDING,
        stun.Class.REQUEST,
        attributes={
            "USERNAME": f"{ufrag}:{remote_ufrag}",
            "PRIORITY": 1,
            "ICE-CONTROLLING": 1,
            "USE-CANDIDATE": None,
        },
    )
    message.add_message_integrity(pwd.encode())
    return bytes(message)


def credentials(answer: str) -> tuple[str, str]:
    """The server's ufrag and pwd."""
    lines = dict(line.split(":", 1) for line in answer.splitlines() if ":" in line)
    return lines["a=ice-ufrag"], lines["a=ice-pwd"]


def test_an_authentic_check_is_answered_to_where_it_came_from() -> None:
    bench = Bench()
    bench.room()
    ufrag, pwd = credentials(bench.join("p").answer)
    bench.receive(check(ufrag, pwd), HERE)
    ((reply, address),) = bench.sent
    assert address == HERE
    assert stun.parse_message(reply).message_class is stun.Class.RESPONSE
    assert bench.worker.sizes()["addresses"] == 1


def test_strangers_get_no_answer_and_are_counted() -> None:
    bench = Bench()
    bench.room()
    ufrag, _ = credentials(bench.join("p").answer)
    bench.receive(check("nobody12", "x" * 24), HERE)
    bench.receive(check(ufrag, "x" * 24), HERE)
    bench.receive(b"\x80" + bytes(40), HERE)
    assert bench.sent == []
    counters = bench.worker.counters()
    assert counters["dropped_stun_stranger"] == 1
    assert counters["dropped_stun_integrity"] == 1
    assert counters["dropped_unvalidated"] == 1


def test_a_flood_of_forged_checks_is_cut_before_it_costs_hmacs() -> None:
    bench = Bench()
    bench.room()
    ufrag, pwd = credentials(bench.join("p").answer)
    for _ in range(300):
        bench.receive(check(ufrag, "x" * 24), HERE)
    assert bench.worker.counters()["dropped_stun_rate"] >= 150
    other = pack_address("198.51.100.1", 9)
    bench.receive(check(ufrag, pwd), other)
    assert [address for _, address in bench.sent] == [other]


def test_an_address_stays_with_whoever_was_heard_from_it_lately() -> None:
    """A forged source must not take somebody's path; a NAT may give it away once it is silent."""
    bench = Bench()
    bench.room()
    first = credentials(bench.join("p").answer)
    second = credentials(bench.join("q").answer)
    bench.receive(check(*first), HERE)
    bench.receive(check(*second), HERE)
    assert bench.worker.counters()["dropped_stun_taken"] == 1
    assert len(bench.sent) == 1
    bench.wait(ADDRESS_KEPT_S)
    bench.receive(check(*second), HERE)
    assert len(bench.sent) == 2
    assert bench.worker.sizes()["addresses"] == 1
    bench.receive(check(*first), HERE)
    assert bench.worker.counters()["dropped_stun_taken"] == 2
    bench.receive(check(*first), pack_address("192.0.2.7", 4001))
    assert bench.worker.sizes()["addresses"] == 2


def test_a_first_check_makes_the_participant_connecting() -> None:
    bench = Bench()
    bench.room()
    joined = bench.join("p")
    assert joined.participant.state is ParticipantStatus.NEW
    bench.receive(check(*credentials(joined.answer)), HERE)
    state = bench.run(ParticipantGet(room="r", participant="p")).participant.state
    assert state is ParticipantStatus.CONNECTING


def test_whoever_never_connects_expires_with_the_reason() -> None:
    bench = Bench(join_timeout_s=30.0)
    bench.room()
    bench.join("p")
    bench.methods()
    bench.wait(29.0)
    assert bench.told == []
    bench.wait(1.5)
    assert bench.told == [
        (
            "r",
            ParticipantLeft(participant="p", reason=LeaveReason.JOIN_EXPIRED, generation=1),
        )
    ]
    assert bench.worker.sizes()["transports"] == 0


def test_an_empty_room_closes_when_its_time_is_over() -> None:
    bench = Bench()
    bench.room(empty_timeout_s=5)
    bench.wait(5.1)
    assert bench.told == [("r", RoomClosed(reason="empty"))]
    assert bench.worker.sizes()["rooms"] == 0
    assert bench.worker.next_deadline() is None


def test_rooms_that_look_around_share_the_wakes_of_their_participants() -> None:
    """Fifty a second at most, however many there are, and nobody looks more than 20 ms late."""
    bench = Bench()
    looks: list[float] = []
    for number in range(40):
        bench.room(f"r{number}")
        bench.join("talker", Role.SPEAKER, room=f"r{number}")
        looks.append(bench.now + 0.1)
        bench.now += 0.0025
    wakes = set()
    while (deadline := bench.worker.next_deadline()) is not None and deadline <= looks[-1] + 0.02:
        bench.now = max(bench.now, deadline)
        wakes.add(bench.now)
        bench.worker.handle_timer(bench.now)
        bench.drain()
    assert len(wakes) <= 7
    for look in looks:
        assert min(wake for wake in wakes if wake >= look) <= look + 0.0201


def test_draining_sends_everybody_away_and_takes_nobody_new() -> None:
    bench = Bench()
    bench.room()
    bench.join("p", Role.MODERATOR)
    bench.methods()
    bench.worker.drain_participants(bench.now)
    bench.drain()
    assert [body.reason for _, body in bench.told if isinstance(body, ParticipantLeft)] == [
        LeaveReason.DRAINED
    ]
    with pytest.raises(ControlError) as refused:
        bench.run(RoomCreate(room="x"))
    assert refused.value.code is ErrorCode.UNAVAILABLE


@pytest.mark.parametrize("part", ["lines.look", "mixes.handle_timer", "tick_room"])
def test_a_bug_in_what_is_looked_at_holds_no_packet_back(part: str) -> None:
    bench = Bench()
    bench.room()
    bench.join("p", Role.SPEAKER)
    registry, flushed = bench.worker._registry, []
    forwarder = registry.forwarder

    class Watched:
        """The forwarder as it is; told when it is flushed."""

        def __getattr__(self, name: str) -> Any:
            return getattr(forwarder, name)

        def flush(self, now: float) -> None:
            flushed.append(now)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    owner, _, name = f"registry.{part}".rpartition(".")
    registry.forwarder = cast("Any", Watched())
    setattr({"registry": registry}.get(owner) or attrgetter(owner[9:])(registry), name, broken)
    with pytest.raises(ZeroDivisionError):
        bench.worker.handle_timer(bench.now + 1.0)
    assert flushed == [bench.now + 1.0]


def test_a_bug_costs_the_participant_that_hit_it_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bugs: list[Exception] = []
    bench = Bench(on_bug=bugs.append)
    bench.room()
    first = credentials(bench.join("p").answer)
    second = credentials(bench.join("q").answer)
    bench.methods()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("sfu.transport.ice.IceLite.receive", broken)
        bench.receive(check(*first), HERE)
    assert [type(bug) for bug in bugs] == [ZeroDivisionError]
    assert [
        (body.participant, body.reason)
        for _, body in bench.told
        if isinstance(body, ParticipantLeft)
    ] == [("p", LeaveReason.WORKER_LOST)]
    bench.receive(check(*second), HERE)
    assert len(bench.sent) == 1
    assert bench.worker.counters()["bugs"] == 1
