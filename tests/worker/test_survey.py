"""Distributions of rooms and lines, right and cheap however many there are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from control.commands import ParticipantMove, ParticipantRemove, RoomClose
from sfu.worker.census import PEOPLE_EDGES
from sfu.worker.survey import LOSS_EDGES, SURVEYED_MAX, SURVEYED_PER_STEP, Survey
from sfu.worker.tally import Tally
from tests.worker.harness import Bench


def test_a_value_is_counted_at_the_first_edge_that_is_not_below_it() -> None:
    tally = Tally((1.0, 2.0))
    for value in (0.0, 1.0, 1.5, 2.0, 3.0):
        tally.add(value)
    assert (tally.counts, tally.total) == ([2, 2, 1], 7.5)
    tally.add(1.5, -1)
    assert (tally.counts, tally.total) == ([2, 1, 1], 6.0)


def test_rooms_are_counted_by_the_people_in_them() -> None:
    bench = Bench()
    bench.room("r")
    bench.room("other")
    for number in range(3):
        bench.join(f"p{number}")
    bench.join("p", room="other")
    expected = Tally(PEOPLE_EDGES)
    expected.add(3)
    expected.add(1)
    assert bench.worker.room_people.counts == expected.counts
    bench.run(ParticipantRemove(room="r", participant="p0"))
    bench.run(RoomClose(room="other"))
    expected = Tally(PEOPLE_EDGES)
    expected.add(2)
    assert (bench.worker.room_people.counts, bench.worker.room_people.total) == (expected.counts, 2)


def peer(loss: float | None) -> Any:
    """With this line."""
    reporter = SimpleNamespace(jitter_s=None, rtt_s=0.03)
    return SimpleNamespace(
        line=SimpleNamespace(loss_ratio=loss), transport=SimpleNamespace(reporter=reporter)
    )


class FakePeers:
    """By row; counts who is asked."""

    def __init__(self, peers: dict[int, Any]) -> None:
        self.peers = peers
        self.asked = 0

    def rows(self) -> list[int]:
        """Of all."""
        return list(self.peers)

    def by_row(self, row: int) -> Any:
        """None for who has left."""
        self.asked += 1
        return self.peers.get(row)


def surveyed(*peers: Any) -> Survey:
    """A survey of these."""
    return Survey(cast(Any, FakePeers(dict(enumerate(peers)))))


def take(survey: Survey) -> None:
    """All of its steps."""
    for _ in survey.steps():
        pass


def test_a_step_asks_few_and_what_was_found_holds_until_the_last() -> None:
    peers = FakePeers({row: peer(0.0) for row in range(SURVEYED_MAX)})
    survey = Survey(cast(Any, peers))
    asked = 0
    for _ in survey.steps():
        assert 0 < peers.asked - asked <= SURVEYED_PER_STEP
        asked = peers.asked
        assert sum(survey.loss.counts) == 0
    assert sum(survey.loss.counts) == asked == SURVEYED_MAX


def test_whoever_leaves_during_a_survey_is_not_asked() -> None:
    peers = FakePeers({row: peer(0.0) for row in range(SURVEYED_PER_STEP + 1)})
    survey = Survey(cast(Any, peers))
    for _ in survey.steps():
        peers.peers.pop(SURVEYED_PER_STEP, None)
    assert sum(survey.loss.counts) == SURVEYED_PER_STEP


def test_lines_are_counted_where_something_was_reported() -> None:
    survey = surveyed(peer(0.0), peer(0.015), peer(None))
    assert (survey.loss.counts, survey.rtt_s.counts) == ([0] * 9, [0] * 9)
    take(survey)
    assert dict(zip(LOSS_EDGES, survey.loss.counts, strict=False)) == {
        edge: int(edge in (0.0, 0.02)) for edge in LOSS_EDGES
    }
    assert (sum(survey.jitter_s.counts), sum(survey.rtt_s.counts)) == (0, 3)


def test_of_many_some_are_asked_and_everybody_in_turn() -> None:
    survey = surveyed(*(peer(number / 1e6) for number in range(2 * SURVEYED_MAX + 1)))
    totals = []
    for _ in range(4):
        take(survey)
        totals.append(sum(survey.loss.counts))
    assert totals == [SURVEYED_MAX, SURVEYED_MAX, 1, SURVEYED_MAX]


def calls_in(read: Callable[[], object]) -> int:
    """How many functions are called."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        read()
    finally:
        sys.setprofile(None)
    return calls


def test_sizes_cost_the_same_however_many_rooms_there_are() -> None:
    calls = []
    for rooms in (1, 300):
        bench = Bench()
        for number in range(rooms):
            bench.room(f"r{number}")
        calls.append(calls_in(bench.worker.sizes))
    assert calls[0] == calls[1]


def test_listeners_of_all_rooms_are_counted_by_tier_wherever_they_go() -> None:
    bench = Bench()
    for room in ("r", "other"):
        bench.room(room)
        for number in range(3):
            bench.join(f"{room}-{number}", room=room)

    def listening() -> int:
        sizes = bench.worker.sizes()
        return sum(number for name, number in sizes.items() if name.startswith("listeners_"))

    assert listening() == 6
    bench.run(ParticipantMove(room="r", participant="r-0", to_room="other"))
    bench.run(ParticipantRemove(room="r", participant="r-1"))
    assert listening() == 5
    bench.run(RoomClose(room="other"))
    assert listening() == 1
