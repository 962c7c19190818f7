"""Whatever three backends with different keys do, in any order: the daemon does what the page says.

Each step sends some commands at once, lets a moment pass, and compares every answer, every event
on every connection and the snapshot of every room with a model in plain words. MODEL_EXAMPLES in
the environment sets how many sequences are tried.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from control import ControlError
from control import commands as c
from control.auth import Key
from control.commands import AnyCommand
from control.events import Event, ParticipantJoined
from control.types import Role
from tests.control.model import Model
from tests.control.model_world import Map, Refused
from tests.control.virtual import EPOCH, WALL_AT_ZERO, Line, Plane
from tests.worker.harness import offer

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "100"))
STEPS = 30
# Steps are this far apart, so nothing is ever due at the very moment of another step.
MOMENT_S = 0.03
LIMITS = {"rooms": 2, "participants": 4, "participants_per_room": 3}
KEY_HELD_S = 60.0

ADMIN = Key("admin", b"a" * 32, ("admin",))
READER = Key("reader", b"r" * 32, ("read",))
CLUB = Key("club", b"c" * 32, ("rooms:club/",))
KEYS = (ADMIN, READER, CLUB)
# What each of them subscribes to: rooms, and types of events.
FOLLOWED: dict[str, Map] = {
    "admin": {},
    "reader": {"rooms": ["hall", "club/a"]},
    "club": {"types": ["room.*", "participant.left", "hand.*", "track.muted"]},
}
# Stands in commands in place of a real offer, so that what is printed can be read.
OFFERS = {"sdp": offer()}

rooms = st.sampled_from(["club/a", "club/a", "club/b", "hall"])
people = st.sampled_from(["red", "blue", "white", "green"])
roles = st.sampled_from(list(Role))
flags = st.booleans()
actors = st.sampled_from([None, "host"])
maps = st.sampled_from([None, {}, {"colour": "red"}])


def _setting(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([None, *values])


def _about(kind: type[AnyCommand], **fields: Any) -> st.SearchStrategy[AnyCommand]:
    if "participant" in kind.__struct_fields__:
        fields["participant"] = people
    return st.builds(kind, room=rooms, **fields)


SETTINGS = {
    "max_participants": _setting(1, 2, 3),
    "max_speakers": _setting(1, 2, 5),
    "slots": _setting(1, 3),
    "hand_policy": _setting("open", "closed"),
    "empty_timeout_s": _setting(0, 7, 300),
    "metadata": maps,
}
SYNCED = st.builds(
    c.SyncedParticipant,
    participant=people,
    role=roles,
    muted=_setting(True, False),
    locked=_setting(True, False),
)
JOIN = _about(
    c.ParticipantJoin,
    role=roles,
    offer=st.just("sdp"),
    name=_setting("Red"),
    metadata=maps,
    on_duplicate=st.sampled_from(["replace", "reject"]),
    muted=flags,
)
COMMANDS: dict[type[AnyCommand], st.SearchStrategy[AnyCommand]] = {
    c.RoomCreate: _about(c.RoomCreate, **SETTINGS),
    c.RoomUpdate: _about(c.RoomUpdate, if_version=_setting(1, 2, 3), **SETTINGS),
    c.RoomClose: _about(c.RoomClose, reason=_setting("over")),
    c.RoomLock: _about(c.RoomLock),
    c.RoomUnlock: _about(c.RoomUnlock),
    c.RoomMuteAll: _about(
        c.RoomMuteAll, except_roles=st.lists(roles, max_size=1), lock=flags, actor=actors
    ),
    c.RoomUnmuteAll: _about(
        c.RoomUnmuteAll, except_roles=st.lists(roles, max_size=1), lock=flags, actor=actors
    ),
    c.RoomSync: _about(c.RoomSync, participants=st.lists(SYNCED, max_size=4)),
    c.RoomGet: _about(c.RoomGet),
    c.ParticipantJoin: JOIN,
    c.ParticipantGet: _about(c.ParticipantGet),
    c.ParticipantUpdate: _about(
        c.ParticipantUpdate,
        name=_setting("", "Blue"),
        metadata=maps,
        if_generation=_setting(1, 2),
    ),
    c.ParticipantSetRole: _about(c.ParticipantSetRole, role=roles, actor=actors),
    c.ParticipantRemove: _about(
        c.ParticipantRemove,
        reason=_setting("rude"),
        ban_s=st.sampled_from([0, 0, 9]),
        if_generation=_setting(1, 2),
    ),
    c.ParticipantMove: _about(c.ParticipantMove, to_room=rooms, role=_setting(*Role)),
    c.HandRaise: _about(c.HandRaise),
    c.HandLower: _about(c.HandLower),
    c.StageInvite: _about(c.StageInvite, expires_s=st.sampled_from([3, 60]), actor=actors),
    c.StageAccept: _about(c.StageAccept),
    c.StageDecline: _about(c.StageDecline),
    c.TrackMute: _about(c.TrackMute, lock=flags, actor=actors),
    c.TrackUnmute: _about(c.TrackUnmute, lock=flags, actor=actors),
    c.TrackSetPriority: _about(c.TrackSetPriority, priority_db=st.sampled_from([0.0, 6.0])),
}
WHO = st.sampled_from(["admin", "admin", "club", "club", "reader"])
KEY_NAMES = st.sampled_from([None, None, None, "k1", "k2"])
ANY = st.tuples(WHO, KEY_NAMES, st.one_of(*COMMANDS.values()))


def unix_ms(now: float) -> int:
    return round((WALL_AT_ZERO + now) * 1000)


def plain(value: Any) -> Any:
    """As the model writes it: without numbers of tables and what media decides."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    left_out = {"number", "tier", "slots"} if "generation" in value else {"speakers"}
    return {name: plain(one) for name, one in value.items() if name not in left_out}


