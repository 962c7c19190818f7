"""The model's answers: each command as the page says, in the plainest words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from control import commands as c
from control.commands import AnyCommand
from control.types import Role
from tests.control.model_world import JOIN_TIMEOUT_S, Map, Person, Refused, RoomModel, World

SETTINGS = (
    "max_participants",
    "max_speakers",
    "slots",
    "hand_policy",
    "empty_timeout_s",
    "orphan_policy",
    "orphan_timeout_s",
    "metadata",
)


class Model(World):
    """Executes commands."""

    def __init__(self, *, unix_ms: Callable[[float], int], **limits: int) -> None:
        super().__init__(unix_ms=unix_ms, **limits)
        self._done: dict[type[AnyCommand], Callable[[Any], Map]] = {
            c.RoomCreate: self._create,
            c.RoomUpdate: self._update_room,
            c.RoomClose: self._close,
            c.RoomLock: lambda asked: self._lock(asked, True),
            c.RoomUnlock: lambda asked: self._lock(asked, False),
            c.RoomMuteAll: lambda asked: self._mute_all(asked, True),
            c.RoomUnmuteAll: lambda asked: self._mute_all(asked, False),
            c.RoomSync: self._sync,
            c.ParticipantJoin: self._join,
            c.ParticipantUpdate: self._update,
            c.ParticipantSetRole: self._set_role,
            c.ParticipantRemove: self._remove,
            c.ParticipantMove: self._move,
            c.HandRaise: self._raise,
            c.HandLower: self._lower,
            c.StageInvite: self._invite,
            c.StageAccept: self._accept,
            c.StageDecline: self._decline,
            c.TrackMute: lambda asked: self._mute(asked, True),
            c.TrackUnmute: lambda asked: self._mute(asked, False),
            c.TrackSetPriority: self._prioritise,
            c.ParticipantGet: lambda asked: self._shown(self._person(asked)),
            c.RoomGet: lambda asked: {"room": self._room(asked.room).state()},
        }

    def execute(self, command: AnyCommand) -> Map:
        """Its answer. Raises Refused."""
        return self._done[type(command)](command)

    # Rooms

    def _create(self, asked: c.RoomCreate) -> Map:
        room = self.rooms.get(asked.room)
        if room is not None:
            return self._adopt(room, asked)
        if len(self.rooms) >= self.limits["rooms"]:
            self._overload("rooms")
        settings: Map = {
            "max_participants": self.limits["participants_per_room"],
            "max_speakers": 20,
            "slots": 3,
            "hand_policy": "open",
            "empty_timeout_s": 300,
            "orphan_policy": "keep",
            "orphan_timeout_s": 60,
            "metadata": {},
        }
        room = RoomModel(
            asked.room, self._unix_ms(self.now), settings | _given(asked), empty_since=self.now
        )
        room.generation_floor = self.generation_floor
        self.rooms[room.id] = room
        self._tell(room, "room.created", state=room.state())
        return {"room": room.state()}

    def _update_room(self, asked: c.RoomUpdate) -> Map:
        room = self._room(asked.room)
        if asked.if_version not in (None, room.version):
            raise Refused("conflict", version=room.version)
        return self._adopt(room, asked)

    def _adopt(self, room: RoomModel, asked: c.RoomSettingsCommand) -> Map:
        settings = room.settings | _given(asked)
        if settings != room.settings:
            room.settings = settings
            self._updated(room)
        return {"room": room.state()}

    def _lock(self, asked: Any, locked: bool) -> Map:
        room = self._room(asked.room)
        if room.locked != locked:
            room.locked = locked
            self._updated(room)
        return {}

    def _close(self, asked: c.RoomClose) -> Map:
        self._end(self._room(asked.room), asked.reason or "closed")
        return {}

    def _mute_all(self, asked: c.RoomMuteAll, muted: bool) -> Map:
        room = self._room(asked.room)
        stage = [one for one in room.people.values() if one.role.is_on_stage]
        for one in stage:
            if one.role not in asked.except_roles and (muted or asked.lock or not one.locked):
                self._set_muted(room, one, muted, asked.lock, asked.actor)
        return {"muted": [one.id for one in stage if one.muted]}

    def _sync(self, asked: c.RoomSync) -> Map:
        room = self._room(asked.room)
        names = [one.participant for one in asked.participants]
        for index, want in enumerate(asked.participants):
            line = f"participants[{index}]"
            if want.participant in names[:index]:
                raise Refused("invalid_argument", field=f"{line}.participant")
            is_there = room.people.get(want.participant)
            if is_there and is_there.locked and want.muted is False and want.locked is None:
                raise Refused("failed_precondition", field=f"{line}.muted")
        there = [one for one in asked.participants if one.participant in room.people]
        if sum(one.role.is_on_stage for one in there) > room.settings["max_speakers"]:
            raise Refused("resource_exhausted", limit="max_speakers")
        gone = [one for name, one in room.people.items() if name not in names]
        for one in gone:
            self._leave(room, one, "removed")
        before = {name: (one.role, one.muted, one.locked) for name, one in room.people.items()}
        for want in there:
            if not want.role.is_on_stage:
                self._promote(room, room.people[want.participant], want.role, None)
        for want in there:
            one = room.people[want.participant]
            locked = one.locked if want.locked is None else want.locked
            muted = one.muted if want.muted is None else want.muted
            self._put_mute(room, one, muted or locked, locked, None)
            self._promote(room, one, want.role, None)
        after = {name: (one.role, one.muted, one.locked) for name, one in room.people.items()}
        return {
            "removed": len(gone),
            "changed": sum(before[name] != after[name] for name in after),
            "missing": [name for name in names if name not in room.people],
        }

    # Participants

    def _join(self, asked: c.ParticipantJoin) -> Map:
        room = self._room(asked.room)
        present = room.people.get(asked.participant)
        everybody = sum(len(other.people) for other in self.rooms.values())
        if present is None and everybody >= self.limits["participants"]:
            self._overload("participants")
        self._admit(room, asked.participant, asked.role, present, asked.on_duplicate == "reject")
        if present is not None:
            self._leave(room, present, "replaced")
        one = Person(
            asked.participant, asked.role, 0, 0, self.now + JOIN_TIMEOUT_S, asked.name or None
        )
        one.metadata, one.profile = asked.metadata or {}, asked.profile
        one.muted, one.locked = asked.muted, False
        if present is not None and present.locked:
            one.muted = one.locked = True
        self._enter(room, one)
        return self._shown(one)

    def _update(self, asked: c.ParticipantUpdate) -> Map:
        one = self._person(asked)
        if asked.if_generation not in (None, one.generation):
            raise Refused("conflict", generation=one.generation)
        before = (one.name, one.metadata)
        if asked.name is not None:
            one.name = asked.name or None
        if asked.metadata is not None:
            one.metadata = asked.metadata
        if (one.name, one.metadata) != before:
            self._tell_state(asked.room, one)
        return self._shown(one)

    def _set_role(self, asked: c.ParticipantSetRole) -> Map:
        room, one = self._room(asked.room), self._person(asked)
        is_promotion = asked.role.is_on_stage and not one.role.is_on_stage
        if is_promotion and room.on_stage() >= room.settings["max_speakers"]:
            raise Refused("resource_exhausted", limit="max_speakers")
        self._promote(room, one, asked.role, asked.actor)
        return self._shown(one)

    def _remove(self, asked: c.ParticipantRemove) -> Map:
        room, one = self._room(asked.room), self._person(asked)
        if asked.if_generation not in (None, one.generation):
            raise Refused("conflict", generation=one.generation)
        if asked.ban_s:
            room.bans[one.id] = max(self.now + asked.ban_s, room.bans.get(one.id, 0.0))
        self._leave(room, one, "banned" if asked.ban_s else "removed", asked.reason)
        return {}

    def _move(self, asked: c.ParticipantMove) -> Map:
        room, target = self._room(asked.room), self._room(asked.to_room)
        if target is room:
            raise Refused("invalid_argument", field="to_room")
        one = self._person(asked)
        role = asked.role or one.role
        self._admit(target, one.id, role, target.people.get(one.id), rejects=True)
        self._leave(room, one, "moved")
        one.role, one.hand, one.invited_until, one.priority_db = role, None, None, None
        self._enter(target, one)
        return self._shown(one)

    # Hands, invitations, mutes

    def _raise(self, asked: c.HandRaise) -> Map:
        room, one = self._room(asked.room), self._person(asked)
        if one.role.is_on_stage:
            raise Refused("failed_precondition")
        if one.id not in room.hands:
            if room.settings["hand_policy"] == "closed":
                raise Refused("failed_precondition")
            room.hands.append(one.id)
            one.hand = self._unix_ms(self.now)
            self._tell(room, "hand.raised", participant=one.id, raised_at=one.hand)
        return {"hands": self.hands(room)}

    def _lower(self, asked: c.HandLower) -> Map:
        room, one = self._room(asked.room), self._person(asked)
        self._take_hand_down(room, one)
        return {"hands": self.hands(room)}

    def _invite(self, asked: c.StageInvite) -> Map:
        room, one = self._room(asked.room), self._person(asked)
        if one.role.is_on_stage:
            raise Refused("failed_precondition")
        one.invited_until, one.inviter = self.now + asked.expires_s, asked.actor
        fields: Map = {"participant": one.id, "expires_at": self._unix_ms(one.invited_until)}
        self._tell(
            room, "stage.invited", **fields | ({"actor": asked.actor} if asked.actor else {})
        )
        return self._shown(one)

    def _accept(self, asked: c.StageAccept) -> Map:
        room, one = self._invited(asked)
        if room.on_stage() >= room.settings["max_speakers"]:
            raise Refused("resource_exhausted", limit="max_speakers")
        self._tell(room, "stage.accepted", participant=one.id)
        if not one.muted:
            self._set_muted(room, one, True, False, "stage")
        self._promote(room, one, Role.SPEAKER, one.inviter)
        return self._shown(one)

    def _decline(self, asked: c.StageDecline) -> Map:
        room, one = self._invited(asked)
        one.invited_until = None
        self._tell(room, "stage.declined", participant=one.id)
        return self._shown(one)

    def _invited(self, asked: Any) -> tuple[RoomModel, Person]:
        room, one = self._room(asked.room), self._person(asked)
        if one.invited_until is None:
            raise Refused("failed_precondition")
        return room, one

    def _mute(self, asked: c.TrackMute, muted: bool) -> Map:
        room, one = self._room(asked.room), self._person(asked)
        if not muted and one.locked and not asked.lock:
            raise Refused("failed_precondition")
        self._set_muted(room, one, muted, asked.lock, asked.actor)
        return self._shown(one)

    def _prioritise(self, asked: c.TrackSetPriority) -> Map:
        one = self._person(asked)
        if one.priority_db != asked.priority_db:
            one.priority_db = asked.priority_db
            self._tell_state(asked.room, one)
        return self._shown(one)


def _given(asked: c.RoomSettingsCommand) -> Map:
    return {name: value for name in SETTINGS if (value := getattr(asked, name)) is not None}
