"""The order of live rooms: people first, then interests, then life."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.club.hall.ranking import FRESHNESS_HALF_LIFE, Candidate, rank, score

NOW = datetime(2030, 5, 1, 20, 0, tzinfo=UTC)
ME_FOLLOWS = frozenset({"m-red", "m-blue", "m-green", "m-white", "m-black"})
ME_LIKES = frozenset({"jazz", "science", "cooking"})


def room(room_id: str, **given_: Any) -> Candidate:
    facts: dict[str, Any] = {"opened_at": NOW - timedelta(minutes=10), "speakers": 1}
    return Candidate(room_id, **(facts | given_))


def order(*rooms: Candidate) -> list[str]:
    return [each.room_id for each in rank(rooms, ME_LIKES, ME_FOLLOWS, NOW)]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"hosts": frozenset({"m-red"})}, {"stage": frozenset({"m-red"})}),
        ({"stage": frozenset({"m-red"})}, {"hosts": frozenset({"m-stranger"})}),
        ({"hosts": frozenset({"m-red"})}, {"interests": frozenset({"jazz"})}),
        ({"interests": frozenset({"jazz", "science"})}, {"interests": frozenset({"jazz"})}),
        ({"interests": frozenset({"jazz"})}, {"interests": frozenset({"sport"})}),
        ({"listeners": 20}, {"listeners": 2}),
        ({"opened_at": NOW}, {"opened_at": NOW - timedelta(hours=1)}),
        ({"speakers": 1, "listeners": 1}, {"speakers": 0, "listeners": 9}),
        ({"is_invited": True}, {"listeners": 1000}),
        ({"hosts": frozenset({"m-red", "m-blue"})}, {"listeners": 5000}),
        (
            {"is_invited": True, "hosts": frozenset({"m-red"})},
            {"hosts": ME_FOLLOWS, "listeners": 3},
        ),
    ],
)
def test_what_comes_before_what(better: dict[str, Any], worse: dict[str, Any]) -> None:
    assert order(room("r-a", **worse), room("r-z", **better)) == ["r-z", "r-a"]


def test_a_host_who_is_on_stage_counts_once() -> None:
    both = room("r-a", hosts=frozenset({"m-red"}), stage=frozenset({"m-red"}))
    host = room("r-b", hosts=frozenset({"m-red"}))
    assert score(both, ME_LIKES, ME_FOLLOWS, NOW) == score(host, ME_LIKES, ME_FOLLOWS, NOW)


def test_more_than_three_friends_change_nothing() -> None:
    three = room("r-a", hosts=frozenset({"m-red", "m-blue", "m-green"}))
    five = room("r-b", hosts=ME_FOLLOWS)
    assert score(three, ME_LIKES, ME_FOLLOWS, NOW) == score(five, ME_LIKES, ME_FOLLOWS, NOW)


def test_freshness_halves_with_each_half_life_and_never_exceeds_that_of_a_new_room() -> None:
    def fresh(age: timedelta) -> float:
        old = room("r-b", opened_at=NOW - timedelta(days=365))
        new = room("r-a", opened_at=NOW - age)
        return score(new, ME_LIKES, ME_FOLLOWS, NOW) - score(old, ME_LIKES, ME_FOLLOWS, NOW)

    assert fresh(FRESHNESS_HALF_LIFE) == pytest.approx(fresh(timedelta()) / 2)
    assert fresh(-timedelta(hours=1)) == fresh(timedelta())


def test_equal_rooms_go_by_age_and_then_by_identifier() -> None:
    first, second = room("r-a"), room("r-b")
    assert order(second, first) == ["r-a", "r-b"]


names = st.sets(st.sampled_from(["jazz", "science", "sport", "m-red", "m-blue"])).map(frozenset)
candidates = st.builds(
    Candidate,
    room_id=st.uuids().map(str),
    opened_at=st.integers(0, 10**6).map(lambda s: NOW - timedelta(seconds=s)),
    interests=names,
    hosts=names,
    stage=names,
    speakers=st.integers(0, 50),
    listeners=st.integers(0, 10**5),
    is_invited=st.booleans(),
)


@given(st.lists(candidates, max_size=12), st.randoms(use_true_random=False))
def test_the_order_depends_on_the_rooms_and_not_on_how_they_came(
    rooms: list[Any], chance: Any
) -> None:
    expected = order(*rooms)
    chance.shuffle(rooms)
    assert order(*rooms) == expected
    assert sorted(expected) == sorted(each.room_id for each in rooms)