def sees(who: str, room: str) -> bool:
    return who != "club" or room.startswith("club/")


def follows(who: str, room: str | None, name: str) -> bool:
    """Whether an event is what this one subscribed to, and may see."""
    rooms, types = FOLLOWED[who].get("rooms"), FOLLOWED[who].get("types")
    group = f"{name.partition('.')[0]}.*"
    if types is not None and name not in types and group not in types:
        return False
    return room is None or (sees(who, room) and (rooms is None or room in rooms))


class Backends(RuleBasedStateMachine):
    """Three connections, a daemon and the model."""

    def __init__(self) -> None:
        super().__init__()
        self.plane = Plane(
            KEYS,
            max_rooms=LIMITS["rooms"],
            max_participants=LIMITS["participants"],
            max_participants_per_room=LIMITS["participants_per_room"],
        )
        self.model = Model(unix_ms=unix_ms, **LIMITS)
        self.model.now = self.plane.loop.now
        self.lines: dict[str, Line] = {}
        self.stored: dict[tuple[str, str], tuple[AnyCommand, Map, float]] = {}
        self.numbers: dict[str, int] = {}
        self.seq = 0
        for key in KEYS:
            line = self.plane.run(self.plane.connect(key))
            subscribe = c.EventsSubscribe(**FOLLOWED[key.key_id])
            self.plane.run(line.link.call(subscribe))
            self.lines[key.key_id] = line

    def teardown(self) -> None:
        self.plane.close()

    @initialize(first=JOIN, second=JOIN)
    def begin_with_people(self, first: AnyCommand, second: AnyCommand) -> None:
        create = c.RoomCreate(room="club/a")
        joins = [msgspec.structs.replace(one, room="club/a") for one in (first, second)]
        self.step([("admin", None, one) for one in (create, *joins)])

    @rule(asked=st.lists(ANY, min_size=1, max_size=4))
    def command(self, asked: list[tuple[str, str | None, AnyCommand]]) -> None:
        self.step(asked)

    @rule(seconds=st.sampled_from([1, 4, 10, 31]))
    def wait(self, seconds: int) -> None:
        self.pass_time(seconds)
        self.compare()

    @rule(who=st.sampled_from(["reader", "club"]), asked=st.lists(ANY, max_size=3))
    def reconnect(self, who: str, asked: list[tuple[str, str | None, AnyCommand]]) -> None:
        """What happens while a backend is away it gets when it comes back."""
        others = [one for one in asked if one[0] != who]
        self.lines[who].link.close()
        self.plane.run(asyncio.sleep(0))
        position = c.Position(epoch=EPOCH, seq=self.seq)
        expected, answers = self.expected(others), self.send(others)
        line = self.plane.run(self.plane.connect(next(key for key in KEYS if key.key_id == who)))
        self.lines[who] = line
        subscribe = c.EventsSubscribe(**FOLLOWED[who], since=position)
        self.plane.run(line.link.call(subscribe))
        self.pass_time(0)
        assert answers == expected
        self.compare()

    def step(self, asked: list[tuple[str, str | None, AnyCommand]]) -> None:
        """Send all at once, then see."""
        expected = self.expected(asked)
        answers = self.send(asked)
        for (who, key, command), answer, right in zip(asked, answers, expected, strict=True):
            assert answer == right, (who, key, command)
        self.pass_time(0)
        self.compare()

    def send(self, asked: list[tuple[str, str | None, AnyCommand]]) -> list[Map]:
        async def ask(who: str, key: str | None, command: AnyCommand) -> Map:
            if isinstance(command, c.ParticipantJoin):
                command = msgspec.structs.replace(command, offer=OFFERS[command.offer])
            try:
                result = await self.lines[who].link.call(command, key=key)
            except ControlError as error:
                return {"code": error.code.value, **error.detail}
            fields = plain(msgspec.to_builtins(result))
            fields.pop("answer", None)
            return fields  # type: ignore[no-any-return]

        async def ask_all() -> list[Map]:
            return await asyncio.gather(*(ask(*one) for one in asked))

        return self.plane.run(ask_all())

    def expected(self, asked: list[tuple[str, str | None, AnyCommand]]) -> list[Map]:
        return [self.expect(*one) for one in asked]

    def expect(self, who: str, key: str | None, command: AnyCommand) -> Map:
        """The answer, by the model."""
        named = [getattr(command, name, None) for name in ("room", "to_room")]
        if not all(sees(who, room) for room in named if room is not None):
            return {"code": "not_found", "what": "room"}
        if who == "reader" and command.mutates:
            return {"code": "permission_denied"}
        if key is None:
            return self.answer(command)[0]
        held = self.stored.get((who, key))
        if held is not None and held[2] > self.model.now:
            same = held[0] == command and type(held[0]) is type(command)
            return held[1] if same else {"code": "conflict", "field": "key"}
        answer, is_kept = self.answer(command)
        if is_kept:
            self.stored[who, key] = (command, answer, self.model.now + KEY_HELD_S)
        else:
            self.stored.pop((who, key), None)
        return answer

    def answer(self, command: AnyCommand) -> tuple[Map, bool]:
        """And whether a key would keep it: what may go better later is not kept."""
        try:
            return self.model.execute(command), True
        except Refused as refused:
            may_pass = refused.code in ("permission_denied", "resource_exhausted")
            return {"code": refused.code, **refused.detail}, not may_pass

    def pass_time(self, seconds: float) -> None:
        self.plane.run(asyncio.sleep(seconds + MOMENT_S))
        self.model.advance(self.plane.loop.now)
        self.plane.cycle.observe_load(0.0)
        self.model.observe()
        self.plane.run(asyncio.sleep(0))

    def compare(self) -> None:
        told, self.model.told = self.model.told, []
        for who, line in self.lines.items():
            self.compare_events(who, line.take_events(), told)
        self.compare_states()

    def compare_events(
        self, who: str, events: list[Event], told: list[tuple[str | None, str, Map]]
    ) -> None:
        mine = [one for one in told if follows(who, *one[:2])]
        got = [(e.room, e.body.method, plain(msgspec.to_builtins(e.body))) for e in events]
        for room in {one[0] for one in (*mine, *got)}:
            # Of what is due in several rooms at once, the page says no order.
            assert [one for one in got if one[0] == room] == [one for one in mine if one[0] == room]
        if who == "admin":
            assert [event.seq for event in events] == [self.seq + i + 1 for i in range(len(told))]
            self.seq += len(told)
            self.note_numbers(events)

    def note_numbers(self, events: list[Event]) -> None:
        """A number is never given twice while the room lives."""
        for event in events:
            if event.body.method == "room.closed":
                self.numbers.pop(event.room or "", None)
            elif isinstance(event.body, ParticipantJoined):
                assert event.body.state.number > self.numbers.get(event.room or "", 0)
                self.numbers[event.room or ""] = event.body.state.number

    def compare_states(self) -> None:
        def call(who: str, command: AnyCommand) -> Any:
            return self.plane.run(self.lines[who].link.call(command))

        for room in self.model.rooms.values():
            snapshot = msgspec.to_builtins(call("admin", c.RoomSnapshot(room=room.id)))
            assert plain(snapshot) == {
                "room": room.state(),
                "participants": [self.model.person_state(one) for one in room.people.values()],
                "hands": self.model.hands(room),
                "epoch": EPOCH,
                "seq": self.seq,
            }
        for who in self.lines:
            position = call(who, c.Ping()).position
            assert position == c.Position(epoch=EPOCH, seq=self.seq)
            listed = {one.room for one in call(who, c.RoomList()).rooms}
            assert listed == {room for room in self.model.rooms if sees(who, room)}


Backends.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize="MODEL_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestBackends = Backends.TestCase
