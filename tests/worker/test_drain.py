"""Draining by command: nobody new, at the deadline nobody, and back."""

from __future__ import annotations

import pytest

from control.commands import (
    AnyCommand,
    ParticipantGet,
    ParticipantJoin,
    RoomCreate,
    ServerDrain,
    ServerInfo,
    ServerUndrain,
)
from control.errors import ControlError, ErrorCode
from control.events import EventBody, ParticipantLeft, RoomClosed, ServerDraining, ServerUndrained
from control.types import LeaveReason, Role
from sfu.worker.worker import DRAINED_PER_TURN
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
