"""Draining by command: nobody new, at the deadline nobody, and back."""

from __future__ import annotations

import pytest

from control.commands import (
    AnyCommand,
    ParticipantGet,
    ParticipantJoin,
    RoomClose,
    RoomCreate,
    ServerDrain,
    ServerInfo,
    ServerUndrain,
)
from control.errors import ControlError, ErrorCode
from control.events import EventBody, ParticipantLeft, RoomClosed, ServerDraining, ServerUndrained
from control.types import LeaveReason, Role
from sfu.worker.draining import DRAINED_PEOPLE_PER_TURN, DRAINED_PER_TURN, ROOMS_TOLD_PER_TURN
from tests.worker.harness import Bench, offer


def drained(bench: Bench) -> list[tuple[str | None, EventBody]]:
    """Take what was told."""
    told, bench.told = bench.told, []
    return told


def test_a_draining_server_tells_so_and_takes_nobody_not_even_back() -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    bench.methods()
    bench.run(ServerDrain(deadline_s=30))
    assert drained(bench) == [(None, ServerDraining(deadline_ms=30_000))]
    assert bench.worker.is_draining and bench.run(ServerInfo()).draining
    refused_ones: list[AnyCommand] = [RoomCreate(room="x")]
    refused_ones += [
        ParticipantJoin(room="r", participant=participant, role=Role.LISTENER, offer=offer())
        for participant in ("q", "p")
    ]
    for command in refused_ones:
        with pytest.raises(ControlError) as refused:
            bench.run(command)
        assert refused.value.code is ErrorCode.UNAVAILABLE
    bench.wait(29.0)
    assert bench.run(ParticipantGet(room="r", participant="p")).participant.generation == 1


def test_at_the_deadline_everybody_leaves_and_it_stays_empty() -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    bench.methods()
    bench.run(ServerDrain(deadline_s=5))
    bench.wait(0.0)
    drained(bench)
    bench.wait(5.0)
    assert drained(bench) == [
        ("r", ParticipantLeft(participant="p", reason=LeaveReason.DRAINED, generation=1)),
        ("r", RoomClosed(reason="drained")),
    ]
    assert bench.worker.is_draining
    assert bench.worker.next_deadline() is None


def test_many_rooms_are_closed_some_at_a_time() -> None:
    bench = Bench()
    rooms = DRAINED_PER_TURN + 1
    for number in range(rooms):
        bench.room(f"r{number}")
    bench.run(ServerDrain(deadline_s=0))
    bench.worker.handle_timer(bench.now)
    bench.drain()
    assert bench.worker.sizes()["rooms"] == 1
    assert bench.worker.next_deadline() == bench.now
    bench.wait(0.0)
    assert bench.methods().count("room.closed") == rooms


def left_in_each_turn(bench: Bench) -> list[int]:
    """How many leave in this turn and in those that follow, until there are no rooms."""
    turns: list[int] = []
    while bench.worker.has_rooms:
        drained(bench)
        if turns:
            deadline = bench.worker.next_deadline()
            assert deadline is not None and deadline <= bench.now, "it would be forgotten"
            bench.worker.handle_timer(bench.now)
        else:
            bench.worker.drain_participants(bench.now)
        bench.drain()
        turns.append(sum(isinstance(body, ParticipantLeft) for _, body in bench.told))
    return turns


@pytest.mark.parametrize("rooms", [1, 40, 1_500])
def test_thousands_leave_a_few_in_each_turn(rooms: int) -> None:
    people = 3_000
    bench = Bench(max_joins_per_s=1_000_000)
    for number in range(rooms):
        bench.room(f"r{number}", max_participants=people)
    for number in range(people):
        bench.join(f"p{number}", room=f"r{number % rooms}")
    turns = left_in_each_turn(bench)
    assert sum(turns) == people and bench.worker.is_empty
    assert max(turns) <= DRAINED_PEOPLE_PER_TURN
    assert len(turns) <= people / DRAINED_PEOPLE_PER_TURN + rooms / DRAINED_PER_TURN + rooms + 1
    assert bench.worker.counters()["left_drained"] == people
    assert bench.worker.next_deadline() is None


def test_a_large_room_is_closed_once_when_its_last_have_left() -> None:
    bench = Bench(max_joins_per_s=1_000_000)
    bench.room()
    for number in range(DRAINED_PEOPLE_PER_TURN + 1):
        bench.join(f"p{number}")
    bench.run(ServerDrain(deadline_s=0))
    drained(bench)
    bench.wait(0.0)
    told = [body for _, body in drained(bench)]
    assert {body.reason for body in told if isinstance(body, ParticipantLeft)} == {
        LeaveReason.DRAINED
    }
    assert [isinstance(body, RoomClosed) for body in told].index(True) == len(told) - 1


