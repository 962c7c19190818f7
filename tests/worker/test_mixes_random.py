"""Whatever happens to rooms, the mixer is asked for what can be, and makes what is heard.

The real mixer refuses what is wrong: a room or output that is there already, or is not.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

import pytest

from control.commands import (
    ParticipantMove,
    ParticipantRemove,
    ParticipantSetRole,
    RoomClose,
    RoomCreate,
    RoomUpdate,
    SubscriptionUpdate,
    TrackMute,
    TrackUnmute,
)
from control.errors import ControlError
from control.types import Role
from sfu.mixing import Mixer
from sfu.worker.mix_outputs import LINGER_S
from sfu.worker.mix_port import InlineMixing
from tests.worker.harness import offer
from tests.worker.mixing import MixBench, Voice

OPERATIONS = 250
NAMES = ("red", "blue", "white", "guest-1", "guest-2", "guest-3")
GROUPS = (None, None, "table")


class Restarting(InlineMixing):
    """One that may begin anew, and then knows nothing."""

    def __init__(self, now: float) -> None:
        super().__init__(Mixer(now))
        self.mixer = self._mixer

    def restart(self, now: float) -> None:
        self._mixer = self.mixer = Mixer(now)
        self._frames.clear()
        self.starts += 1


class House:
    """Two rooms, and dice."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.port = Restarting(100.0)
        self.bench = MixBench(self.port)
        self.voices: dict[str, Voice] = {}
        self.operations: list[Callable[[str, str], object]] = [
            self.join,
            self.join,
            self.join,
            self.listen,
            self.listen,
            self.listen,
            self.talk,
            self.talk,
            self.talk,
            self.set_role,
            self.mute,
            self.leave,
            self.move,
            self.resize,
            self.close,
            self.restart,
        ]

    def step(self) -> None:
        """One thing happens, and some time passes."""
        operation = self.dice.choice(self.operations)
        try:
            operation(self.dice.choice(("r", "other")), self.dice.choice(NAMES))
        except ControlError:
            pass
        self.bench.wait(self.dice.choice((0.0, 0.0, 0.03, 0.5, 3.0)))

    def join(self, room: str, name: str) -> None:
        if room not in self.bench.worker._registry.rooms:
            self.bench.run(RoomCreate(room=room))
        self.bench.join(
            name,
            self.dice.choice(list(Role)),
            room=room,
            echo_group=self.dice.choice(GROUPS),
            offer=offer(lines=self.dice.choice((1, 2, 4)), ufrag=(name + room).replace("-", "x")),
        )
        if room == "r":
            self.voices[name] = Voice(self.bench, name, NAMES.index(name) + 1)

    def listen(self, room: str, name: str) -> None:
        modes: tuple[Literal["auto", "forward", "mix"], ...] = ("auto", "forward", "mix")
        mode = self.dice.choice(modes)
        max_kbps = self.dice.choice((None, 14, 25, 45))
        self.bench.run(
            SubscriptionUpdate(room=room, participant=name, mode=mode, max_kbps=max_kbps)
        )

    def talk(self, room: str, name: str) -> None:
        if name in self.voices:
            self.voices[name].talk(self.dice.choice((1, 10)))

    def set_role(self, room: str, name: str) -> None:
        role = self.dice.choice(list(Role))
        self.bench.run(ParticipantSetRole(room=room, participant=name, role=role))

    def mute(self, room: str, name: str) -> None:
        command = self.dice.choice((TrackMute, TrackUnmute))
        self.bench.run(command(room=room, participant=name))

    def leave(self, room: str, name: str) -> None:
        self.bench.run(ParticipantRemove(room=room, participant=name))

    def move(self, room: str, name: str) -> None:
        to_room = "other" if room == "r" else "r"
        self.bench.run(ParticipantMove(room=room, participant=name, to_room=to_room))

    def resize(self, room: str, name: str) -> None:
        self.bench.run(RoomUpdate(room=room, slots=self.dice.randrange(1, 5)))

    def close(self, room: str, name: str) -> None:
        if self.dice.randrange(3) == 0:
            self.bench.run(RoomClose(room=room))

    def restart(self, room: str, name: str) -> None:
        self.port.restart(self.bench.now)
        self.bench.worker.receive_mixed(self.bench.now)
        self.bench.drain()

    def check(self) -> None:
        """The mixer makes what the worker has slots for."""
        sizes, stats = self.bench.worker.sizes(), self.port.mixer.stats()
        assert (stats.rooms, stats.encoders) == (sizes["rooms_mixed"], sizes["mixes"])
        registry = self.bench.worker._registry
        mixed = registry.mixes._mixed
        tapped = {slot for room in mixed for slot in room.slot_ids}
        assert set(registry.mixes._by_slot) == tapped
        assert self.bench.worker.counters()["bugs"] == 0


@pytest.mark.parametrize("seed", range(6))
def test_the_mixer_makes_what_is_heard_and_nothing_is_left_over(seed: int) -> None:
    house = House(seed)
    most = 0
    for _ in range(OPERATIONS):
        house.step()
        house.check()
        most = max(most, house.bench.worker.sizes()["mixes"])
    assert most > 2
    for room in ("r", "other"):
        for name in NAMES:
            try:
                house.leave(room, name)
            except ControlError:
                pass
    house.bench.wait(LINGER_S + 2.0)
    house.check()
    assert house.bench.worker.sizes()["mixes"] == 0
    assert house.bench.worker.counters()["mix_frames_refused"] == 0
