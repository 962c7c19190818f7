"""Rooms that nobody is connected for any more are closed after their time, if they ask for it."""

from __future__ import annotations

from control.commands import RoomCreate
from control.events import RoomClosed
from tests.worker.harness import Bench


def observe(bench: Bench, *prefixes: str) -> None:
    """These prefixes are controlled from now on."""
    bench.worker.observe_controllers(lambda room: room.startswith(prefixes), bench.now)
    bench.drain()


def closed(bench: Bench) -> list[tuple[str | None, str]]:
    """Which rooms were closed since the last look, and why."""
    told, bench.told = bench.told, []
    return [(room, body.reason) for room, body in told if isinstance(body, RoomClosed)]


def orphanable(bench: Bench, *rooms: str) -> None:
    """Rooms that end 30 s after their last controller."""
    for room in rooms:
        bench.room(room, orphan_policy="close", orphan_timeout_s=30)


def test_a_room_ends_when_nobody_came_back_for_it_in_time() -> None:
    bench = Bench()
    observe(bench, "a", "b")
    orphanable(bench, "a1", "b1")
    bench.room("a2")
    bench.wait(100.0)
    observe(bench, "b")
    bench.wait(29.0)
    assert closed(bench) == []
    bench.wait(1.5)
    assert closed(bench) == [("a1", "orphaned")]
    bench.wait(60.0)
    assert closed(bench) == []


def test_whoever_comes_back_in_time_finds_the_room() -> None:
    bench = Bench()
    observe(bench, "a")
    orphanable(bench, "a1")
    for _ in range(5):
        observe(bench)
        bench.wait(20.0)
        observe(bench, "a")
        bench.wait(1.0)
    assert closed(bench) == []


def test_a_room_made_without_a_controller_counts_from_its_making() -> None:
    bench = Bench()
    orphanable(bench, "a1")
    bench.wait(30.5)
    assert closed(bench) == [("a1", "orphaned")]


def test_a_policy_given_later_counts_from_when_the_last_controller_left() -> None:
    bench = Bench()
    observe(bench, "a")
    bench.room("a1")
    observe(bench)
    bench.wait(20.0)
    bench.run(RoomCreate(room="a1", orphan_policy="close", orphan_timeout_s=30))
    bench.wait(9.0)
    assert closed(bench) == []
    bench.wait(1.5)
    assert closed(bench) == [("a1", "orphaned")]