def test_the_newest_deadline_counts() -> None:
    bench = Bench()
    bench.room()
    bench.run(ServerDrain(deadline_s=5))
    bench.run(ServerDrain(deadline_s=20))
    bench.wait(10.0)
    assert bench.methods() == ["server.draining", "server.draining"]
    bench.wait(10.0)
    assert bench.methods() == ["room.closed"]


def test_undraining_keeps_everybody_and_is_told_once() -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    bench.run(ServerDrain(deadline_s=5))
    drained(bench)
    bench.run(ServerUndrain())
    bench.run(ServerUndrain())
    assert drained(bench) == [(None, ServerUndrained())]
    bench.wait(10.0)
    assert bench.worker.sizes()["rooms"] == 1
    bench.join("q")


def test_a_drained_server_takes_newcomers_after_undrain() -> None:
    bench = Bench()
    bench.room()
    bench.run(ServerDrain(deadline_s=0))
    bench.wait(0.0)
    bench.run(ServerUndrain())
    bench.room("again")
    assert bench.worker.sizes()["rooms"] == 1


def test_rooms_with_people_are_told_when_to_move_spread_by_how_many_there_are() -> None:
    bench = Bench()
    for room, people in (("first", 1), ("nobody", 0), ("last", 3)):
        bench.room(room)
        for number in range(people):
            bench.join(f"p{number}", room=room)
    drained(bench)
    bench.run(ServerDrain(deadline_s=100))
    bench.wait(0.0)
    now_ms = round((1_000_000.0 + bench.now) * 1_000)
    assert drained(bench) == [
        (None, ServerDraining(deadline_ms=100_000)),
        ("first", ServerDraining(deadline_ms=100_000, migrate_by=now_ms + 20_000)),
        ("last", ServerDraining(deadline_ms=100_000, migrate_by=now_ms + 80_000)),
    ]
    assert bench.worker.next_deadline() is not None


def test_many_rooms_are_told_some_at_a_time_and_not_those_that_closed_meanwhile() -> None:
    bench = Bench(max_joins_per_s=10_000)
    for number in range(ROOMS_TOLD_PER_TURN + 2):
        bench.room(f"r{number}")
        bench.join("p", room=f"r{number}")
    bench.run(ServerDrain(deadline_s=100))
    drained(bench)
    deadline = bench.worker.next_deadline()
    assert deadline is not None and deadline <= bench.now
    bench.worker.handle_timer(bench.now)
    bench.drain()
    assert bench.methods() == ["server.draining"] * ROOMS_TOLD_PER_TURN
    bench.run(RoomClose(room=f"r{ROOMS_TOLD_PER_TURN}"))
    drained(bench)
    bench.wait(0.0)
    (notice,) = drained(bench)
    assert notice[0] == f"r{ROOMS_TOLD_PER_TURN + 1}"


def test_an_undrained_server_asks_no_more_rooms_to_move() -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    bench.run(ServerDrain(deadline_s=100))
    bench.run(ServerUndrain())
    drained(bench)
    bench.wait(1.0)
    assert "server.draining" not in bench.methods()


def test_a_server_that_is_stopped_lets_stay_until_the_deadline_and_takes_nobody_back() -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    bench.worker.begin_leaving(30.0, bench.now)
    bench.drain()
    with pytest.raises(ControlError) as refused:
        bench.run(ServerUndrain())
    assert refused.value.code is ErrorCode.FAILED_PRECONDITION
    bench.wait(20.0)
    assert not bench.worker.is_empty
    drained(bench)
    bench.wait(10.0)
    assert bench.worker.is_empty
    assert bench.methods() == ["participant.left", "room.closed"]


def test_stopping_gives_no_more_time_than_an_earlier_drain() -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    bench.run(ServerDrain(deadline_s=5))
    drained(bench)
    bench.worker.begin_leaving(3_600.0, bench.now)
    bench.drain()
    assert drained(bench)[0] == (None, ServerDraining(deadline_ms=5_000))
    bench.wait(5.0)
    assert bench.worker.is_empty


def test_a_drain_asked_for_while_stopping_gives_no_more_time_than_there_is() -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    bench.worker.begin_leaving(5.0, bench.now)
    bench.drain()
    drained(bench)
    bench.run(ServerDrain(deadline_s=3_600))
    assert drained(bench)[0] == (None, ServerDraining(deadline_ms=5_000))
    bench.wait(5.0)
    assert bench.worker.is_empty
