"""A step of any number of random things that backends and clients do, while packets flow."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.types import Role
from tests.sim.listening import Ask
from tests.sim.moving import Move
from tests.sim.scenario import (
    CloseMicrophone,
    Hush,
    Join,
    Leave,
    Mute,
    Remove,
    Run,
    SetRole,
    Step,
    Talk,
    Unmute,
)
from tests.sim.shape import ClientShape
from tests.sim.truth import Member
from tests.sim.voice import Voice

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

ROOMS = ("main", "side")
# More than slots, few enough that most operations meet somebody who speaks.
PEOPLE = tuple(f"guest-{number}" for number in range(12))
# Between two operations: often within a frame of each other, sometimes long enough to settle.
WAITS_S = (0.0, 0.0, 0.005, 0.02, 0.05, 0.1, 0.3, 0.7)


@dataclass(frozen=True, slots=True)
class Operations:
    """`count` of them, as the seed of the simulation has it."""

    count: int

    def apply(self, sim: Simulation) -> None:
        rng = sim.random
        for name in PEOPLE:
            join = _join(name, rng)
            join.apply(sim)
            _note_choices(sim, join)
            Talk(name).apply(sim)
        Run(1.0).apply(sim)
        for _ in range(self.count):
            step = _step(sim, rng)
            step.apply(sim)
            _note_choices(sim, step)
            Run(rng.choice(WAITS_S)).apply(sim)
            sim.check()


def _note_choices(sim: Simulation, step: Step) -> None:
    """Everybody misses some of what passes on its tracks, as if it had asked to: its own voice, and
    with fewer m-lines than slots what the server leaves out.
    """
    if isinstance(step, Join):
        sim.truth.find(step.name).is_choosy = True


def _step(sim: Simulation, rng: random.Random) -> Step:
    """Something that makes sense now."""
    present = {member.participant: member for member in sim.truth.present()}
    absent = [name for name in PEOPLE if name not in present]
    if absent and (not present or rng.random() < 0.3):
        return _join(rng.choice(absent), rng)
    member = present[rng.choice(list(present))]
    return rng.choice(_CHOICES)(member, rng)


def _join(name: str, rng: random.Random) -> Step:
    voice = Voice(
        frame_ms=rng.choice((10, 20, 20, 40, 60)),
        pause_s=rng.choice(((0.0, 0.0), (0.1, 0.8))),
        dtx=rng.random() < 0.5,
    )
    return Join(
        name,
        rng.choice((Role.LISTENER, Role.SPEAKER, Role.SPEAKER, Role.MODERATOR)),
        room=rng.choice(ROOMS),
        shape=ClientShape(lines=rng.choice((1, 2, 4, 4)), voice=voice),
        echo_group=rng.choice((None, None, None, "table")),
        muted=rng.random() < 0.2,
    )


def _go(member: Member, rng: random.Random) -> Step:
    name = member.participant
    return Leave(name) if member.is_connected and rng.random() < 0.5 else Remove(name)


def _mute(member: Member, rng: random.Random) -> Step:
    name = member.participant
    return Unmute(name, lock=True) if member.muted else Mute(name, lock=rng.random() < 0.2)


def _promote(member: Member, rng: random.Random) -> Step:
    return SetRole(member.participant, rng.choice(list(Role)))


def _move(member: Member, rng: random.Random) -> Step:
    (other,) = (room for room in ROOMS if room != member.room)
    return Move(member.participant, other)


def _speak(member: Member, rng: random.Random) -> Step:
    name = member.participant
    return rng.choice((Talk(name), Talk(name), Hush(name), CloseMicrophone(name)))


def _ask(member: Member, rng: random.Random) -> Step:
    def few() -> tuple[str, ...] | None:
        return rng.choice((None, (), tuple(rng.sample(PEOPLE, 2))))

    return Ask(
        member.participant,
        never=few(),
        always=few(),
        slots=rng.choice((None, 1, 2, 3)),
        paused=rng.choice((None, False, False, True)),
    )


_CHOICES: tuple[Callable[[Member, random.Random], Step], ...] = (
    _go,
    _mute,
    _mute,
    _mute,
    _promote,
    _move,
    _speak,
    _speak,
    _speak,
    _ask,
    _ask,
)
