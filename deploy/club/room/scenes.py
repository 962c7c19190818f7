"""A room as its pages are told it: statements in JSON, made of the daemon's state. No IO.

Most statements are the same for everybody and made once for each change. What the daemon does not
know of a participant, the face and the seat, stands in the participant's metadata, so that every
process of the club shows the same.
"""

from __future__ import annotations

import json
from typing import Any

from control.roomview import RoomView
from control.types import (
    ActiveSpeaker,
    Metadata,
    ParticipantState,
    ParticipantStatus,
    Role,
    RoomState,
)
from deploy.club.room.authority import Rank, own_actions
from deploy.club.store import Seat

# Names in the audience that a page is told; the rest is a number.
AUDIENCE_SHOWN = 60


def rank_of(seat: Seat | None, role: Role | None) -> Rank:
    """What somebody with this seat is, who has this role in the daemon's room (None: not there).

    The seat decides about powers: a role of moderator without the seat is a place on stage.
    """
    if role is None:
        return Rank.OUTSIDE
    if seat == "host":
        return Rank.HOST
    if seat == "moderator":
        return Rank.MODERATOR
    return Rank.SPEAKER if role.is_on_stage else Rank.LISTENER


def metadata_of(seat: Seat | None, picture: str | None) -> Metadata:
    """What a participant's metadata say."""
    return {"picture": picture, "seat": seat if seat in ("host", "moderator") else "guest"}


def room_metadata(*, is_locked: bool) -> Metadata:
    """What a room's metadata say. The daemon's own lock would keep out those, too, who come back
    from a lost line; the club knows who they are.
    """
    return {"locked": is_locked}


def is_locked(room: RoomState) -> bool:
    """Whether nobody new comes in."""
    return room.metadata.get("locked") is True


def shown_rank(state: ParticipantState | None) -> Rank:
    """The rank as the participant's metadata tell it, for showing; powers are checked against the
    database.
    """
    return rank_of(_seat(state), state.role) if state else Rank.OUTSIDE


class Scene:
    """One room's statements. `changed` when the room did."""

    def __init__(self, view: RoomView) -> None:
        self.view = view
        self.stage = self._stage_ids()
        self._texts: dict[bool, str] = {}  # by whether it shows hands
        self._speakers: tuple[list[ActiveSpeaker], str] | None = None

    def changed(self) -> frozenset[str]:
        """Statements are made anew. Returns who is on stage now or was before."""
        self._texts.clear()
        before, self.stage = self.stage, self._stage_ids()
        return before | self.stage

    def room(self, *, shows_hands: bool) -> str:
        """Stage, audience and, for moderators, raised hands."""
        if shows_hands not in self._texts:
            self._texts[shows_hands] = json.dumps(self._room(shows_hands=shows_hands))
        return self._texts[shows_hands]

    def speakers(self) -> str:
        """Who speaks now, the dominant first."""
        now = self.view.room.speakers
        if self._speakers is None or self._speakers[0] is not now:
            speaking = [{"id": one.participant, "level": one.level} for one in now]
            self._speakers = now, json.dumps({"type": "speakers", "speakers": speaking})
        return self._speakers[1]

    def locked(self) -> str:
        """Whether newcomers and hands are taken."""
        return json.dumps({"type": "locked", **self._locks()})

    def you(self, member_id: str, *, is_club_host: bool) -> str:
        """What a page must know of its own member; all off when they are not in the room."""
        state = self.view.participants.get(member_id)
        rank = shown_rank(state)
        return json.dumps(
            {
                "type": "you",
                "id": member_id,
                "generation": state.generation if state else None,
                "present": state is not None,
                "role": state.role if state else Role.LISTENER,
                "moderator": rank >= Rank.MODERATOR,
                "host": rank is Rank.HOST,
                "muted": state.muted if state else True,
                "mute_locked": state.mute_locked if state else False,
                "hand": bool(state and state.hand is not None),
                "may": own_actions(rank, club_host=is_club_host),
            }
        )

    def invited(self, member_id: str, by: str | None = None) -> str:
        """Whether the member is asked onto the stage, by whom (an id) if that is known."""
        state = self.view.participants.get(member_id)
        until = state.invited_until if state else None
        asker = self.view.participants.get(by) if by and until else None
        return json.dumps(
            {
                "type": "invited",
                "invited": until is not None,
                "until": until,
                "by": asker.name if asker else None,
            }
        )

    def quality(self, member_id: str, cause: str | None = None) -> str:
        """What the member is sent, and why if that is known."""
        state = self.view.participants.get(member_id)
        tier = state.tier if state else "C"
        return json.dumps({"type": "quality", "tier": tier, "cause": cause})

    @property
    def is_led(self) -> bool:
        """Whether anybody who is there shows as being in charge."""
        people = self.view.participants.values()
        return any(shown_rank(one) >= Rank.MODERATOR for one in people)

    def shows_hands_to(self, member_id: str) -> bool:
        """Only who can call up sees who wants to speak."""
        return shown_rank(self.view.participants.get(member_id)) >= Rank.MODERATOR

    def _room(self, *, shows_hands: bool) -> dict[str, Any]:
        people = self.view.participants
        audience = self.view.audience
        hands = [people[one] for one in self.view.hands if one in people] if shows_hands else []
        return {
            "type": "room",
            "room": self.view.room.room,
            "stage": [_on_stage(state) for state in self.view.on_stage],
            "hands": [_seated(state) | {"invited": _is_invited(state)} for state in hands],
            "audience": [_seated(state) for state in audience[:AUDIENCE_SHOWN]],
            "audience_count": len(audience),
            **self._locks(),
        }

    def _stage_ids(self) -> frozenset[str]:
        people = self.view.participants.values()
        return frozenset(one.participant for one in people if one.role.is_on_stage)

    def _locks(self) -> dict[str, bool]:
        return {
            "locked": is_locked(self.view.room),
            "hands_locked": self.view.room.hand_policy == "closed",
        }


def _seat(state: ParticipantState | None) -> Seat | None:
    seat = state.metadata.get("seat") if state else None
    return seat if seat in ("host", "moderator") else None


def _seated(state: ParticipantState) -> dict[str, Any]:
    picture = state.metadata.get("picture")
    return {
        "id": state.participant,
        "name": state.name or state.participant,
        "picture": picture if isinstance(picture, str) else None,
    }


def _on_stage(state: ParticipantState) -> dict[str, Any]:
    return _seated(state) | {
        "role": state.role,
        "host": shown_rank(state) is Rank.HOST,
        "muted": state.muted,
        "away": state.state is not ParticipantStatus.CONNECTED,
    }


def _is_invited(state: ParticipantState) -> bool:
    return state.invited_until is not None
