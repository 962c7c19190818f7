"""Every action, by every rank, on every rank: the table in full, written down a second time."""

from __future__ import annotations

import pytest

from deploy.club.refusal import Refused
from deploy.club.room.authority import (
    Action,
    Rank,
    action_of,
    may,
    may_to,
    own_actions,
    require,
)

RANKS = "OLSMH"  # outside, listener, speaker, moderator, host

# Who may do it to themselves or to the room.
OWN = {
    "raise_hand": "L",
    "lower_hand": "L",
    "accept": "L",
    "decline": "L",
    "mute": "SMH",
    "unmute": "SMH",
    "leave_stage": "SMH",
    "call_up": "MH",
    "lock": "MH",
    "unlock": "MH",
    "lock_hands": "MH",
    "unlock_hands": "MH",
    "end": "MH",
}

# Whom a moderator, and whom a host may do it to.
OTHERS = {
    "lower_hand": ("L", "L"),
    "call_up": ("L", "L"),
    "invite": ("L", "L"),
    "move_down": ("S", "SM"),
    "mute_other": ("S", "SM"),
    "make_moderator": ("S", "S"),
    "unmake_moderator": ("", "M"),
    "remove": ("LS", "LSM"),
    "ping": ("O", "O"),
}


def rank(letter: str) -> Rank:
    return Rank(RANKS.index(letter))


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("actor", Rank)
def test_what_a_rank_may_do_to_itself_and_the_room(action: Action, actor: Rank) -> None:
    assert may(actor, action) == (RANKS[actor] in OWN.get(action, ""))


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("actor", Rank)
@pytest.mark.parametrize("target", Rank)
def test_what_a_rank_may_do_to_others(action: Action, actor: Rank, target: Rank) -> None:
    moderators, hosts = OTHERS.get(action, ("", ""))
    letters = {Rank.MODERATOR: moderators, Rank.HOST: hosts}.get(actor, "")
    if action is Action.PING and actor is not Rank.OUTSIDE:
        letters = "O"
    assert may_to(actor, action, target) == (RANKS[target] in letters)


def test_every_action_is_somebodys() -> None:
    assert {*OWN, *OTHERS} == {action.value for action in Action}


@pytest.mark.parametrize("actor", Rank)
def test_hosts_of_the_club_end_any_room_and_send_anybody_away(actor: Rank) -> None:
    assert may(actor, Action.END, club_host=True)
    for target in (Rank.LISTENER, Rank.SPEAKER, Rank.MODERATOR, Rank.HOST):
        assert may_to(actor, Action.REMOVE, target, club_host=True)
    assert not may_to(actor, Action.REMOVE, Rank.OUTSIDE, club_host=True)


def test_hosts_of_the_club_are_otherwise_what_they_are() -> None:
    for action in Action:
        if action is not Action.END:
            assert may(Rank.LISTENER, action, club_host=True) == may(Rank.LISTENER, action)
        if action is not Action.REMOVE:
            for target in Rank:
                assert may_to(Rank.LISTENER, action, target, club_host=True) == may_to(
                    Rank.LISTENER, action, target
                )


def test_a_page_is_told_what_it_may_do_without_a_target() -> None:
    assert own_actions(Rank.LISTENER) == ["raise_hand", "lower_hand", "accept", "decline"]
    assert own_actions(Rank.OUTSIDE) == []
    assert own_actions(Rank.OUTSIDE, club_host=True) == ["end"]


def test_what_is_not_allowed_is_forbidden_and_what_is_unknown_is_a_bad_request() -> None:
    with pytest.raises(Refused) as caught:
        require(Rank.LISTENER, Action.END)
    assert (caught.value.code, caught.value.status) == ("forbidden", 403)
    with pytest.raises(Refused, match="forbidden"):
        require(Rank.MODERATOR, Action.REMOVE, Rank.HOST)
    require(Rank.HOST, Action.REMOVE, Rank.MODERATOR)
    with pytest.raises(Refused) as caught:
        action_of("sing")
    assert (caught.value.code, caught.value.status) == ("bad_request", 400)
    assert action_of("mute") is Action.MUTE
