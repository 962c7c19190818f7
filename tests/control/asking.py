"""Random commands of the control protocol, most of them about somebody who is there."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from control import commands as c
from control.commands import AnyCommand
from control.types import Role
from tests.control.model_world import Person, World

# Who asks, under which idempotency key, for what.
Asked = tuple[str, str | None, AnyCommand]

ROOMS = ("club/a", "club/a", "club/b", "hall")
PEOPLE = ("red", "blue", "white", "green")
WHO = ("admin", "admin", "admin", "admin", "club", "club", "club", "reader")
KEYS = (None, None, None, None, "k1", "k2")
# Of ten commands, so many name anybody and any room, there or not.
BLIND = 1

_ACTORS = (None, "host")
_FLAGS = (False, True)
_MAPS: Sequence[Any] = (None, None, {}, {"colour": "red"})
_ROLES = tuple(Role)
_SETTINGS: dict[str, Sequence[Any]] = {
    "max_participants": (None, None, None, None, 2, 3),
    "max_speakers": (None, None, None, 1, 2, 5),
    "slots": (None, 1, 3),
    "hand_policy": (None, None, None, "open", "open", "closed"),
    "empty_timeout_s": (None, None, 0, 7, 300),
    "orphan_policy": (None, None, "close", "close", "keep"),
    "orphan_timeout_s": (None, 0, 3, 60),
    "metadata": _MAPS,
}
_ALL: dict[str, Sequence[Any]] = {
    "except_roles": ([], [], [Role.MODERATOR]),
    "lock": _FLAGS,
    "actor": _ACTORS,
}
_MUTE: dict[str, Sequence[Any]] = {"lock": _FLAGS, "actor": _ACTORS}
# How often each is asked for beside the others, and what its fields may be.
KINDS: dict[type[AnyCommand], tuple[int, dict[str, Sequence[Any]]]] = {
    c.RoomCreate: (3, _SETTINGS),
    c.RoomUpdate: (2, {"if_version": (None, None, 1, 2, 3), **_SETTINGS}),
    c.RoomClose: (1, {"reason": (None, "over")}),
    c.RoomLock: (1, {}),
    c.RoomUnlock: (2, {}),
    c.RoomMuteAll: (2, _ALL),
    c.RoomUnmuteAll: (2, _ALL),
    c.RoomSync: (4, {}),
    c.RoomGet: (1, {}),
    c.ParticipantJoin: (
        12,
        {
            "role": _ROLES,
            "offer": ("sdp",),
            "name": (None, "Red", ""),
            "metadata": _MAPS,
            "on_duplicate": ("replace", "reject"),
            "muted": _FLAGS,
            "profile": ("voice", "voice", "music"),
        },
    ),
    c.ParticipantGet: (1, {}),
    c.ParticipantUpdate: (
        2,
        {"name": (None, "", "Blue"), "metadata": _MAPS, "if_generation": (None, None, 1, 2)},
    ),
    c.ParticipantSetRole: (4, {"role": _ROLES, "actor": _ACTORS}),
    c.ParticipantRemove: (
        2,
        {"reason": (None, "rude"), "ban_s": (0, 0, 9), "if_generation": (None, None, 1, 2)},
    ),
    c.ParticipantMove: (4, {"to_room": ROOMS, "role": (None, None, *_ROLES)}),
    c.HandRaise: (5, {}),
    c.HandLower: (2, {}),
    c.StageInvite: (5, {"expires_s": (3, 60), "actor": _ACTORS}),
    c.StageAccept: (5, {}),
    c.StageDecline: (2, {}),
    c.TrackMute: (4, _MUTE),
    c.TrackUnmute: (3, _MUTE),
    c.TrackSetPriority: (2, {"priority_db": (0.0, 6.0)}),
}
# Who these are about, if there is such a one: else they are refused nearly always.
_FITTING: dict[type[AnyCommand], Callable[[Person], bool]] = {
    c.HandRaise: lambda one: not one.role.is_on_stage,
    c.HandLower: lambda one: one.hand is not None,
    c.StageInvite: lambda one: not one.role.is_on_stage,
    c.StageAccept: lambda one: one.invited_until is not None,
    c.StageDecline: lambda one: one.invited_until is not None,
}


def random_asked(rng: random.Random, world: World) -> Asked:
    """One of them; `world` tells who is there."""
    kinds = list(KINDS)
    (kind,) = rng.choices(kinds, [KINDS[one][0] for one in kinds])
    fields = {name: rng.choice(values) for name, values in KINDS[kind][1].items()}
    room, participant = _about(rng, world, kind)
    fields["room"] = room
    if kind is c.ParticipantMove and rng.randrange(10) >= BLIND and world.rooms:
        fields["to_room"] = rng.choice(list(world.rooms))
    if "participant" in kind.__struct_fields__:
        fields["participant"] = participant
    if kind is c.RoomSync:
        fields["participants"] = _list(rng)
    return rng.choice(WHO), rng.choice(KEYS), kind(**fields)


def _about(rng: random.Random, world: World, kind: type[AnyCommand]) -> tuple[str, str]:
    anybody = rng.choice(ROOMS), rng.choice(PEOPLE)
    if kind in (c.ParticipantJoin, c.RoomCreate) or rng.randrange(10) < BLIND:
        return anybody
    there = [(room.id, one) for room in world.rooms.values() for one in room.people.values()]
    is_fitting = _FITTING.get(kind)
    fitting = [(room, one.id) for room, one in there if is_fitting is None or is_fitting(one)]
    return rng.choice(fitting or [(room, one.id) for room, one in there] or [anybody])


def _list(rng: random.Random) -> list[c.SyncedParticipant]:
    names = rng.sample(PEOPLE, rng.randrange(len(PEOPLE) + 1))
    if names and rng.randrange(8) == 0:
        names.append(names[0])
    maybe = (None, None, False, True)
    return [
        c.SyncedParticipant(
            participant=name,
            role=rng.choice(_ROLES),
            muted=rng.choice(maybe),
            locked=rng.choice(maybe),
        )
        for name in names
    ]
