"""Distributions of rooms and lines, right and cheap however many there are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from control.commands import ParticipantRemove, RoomClose
from sfu.worker.census import PEOPLE_EDGES
from sfu.worker.survey import LOSS_EDGES, SURVEYED_MAX, Survey
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


def test_lines_are_counted_where_something_was_reported() -> None:
    survey = Survey(cast(Any, [peer(0.0), peer(0.015), peer(None)]))
    survey.take()
    assert dict(zip(LOSS_EDGES, survey.loss.counts, strict=False)) == {
        edge: int(edge in (0.0, 0.02)) for edge in LOSS_EDGES
    }
    assert (sum(survey.jitter_s.counts), sum(survey.rtt_s.counts)) == (0, 3)


def test_of_many_some_are_asked_and_everybody_in_turn() -> None:
    many = [peer(number / 1e6) for number in range(2 * SURVEYED_MAX + 1)]
    survey = Survey(cast(Any, many))
    totals = []
    for _ in range(4):
        survey.take()
        totals.append(sum(survey.loss.counts))
    assert totals == [SURVEYED_MAX, SURVEYED_MAX, 1, SURVEYED_MAX]
