"""Whatever three backends with different keys do, in any order: the daemon does what the page says.

Each step sends some commands at once, lets a moment pass, and compares every answer, every event
on every connection and the snapshot of every room with a model in plain words. MODEL_EXAMPLES in
the environment sets how many sequences are tried.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from control import ControlError
from control import commands as c
from control.auth import Key
from control.commands import AnyCommand
from control.events import Event, ParticipantJoined
from control.types import Role
from tests.control.asking import Asked, random_asked
from tests.control.model import Model
from tests.control.model_world import JOIN_TIMEOUT_S, Map, Refused
from tests.control.virtual import EPOCH, WALL_AT_ZERO, Line, Plane
from tests.worker.harness import offer

IS_ON_DEMAND = "MODEL_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "120"))
STEPS = 22
# Steps are this far apart, so nothing is ever due at the very moment of another step.
MOMENT_S = 0.021
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
# Rooms that each may change begin so.
CONTROLLED: dict[str, str | None] = {"admin": "", "reader": None, "club": "club/"}
# Stands in commands in place of a real offer, so that what is printed can be read.
OFFERS = {"sdp": offer()}

SEEDS = st.integers(min_value=0, max_value=2**32 - 1)


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
            join_timeout_s=JOIN_TIMEOUT_S,
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
        self.acts = 0
        for key in KEYS:
            line = self.plane.run(self.plane.connect(key))
            subscribe = c.EventsSubscribe(**FOLLOWED[key.key_id])
            self.plane.run(line.link.call(subscribe))
            self.lines[key.key_id] = line

    def teardown(self) -> None:
        self.plane.close()

    @initialize(seed=SEEDS)
    def begin_with_people(self, seed: int) -> None:
        rng = random.Random(seed)
        joins = [
            c.ParticipantJoin(
                room="club/a", participant=name, role=rng.choice(list(Role)), offer="sdp"
            )
            for name in ("red", "blue", "white")
        ]
        rooms = [c.RoomCreate(room=room) for room in ("club/a", "club/b")]
        begin: list[AnyCommand] = [*rooms, *joins]
        self.step([("admin", None, one) for one in begin])

    @rule(seed=SEEDS)
    def act(self, seed: int) -> None:
        """Mostly several commands at once and one that may follow from them; or time, or a break.

        Chosen here and not by the framework, which is fond of doing nothing.
        """
        self.acts += 1
        rng = random.Random(f"{seed} {self.acts}")
        match rng.randrange(10):
            case 0:
                self.pass_time(rng.choice([1, 1, 4, 10, 31]))
                self.compare()
            case 1:
                self.be_away(
                    rng.choice(list(CONTROLLED)), self.draw(rng, 3), rng.choice([0, 4, 10])
                )
            case _:
                self.step(self.draw(rng, rng.randrange(1, 5)))
                self.step(self.draw(rng, 1))

    def draw(self, rng: random.Random, count: int) -> list[Asked]:
        return [random_asked(rng, self.model) for _ in range(count)]

    def be_away(self, who: str, asked: list[Asked], seconds: int) -> None:
        """What happens while a backend is away it gets when it comes back."""
        self.lines[who].link.close()
        position = c.Position(epoch=EPOCH, seq=self.seq)
        self.model.control(by for one, by in CONTROLLED.items() if one != who and by is not None)
        self.pass_time(0)
        others = [one for one in asked if one[0] != who]
        expected, answers = self.expected(others), self.send(others)
        self.pass_time(seconds)
        line = self.plane.run(self.plane.connect(next(key for key in KEYS if key.key_id == who)))
        self.lines[who] = line
        self.model.control(by for by in CONTROLLED.values() if by is not None)
        subscribe = c.EventsSubscribe(**FOLLOWED[who], since=position)
        self.plane.run(line.link.call(subscribe))
        self.pass_time(0)
        assert answers == expected
        self.compare()

    def step(self, asked: list[Asked]) -> None:
        """Send all at once, then see."""
        expected = self.expected(asked)
        answers = self.send(asked)
        for (who, key, command), answer, right in zip(asked, answers, expected, strict=True):
            assert answer == right, (who, key, command)
        self.pass_time(0)
        self.compare()

    def send(self, asked: list[Asked]) -> list[Map]:
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

    def expected(self, asked: list[Asked]) -> list[Map]:
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
    derandomize=not IS_ON_DEMAND,
    # Shrinking takes minutes: only who asks for more examples waits for it.
    phases=tuple(Phase) if IS_ON_DEMAND else (Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestBackends = pytest.mark.timeout(3_600 if IS_ON_DEMAND else 60)(Backends.TestCase)
