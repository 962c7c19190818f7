"""Who may do what in a live room: one table, no exceptions elsewhere. Pure.

A member's rank is the seat that the club remembers, not where they sit: a moderator who has left
the stage is still one. Everybody acts on themselves as their rank allows, moderators on those below
them, hosts on moderators too, nobody on a host. Hosts of the club may end any room and send anybody
away, whether they are in the room or not, because they answer for the whole of it.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

from deploy.club.refusal import N_, Refused


class Rank(IntEnum):
    """What a member is in a room."""

    OUTSIDE = 0  # not in it
    LISTENER = 1
    SPEAKER = 2
    MODERATOR = 3
    HOST = 4


class Action(StrEnum):
    """Everything a page can ask for in a live room."""

    RAISE_HAND = "raise_hand"
    LOWER_HAND = "lower_hand"
    MUTE = "mute"
    UNMUTE = "unmute"
    LEAVE_STAGE = "leave_stage"
    ACCEPT = "accept"
    DECLINE = "decline"
    CALL_UP = "call_up"
    INVITE = "invite"
    MOVE_DOWN = "move_down"
    MUTE_OTHER = "mute_other"
    MAKE_MODERATOR = "make_moderator"
    UNMAKE_MODERATOR = "unmake_moderator"
    REMOVE = "remove"
    LOCK = "lock"
    UNLOCK = "unlock"
    LOCK_HANDS = "lock_hands"
    UNLOCK_HANDS = "unlock_hands"
    END = "end"
    PING = "ping"


Ranks = frozenset[Rank]

_LISTENER = frozenset({Rank.LISTENER})
_SPEAKER = frozenset({Rank.SPEAKER})
_MODERATOR = frozenset({Rank.MODERATOR})
_IN_CHARGE = frozenset({Rank.MODERATOR, Rank.HOST})
_ON_STAGE = _SPEAKER | _IN_CHARGE
_INSIDE = _LISTENER | _ON_STAGE

# On oneself. Who is in charge and has left the stage calls up themselves.
OWN: dict[Action, Ranks] = {
    Action.RAISE_HAND: _LISTENER,
    Action.LOWER_HAND: _LISTENER,
    Action.ACCEPT: _LISTENER,
    Action.DECLINE: _LISTENER,
    Action.MUTE: _ON_STAGE,
    Action.UNMUTE: _ON_STAGE,
    Action.LEAVE_STAGE: _ON_STAGE,
    Action.CALL_UP: _IN_CHARGE,
}

# On the room as a whole.
ROOM: dict[Action, Ranks] = {
    Action.LOCK: _IN_CHARGE,
    Action.UNLOCK: _IN_CHARGE,
    Action.LOCK_HANDS: _IN_CHARGE,
    Action.UNLOCK_HANDS: _IN_CHARGE,
    Action.END: _IN_CHARGE,
}

# On somebody else: for each rank of the actor, the ranks of those it may be done to.
OTHERS: dict[Action, dict[Rank, Ranks]] = {
    Action.LOWER_HAND: {Rank.MODERATOR: _LISTENER, Rank.HOST: _LISTENER},
    Action.CALL_UP: {Rank.MODERATOR: _LISTENER, Rank.HOST: _LISTENER},
    Action.INVITE: {Rank.MODERATOR: _LISTENER, Rank.HOST: _LISTENER},
    Action.MOVE_DOWN: {Rank.MODERATOR: _SPEAKER, Rank.HOST: _SPEAKER | _MODERATOR},
    Action.MUTE_OTHER: {Rank.MODERATOR: _SPEAKER, Rank.HOST: _SPEAKER | _MODERATOR},
    # Only who is on stage already: being made a moderator brings nobody there unasked.
    Action.MAKE_MODERATOR: {Rank.MODERATOR: _SPEAKER, Rank.HOST: _SPEAKER},
    Action.UNMAKE_MODERATOR: {Rank.HOST: _MODERATOR},
    Action.REMOVE: {
        Rank.MODERATOR: _LISTENER | _SPEAKER,
        Rank.HOST: _LISTENER | _SPEAKER | _MODERATOR,
    },
    # A ping asks somebody in who is not there.
    Action.PING: {rank: frozenset({Rank.OUTSIDE}) for rank in _INSIDE},
}

# What hosts of the club may do in any room.
OF_CLUB: dict[Action, Ranks] = {Action.REMOVE: _INSIDE}
OF_CLUB_ROOM = frozenset({Action.END})


def may(actor: Rank, action: Action, *, club_host: bool = False) -> bool:
    """Whether `actor` may do this to themselves or to the room."""
    if club_host and action in OF_CLUB_ROOM:
        return True
    return actor in OWN.get(action, ()) or actor in ROOM.get(action, ())


def may_to(actor: Rank, action: Action, target: Rank, *, club_host: bool = False) -> bool:
    """Whether `actor` may do this to somebody else, who is a `target`."""
    if club_host and target in OF_CLUB.get(action, ()):
        return True
    return target in OTHERS.get(action, {}).get(actor, ())


def own_actions(actor: Rank, *, club_host: bool = False) -> list[Action]:
    """What `actor` may do without a target, for a page to show."""
    return [action for action in Action if may(actor, action, club_host=club_host)]


def action_of(text: str) -> Action:
    """Refused `bad_request` for what is no action."""
    try:
        return Action(text)
    except ValueError:
        raise Refused("bad_request", 400, N_("There is no such action.")) from None


def require(
    actor: Rank, action: Action, target: Rank | None = None, *, club_host: bool = False
) -> None:
    """Refused `forbidden` where the table does not allow it. Without `target`: to oneself or the
    room.
    """
    if target is None:
        is_allowed = may(actor, action, club_host=club_host)
    else:
        is_allowed = may_to(actor, action, target, club_host=club_host)
    if not is_allowed:
        raise Refused("forbidden", 403, N_("That is not yours to do in this room."))
