"""How many there are, by role, is right after everything, and asking for it looks at no room."""

from __future__ import annotations

import random

import pytest

from control.commands import (
    ParticipantMove,
    ParticipantRemove,
    ParticipantSetRole,
    RoomClose,
    RoomCreate,
)
from control.errors import ControlError
from control.types import Role
from sfu.stage import Room
from tests.worker.harness import Bench

ROLES = list(Role)
NAMES = [f"guest-{number}" for number in range(8)]
ROOMS = ["r", "other"]


def _counted(bench: Bench) -> dict[Role, int]:
    sizes = bench.worker.sizes()
    return {role: sizes[f"participants_{role}"] for role in Role}


def _seen(bench: Bench) -> dict[Role, int]:
    rooms = bench.worker._registry.rooms.values()
    everybody = [one.role for room in rooms for one in room.participants.values()]
    return {role: everybody.count(role) for role in Role}


@pytest.mark.parametrize("seed", range(5))
def test_everybody_is_counted_once_whatever_happens(seed: int) -> None:
    bench, dice = Bench(), random.Random(seed)
    seen_most = 0
    for _ in range(150):
        room, name = dice.choice(ROOMS), dice.choice(NAMES)
        try:
            match dice.randrange(9):
                case 0:
                    bench.run(RoomCreate(room=room))
                case 1 | 2 | 3:
                    bench.join(name, dice.choice(ROLES), room=room)
                case 4:
                    bench.run(ParticipantRemove(room=room, participant=name))
                case 5 | 6:
                    bench.run(
                        ParticipantSetRole(room=room, participant=name, role=dice.choice(ROLES))
                    )
                case 7:
                    bench.run(
                        ParticipantMove(room=room, participant=name, to_room=dice.choice(ROOMS))
                    )
                case 8 if dice.randrange(4) == 0:
                    bench.run(RoomClose(room=room))
        except ControlError:
            pass
        assert _counted(bench) == _seen(bench)
        on_stage = sum(count for role, count in _seen(bench).items() if role is not Role.LISTENER)
        assert bench.worker._registry.intake.on_stage == on_stage
        seen_most = max(seen_most, sum(_seen(bench).values()))
    assert seen_most > 4


def test_asking_for_it_builds_the_state_of_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.room()
    bench.join("a", Role.SPEAKER)

    def state(room: Room) -> None:
        raise AssertionError("a thousand rooms are a thousand of these for each scrape")

    monkeypatch.setattr(Room, "state", state)
    assert bench.worker.sizes()["participants_speaker"] == 1
