"""Who may enter which room: the whole table."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest

from deploy.club.hall.access import Facts, is_shown, refusal
from deploy.club.store import RoomState, Seat, Visibility

ALL_SEATS: tuple[Seat | None, ...] = (*get_args(Seat), None)


def code_of(facts: Facts) -> str | None:
    problem = refusal(facts)
    return None if problem is None else problem.code


def code(**facts: Any) -> str | None:
    return code_of(Facts(**facts))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, None),
        ({"seat": "host"}, None),
        ({"seat": "removed"}, "removed"),
        ({"seat": "removed", "is_follower": True, "visibility": "followers"}, "removed"),
        ({"seat": "removed", "visibility": "invited"}, "removed"),
        ({"visibility": "followers"}, "followers_only"),
        ({"visibility": "followers", "is_follower": True}, None),
        ({"visibility": "followers", "seat": "invited"}, None),
        ({"visibility": "followers", "seat": "speaker"}, None),
        ({"visibility": "followers", "seat": "host"}, None),
        ({"visibility": "invited"}, "invited_only"),
        ({"visibility": "invited", "is_follower": True}, "invited_only"),
        ({"visibility": "invited", "seat": "invited"}, None),
        ({"visibility": "invited", "seat": "moderator"}, None),
        ({"visibility": "invited", "seat": "host"}, None),
        ({"is_locked": True}, "locked"),
        ({"is_locked": True, "seat": "invited"}, "locked"),
        ({"is_locked": True, "is_inside": True}, None),
        ({"is_locked": True, "is_inside": True, "seat": "removed"}, "removed"),
        ({"is_locked": True, "seat": "speaker"}, None),
        ({"is_locked": True, "seat": "moderator"}, None),
        ({"is_locked": True, "seat": "host"}, None),
        ({"state": "scheduled"}, "not_open"),
        ({"state": "scheduled", "seat": "host"}, "not_open"),
        ({"state": "scheduled", "visibility": "invited"}, "invited_only"),
        ({"state": "ended", "seat": "host"}, "over"),
        ({"state": "ended", "is_inside": True}, "over"),
        ({"state": "cancelled"}, "over"),
    ],
)
def test_who_may_enter(facts: dict[str, Any], expected: str | None) -> None:
    assert code(**facts) == expected


@pytest.mark.parametrize("state", get_args(RoomState))
@pytest.mark.parametrize("visibility", get_args(Visibility))
@pytest.mark.parametrize("seat", ALL_SEATS)
def test_a_block_hides_everything_but_ones_own_room(
    state: RoomState, visibility: Visibility, seat: Seat | None
) -> None:
    facts = Facts(state=state, visibility=visibility, seat=seat, is_follower=True, is_blocked=True)
    if seat == "host":
        assert code_of(facts) != "no_such_room"
    else:
        assert code_of(facts) == "no_such_room"
        assert not is_shown(facts)


def test_who_is_no_member_enters_nothing() -> None:
    for seat, visibility in itertools.product(ALL_SEATS, get_args(Visibility)):
        assert code(seat=seat, visibility=visibility, is_member=False) == "not_member"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, True),
        ({"state": "scheduled"}, True),
        ({"state": "scheduled", "visibility": "followers"}, False),
        ({"state": "ended"}, False),
        ({"state": "cancelled"}, False),
        ({"is_locked": True}, False),
        ({"is_locked": True, "seat": "speaker"}, True),
        ({"seat": "removed"}, False),
        ({"visibility": "invited"}, False),
    ],
)
def test_what_lists_show(facts: dict[str, Any], expected: bool) -> None:
    assert is_shown(Facts(**facts)) is expected


def test_every_refusal_is_a_client_error_with_a_text() -> None:
    for state, seat, locked in itertools.product(get_args(RoomState), ALL_SEATS, (False, True)):
        problem = refusal(Facts(state=state, seat=seat, is_locked=locked))
        assert problem is None or (400 <= problem.status < 500 and problem.text)
