"""What the protocol says of rooms, roles, hands, invitations and mutes, in the plainest words.

No sound, no connections, no speed: a dictionary of rooms that answers every command as the page
says and writes down the events it tells. The test drives it beside the real daemon.

States are maps as on the wire, without what depends on media or on the order of tables: `number`,
`tier`, `slots` of participants, `speakers` of rooms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from control.types import Role

# Nobody here ever connects, so this is how long they stay.
JOIN_TIMEOUT_S = 60.0
# A limit that refused nobody for so long, and of which a tenth is free, has recovered.
RECOVERY_S = 5.0
# A room that was never entered waits so long for its first, if its timeout is 0.
FIRST_JOIN_GRACE_S = 60.0

Map = dict[str, Any]


class Refused(Exception):
    """The command has to be refused so."""

    def __init__(self, code: str, **detail: Any) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


@dataclass
class Person:
    """A participant; times are unix ms, `expires_at` is on the clock."""

    id: str
    role: Role
    generation: int
    joined_at: int
    expires_at: float
    name: str | None = None
    metadata: Map = field(default_factory=dict)
    muted: bool = False
    locked: bool = False
    hand: int | None = None
    priority_db: float | None = None
    invited_until: float | None = None
    inviter: str | None = None
    profile: str = "voice"


@dataclass
class RoomModel:
    """A room; `people` and `hands` in order."""

    id: str
    created_at: int
    settings: Map
    empty_since: float | None
    orphan_since: float | None = None
    locked: bool = False
    version: int = 1
    was_entered: bool = False
    people: dict[str, Person] = field(default_factory=dict)
    hands: list[str] = field(default_factory=list)
    generations: dict[str, int] = field(default_factory=dict)
    generation_floor: int = 0
    bans: dict[str, float] = field(default_factory=dict)

    def on_stage(self) -> int:
        """Speakers and moderators."""
        return sum(one.role.is_on_stage for one in self.people.values())

    def state(self) -> Map:
        """As the wire has it."""
        roles = [one.role for one in self.people.values()]
        counts = {role.value: roles.count(role) for role in Role}
        own = {"room": self.id, "created_at": self.created_at, "version": self.version}
        return {**self.settings, **own, "locked": self.locked, "counts": counts}


class World:
    """Rooms and what can happen in them. `now` (s) is set by `advance`.

    `told` collects (room, event, fields). `limits`: rooms, participants, participants_per_room.
    """

    def __init__(self, *, unix_ms: Callable[[float], int], **limits: int) -> None:
        self.now = 0.0
        self.rooms: dict[str, RoomModel] = {}
        self.told: list[tuple[str | None, str, Map]] = []
        self.limits = limits
        self.refused_at: dict[str, float] = {}
        self.generation_floor = 0  # of all rooms that are closed
        self._unix_ms = unix_ms

    # Time

    def advance(self, now: float) -> None:
        """Everything that is due until `now` happens at its time."""
        while due := min(self._due(), default=None, key=lambda one: one[0]):
            at, act = due
            if at > now:
                break
            self.now = max(self.now, at)
            act()
        self.now = now

    def _due(self) -> Iterable[tuple[float, Callable[[], None]]]:
        for room in self.rooms.values():
            for one in room.people.values():
                yield one.expires_at, partial(self._leave, room, one, "join_expired")
                if one.invited_until is not None:
                    yield one.invited_until, partial(self._expire, room, one)
            if room.orphan_since is not None and room.settings["orphan_policy"] == "close":
                orphaned_at = room.orphan_since + room.settings["orphan_timeout_s"]
                yield orphaned_at, partial(self._end, room, "orphaned")
            if room.empty_since is not None:
                timeout_s = room.settings["empty_timeout_s"]
                if timeout_s == 0 and not room.was_entered:
                    timeout_s = FIRST_JOIN_GRACE_S
                yield room.empty_since + timeout_s, partial(self._end, room, "empty")

    def control(self, by: Iterable[str]) -> None:
        """Connections that may change rooms beginning so are there, and no others."""
        prefixes = tuple(by)
        for room in self.rooms.values():
            if room.id.startswith(prefixes):
                room.orphan_since = None
            elif room.orphan_since is None:
                room.orphan_since = self.now

    def _expire(self, room: RoomModel, one: Person) -> None:
        one.invited_until = None
        self._tell(room, "stage.expired", participant=one.id)

    def observe(self) -> None:
        """The daemon looks whether there is room again."""
        everybody = sum(len(room.people) for room in self.rooms.values())
        use = {"rooms": len(self.rooms), "participants": everybody}
        for limit, refused_at in list(self.refused_at.items()):
            if self.now - refused_at >= RECOVERY_S and use[limit] <= 0.9 * self.limits[limit]:
                del self.refused_at[limit]
                self.told.append((None, "server.recovered", {"limit": limit}))

    def _overload(self, limit: str) -> None:
        if limit not in self.refused_at:
            self.told.append((None, "server.overloaded", {"limit": limit}))
        self.refused_at[limit] = self.now
        raise Refused("resource_exhausted", limit=limit)

    # Coming and going

    def _admit(
        self, room: RoomModel, name: str, role: Role, present: Person | None, rejects: bool
    ) -> None:
        if room.bans.get(name, 0.0) > self.now:
            raise Refused("permission_denied")
        if present is not None and rejects:
            raise Refused("already_exists", what="participant")
        if present is None and room.locked:
            raise Refused("failed_precondition")
        if present is None and len(room.people) >= room.settings["max_participants"]:
            raise Refused("resource_exhausted", limit="max_participants")
        others = room.on_stage() - (present is not None and present.role.is_on_stage)
        if role.is_on_stage and others >= room.settings["max_speakers"]:
            raise Refused("resource_exhausted", limit="max_speakers")

    def _enter(self, room: RoomModel, one: Person) -> None:
        last = room.generations.get(one.id, room.generation_floor)
        one.generation = room.generations[one.id] = last + 1
        one.joined_at = self._unix_ms(self.now)
        room.people[one.id] = one
        room.empty_since, room.was_entered = None, True
        self._tell(room, "participant.joined", participant=one.id, state=self.person_state(one))

    def _leave(self, room: RoomModel, one: Person, reason: str, detail: str | None = None) -> None:
        del room.people[one.id]
        if one.id in room.hands:
            room.hands.remove(one.id)
        fields: Map = {"participant": one.id, "reason": reason, "generation": one.generation}
        self._tell(room, "participant.left", **fields | ({"detail": detail} if detail else {}))
        if not room.people:
            room.empty_since = self.now

    def _end(self, room: RoomModel, reason: str) -> None:
        for one in list(room.people.values()):
            self._leave(room, one, "room_closed")
        del self.rooms[room.id]
        self.generation_floor = max(self.generation_floor, *room.generations.values(), 0)
        self._tell(room, "room.closed", reason=reason)

    def _updated(self, room: RoomModel) -> None:
        room.version += 1
        self._tell(room, "room.updated", state=room.state())

    # Roles, mutes, hands

    def _promote(self, room: RoomModel, one: Person, role: Role, actor: str | None) -> None:
        if role is one.role:
            return
        fields: Map = {"participant": one.id, "role": role.value, "previous": one.role.value}
        one.role = role
        self._tell(room, "role.changed", **fields | ({"actor": actor} if actor else {}))
        if role.is_on_stage:
            one.invited_until = None
            self._take_hand_down(room, one)

    def _set_muted(
        self, room: RoomModel, one: Person, muted: bool, lock: bool, actor: str | None
    ) -> None:
        self._put_mute(room, one, muted, muted and (one.locked or lock), actor)

    def _put_mute(
        self, room: RoomModel, one: Person, muted: bool, locked: bool, actor: str | None
    ) -> None:
        if (muted, locked) == (one.muted, one.locked):
            return
        one.muted, one.locked = muted, locked
        if muted:
            by = actor or "backend"
            self._tell(room, "track.muted", participant=one.id, by=by, locked=locked)
        else:
            self._tell(room, "track.unmuted", participant=one.id)

    def _take_hand_down(self, room: RoomModel, one: Person) -> None:
        one.hand = None
        if one.id in room.hands:
            room.hands.remove(one.id)
            self._tell(room, "hand.lowered", participant=one.id)

    # States

    def person_state(self, one: Person) -> Map:
        """As the wire has it."""
        state: Map = {
            "participant": one.id,
            "role": one.role.value,
            "state": "new",
            "muted": one.muted,
            "mute_locked": one.locked,
            "hand": one.hand,
            "joined_at": one.joined_at,
            "metadata": one.metadata,
            "generation": one.generation,
        }
        until = None if one.invited_until is None else self._unix_ms(one.invited_until)
        may = {"name": one.name, "priority_db": one.priority_db, "invited_until": until}
        if one.profile != "voice":
            may["profile"] = one.profile
        return state | {name: value for name, value in may.items() if value is not None}

    def hands(self, room: RoomModel) -> list[Map]:
        """As `hand.list` has them."""
        return [{"participant": name, "raised_at": room.people[name].hand} for name in room.hands]

    def _shown(self, one: Person) -> Map:
        return {"participant": self.person_state(one)}

    def _room(self, room_id: str) -> RoomModel:
        if room_id not in self.rooms:
            raise Refused("not_found", what="room")
        return self.rooms[room_id]

    def _person(self, asked: Any) -> Person:
        people = self._room(asked.room).people
        if asked.participant not in people:
            raise Refused("not_found", what="participant")
        return people[asked.participant]

    def _tell_state(self, room: str, one: Person) -> None:
        body = {"participant": one.id, "state": self.person_state(one)}
        self._tell(self.rooms[room], "participant.updated", **body)

    def _tell(self, room: RoomModel, name: str, /, **fields: Any) -> None:
        self.told.append((room.id, name, fields))
