"""Whom the server takes: each limit refuses by its name, and tells when it begins and ends."""

from __future__ import annotations

from typing import Any

import pytest

from control.commands import (
    ParticipantRemove,
    ParticipantSetRole,
    RoomClose,
    RoomCreate,
    ServerInfo,
)
from control.errors import ControlError, ErrorCode
from control.events import EventBody, ServerOverloaded, ServerRecovered
from control.types import Role
from sfu.worker.intake import LIMITS
from tests.worker.harness import Bench


def refusal(bench: Bench, ask: Any) -> ControlError:
    """What `ask` is refused with."""
    with pytest.raises(ControlError) as refused:
        ask()
    bench.drain()
    assert refused.value.code is ErrorCode.RESOURCE_EXHAUSTED
    assert refused.value.retry_after_ms is not None and refused.value.retry_after_ms > 0
    return refused.value


def about_limits(bench: Bench) -> list[EventBody]:
    """What was told of limits since the last look."""
    told, bench.told = bench.told, []
    return [body for _, body in told if isinstance(body, ServerOverloaded | ServerRecovered)]


def pass_seconds(bench: Bench, seconds: int, load: float = 0.0) -> None:
    """Let the shell tell the load once a second."""
    for _ in range(seconds):
        bench.now += 1.0
        bench.worker.observe_load(load, bench.now)
        bench.drain()


def test_rooms_participants_speakers_and_joins_each_refuse_by_name() -> None:
    bench = Bench(max_rooms=1, max_participants=3, max_speakers=1, max_joins_per_s=4)
    bench.room()
    assert refusal(bench, lambda: bench.run(RoomCreate(room="b"))).detail == {"limit": "rooms"}
    bench.join("a", Role.SPEAKER)
    assert refusal(bench, lambda: bench.join("b", Role.MODERATOR)).detail == {"limit": "speakers"}
    bench.join("b")
    bench.join("c")
    assert refusal(bench, lambda: bench.join("d")).detail == {"limit": "participants"}
    bench.join("c")
    assert refusal(bench, lambda: bench.join("c")).detail == {"limit": "joins_per_s"}
    counters = bench.worker.counters()
    assert {limit: counters[f"refused_{limit}"] for limit in LIMITS} == {
        "rooms": 1,
        "speakers": 1,
        "participants": 1,
        "joins_per_s": 1,
        "load": 0,
    }


def test_going_on_stage_is_refused_when_all_stages_together_are_full() -> None:
    bench = Bench(max_speakers=2)
    bench.room("r")
    bench.room("s")
    bench.join("a", Role.SPEAKER)
    bench.join("b", Role.SPEAKER, room="s")
    bench.join("c")
    up = ParticipantSetRole(room="r", participant="c", role=Role.SPEAKER)
    assert refusal(bench, lambda: bench.run(up)).detail == {"limit": "speakers"}
    bench.run(ParticipantSetRole(room="r", participant="a", role=Role.MODERATOR))
    bench.run(ParticipantSetRole(room="s", participant="b", role=Role.LISTENER))
    bench.run(up)
    assert bench.run(ServerInfo()).use["speakers"] == 2


def test_a_speaker_comes_back_to_a_full_stage() -> None:
    bench = Bench(max_speakers=1, max_participants=1)
    bench.room()
    bench.join("a", Role.SPEAKER)
    assert bench.join("a", Role.SPEAKER).participant.generation == 2
    bench.run(RoomClose(room="r"))
    assert bench.run(ServerInfo()).use["speakers"] == 0


def test_joins_come_again_at_their_rate() -> None:
    bench = Bench(max_joins_per_s=2)
    bench.room()
    bench.join("a")
    bench.join("b")
    assert bench.run(ServerInfo()).use["joins_per_s"] == 2
    assert refusal(bench, lambda: bench.join("c")).retry_after_ms == 1_000
    bench.now += 0.5
    bench.join("c")
    refusal(bench, lambda: bench.join("d"))
    bench.now += 1.0
    bench.join("d")
    bench.join("e")


def test_a_refused_join_costs_nothing_of_the_rate() -> None:
    bench = Bench(max_joins_per_s=1)
    bench.room()
    with pytest.raises(ControlError):
        bench.join("a", offer="nonsense")
    bench.join("a")


def test_an_overload_is_told_once_and_its_end_when_there_is_room_again() -> None:
    bench = Bench(max_participants=10)
    bench.room()
    for number in range(10):
        bench.join(str(number))
    assert about_limits(bench) == []
    for _ in range(3):
        refusal(bench, lambda: bench.join("late"))
    assert about_limits(bench) == [ServerOverloaded(limit="participants")]
    pass_seconds(bench, 10)
    assert about_limits(bench) == []
    bench.run(ParticipantRemove(room="r", participant="0"))
    pass_seconds(bench, 1)
    assert about_limits(bench) == [ServerRecovered(limit="participants")]


def test_a_busy_core_is_told_with_the_first_refusal_and_recovers() -> None:
    bench = Bench(max_load=0.5)
    bench.room()
    pass_seconds(bench, 10, load=1.0)
    assert about_limits(bench) == []
    refusal(bench, lambda: bench.join("a"))
    assert about_limits(bench) == [ServerOverloaded(limit="load")]
    info = bench.run(ServerInfo())
    assert info.limits["load"] == 50 and info.use["load"] == 99
    pass_seconds(bench, 10)
    assert about_limits(bench) == [ServerRecovered(limit="load")]


def test_every_limit_is_told_with_its_use() -> None:
    bench = Bench(max_rooms=4, max_speakers=2)
    bench.room()
    bench.join("a", Role.SPEAKER)
    info = bench.run(ServerInfo())
    assert info.limits.keys() == info.use.keys() == set(LIMITS)
    assert info.use == {"rooms": 1, "participants": 1, "speakers": 1, "joins_per_s": 1, "load": 0}
    assert info.load == 0.5
