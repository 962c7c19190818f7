"""Scenarios as data: a name, steps, and how many seeds it is worth.

A step is a frozen value that knows what to ask of the simulation. Names are participants; steps act
on the latest stay of a name.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol

from control.types import LeaveReason, Role
from sfu.transport.address import pack_address
from tests.sim.network import Conditions
from tests.sim.shape import ClientShape

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A copy that is cut short, or has one to three bytes changed, or is random altogether.

    The FINGERPRINT at the end of a STUN message stays as it is: MESSAGE-INTEGRITY does not cover
    it, so a message with another one in its place is a replay, and that is authentic.
    """
    end = len(data) - 8 if data[0] < 4 else len(data)
    kind = rng.randrange(3)
    if kind == 0:
        return data[: rng.randrange(1, len(data))]
    if kind == 1:
        return data[:1] + rng.randbytes(rng.randrange(1, 200))
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        changed[rng.randrange(end)] ^= rng.randrange(1, 256)
    return bytes(changed)


Direction = Literal["up", "down", "both"]
# A step of running is cut into slices so that a broken rule is found near its cause.
SLICE_S = 1.0


class Step(Protocol):
    """One thing that happens."""

    def apply(self, sim: Simulation) -> None: ...


@dataclass(frozen=True, slots=True)
class Scenario:
    """`seeds` is how many are run on every change; heavy scenarios state fewer."""

    name: str
    steps: tuple[Step, ...]
    seeds: int = 20
    slots: int = 3
    max_speakers: int = 20


@dataclass(frozen=True, slots=True)
class Run:
    """Let time pass."""

    seconds: float
    slice_s: float = SLICE_S

    def apply(self, sim: Simulation) -> None:
        end = sim.world.now + self.seconds
        while sim.world.now + self.slice_s < end:
            sim.world.run_until(sim.world.now + self.slice_s)
            sim.check()
        sim.world.run_until(end)


@dataclass(frozen=True, slots=True)
class Join:
    """Somebody new, or the same name again from elsewhere."""

    name: str
    role: Role = Role.SPEAKER
    room: str = "main"
    shape: ClientShape = field(default_factory=ClientShape)
    up: Conditions = field(default_factory=Conditions)
    down: Conditions = field(default_factory=Conditions)
    echo_group: str | None = None
    muted: bool = False
    family: Literal["any", "ipv4", "ipv6"] = "any"
    # Take over the address that this one has, as a NAT may give it to the next.
    address_of: str | None = None

    def apply(self, sim: Simulation) -> None:
        sim.join(self)


@dataclass(frozen=True, slots=True)
class Storm:
    """Many listeners join, evenly spread over `seconds`."""

    count: int
    seconds: float
    prefix: str = "guest"
    shape: ClientShape = field(default_factory=lambda: ClientShape(sends=False))

    def apply(self, sim: Simulation) -> None:
        for number in range(self.count):
            sim.join(Join(f"{self.prefix}{number}", Role.LISTENER, shape=self.shape))
            sim.world.run_until(sim.world.now + self.seconds / self.count)


@dataclass(frozen=True, slots=True)
class Leave:
    """The client says goodbye by DTLS."""

    name: str

    def apply(self, sim: Simulation) -> None:
        member = sim.truth.find(self.name)
        member.expected_reason = LeaveReason.DTLS_CLOSED
        member.client.close(sim.world.now)


@dataclass(frozen=True, slots=True)
class Vanish:
    """The client is gone without a word."""

    name: str

    def apply(self, sim: Simulation) -> None:
        sim.truth.find(self.name).client.die(sim.world.now)


@dataclass(frozen=True, slots=True)
class Talk:
    """Open the microphone and speak."""

    name: str

    def apply(self, sim: Simulation) -> None:
        sim.truth.find(self.name).client.open_microphone(sim.world.now, speaking=True)


@dataclass(frozen=True, slots=True)
class Hush:
    """Stop speaking; the open microphone sends quiet frames, or what DTX leaves of them."""

    name: str

    def apply(self, sim: Simulation) -> None:
        sim.truth.find(self.name).client.open_microphone(sim.world.now, speaking=False)


@dataclass(frozen=True, slots=True)
class CloseMicrophone:
    """The client sends no media at all until it talks again."""

    name: str

    def apply(self, sim: Simulation) -> None:
        sim.truth.find(self.name).client.close_microphone(sim.world.now)


@dataclass(frozen=True, slots=True)
class Jump:
    """The client's sender was rebuilt: its numbers leap forward by less than 2^15 packets."""

    name: str
    sequences: int
    ticks: int = 0

    def apply(self, sim: Simulation) -> None:
        microphone = sim.truth.find(self.name).client.microphone
        assert microphone is not None
        microphone.jump(self.sequences, self.ticks)


@dataclass(frozen=True, slots=True)
class ChangeSsrc:
    """The client goes on under another SSRC, with other numbers; the old one is never used again.

    Less than 2^15 packets ahead, so that no number tells of a step back.
    """

    name: str

    def apply(self, sim: Simulation) -> None:
        microphone = sim.truth.find(self.name).client.microphone
        assert microphone is not None
        microphone.change_ssrc(sim.random.randrange(1, 2**32))
        microphone.jump(sim.random.randrange(1, 2**14), sim.random.randrange(2**31))


@dataclass(frozen=True, slots=True)
class Mute:
    name: str
    lock: bool = False

    def apply(self, sim: Simulation) -> None:
        sim.mute(self.name, lock=self.lock)


@dataclass(frozen=True, slots=True)
class Unmute:
    name: str
    lock: bool = False

    def apply(self, sim: Simulation) -> None:
        sim.unmute(self.name, lock=self.lock)


@dataclass(frozen=True, slots=True)
class SetRole:
    name: str
    role: Role

    def apply(self, sim: Simulation) -> None:
        sim.set_role(self.name, self.role)


@dataclass(frozen=True, slots=True)
class Remove:
    name: str

    def apply(self, sim: Simulation) -> None:
        sim.remove(self.name)


@dataclass(frozen=True, slots=True)
class CloseRoom:
    room: str = "main"

    def apply(self, sim: Simulation) -> None:
        sim.close_room(self.room)


@dataclass(frozen=True, slots=True)
class Drain:
    """The server is told to go away."""

    def apply(self, sim: Simulation) -> None:
        sim.drain()


@dataclass(frozen=True, slots=True)
class Noise:
    """Strangers send damaged copies of what clients sent, under their own and others' addresses."""

    seconds: float
    per_second: int = 100

    def apply(self, sim: Simulation) -> None:
        rng, world = sim.random, sim.world
        stranger = pack_address("203.0.113.66", 6_666)
        for _ in range(int(self.seconds * self.per_second)):
            data, address = rng.choice(world.recent)
            world.inject(damaged(data, rng), rng.choice((address, stranger)))
            world.run_until(world.now + 1 / self.per_second)


@dataclass(frozen=True, slots=True)
class Link:
    """The links of a client are like this from now on."""

    name: str
    conditions: Conditions
    direction: Direction = "both"

    def apply(self, sim: Simulation) -> None:
        client = sim.truth.find(self.name).client
        if self.direction in ("up", "both"):
            client.up.conditions = self.conditions
        if self.direction in ("down", "both"):
            client.down.conditions = self.conditions


@dataclass(frozen=True, slots=True)
class Stall:
    """The network holds everything back for so long; then it comes at once, in order."""

    name: str
    seconds: float
    direction: Direction = "both"

    def apply(self, sim: Simulation) -> None:
        client = sim.truth.find(self.name).client
        if self.direction in ("up", "both"):
            client.up.stall(sim.world.now + self.seconds)
        if self.direction in ("down", "both"):
            client.down.stall(sim.world.now + self.seconds)


@dataclass(frozen=True, slots=True)
class Blackhole:
    """Nothing passes any more."""

    name: str
    direction: Direction = "both"

    def apply(self, sim: Simulation) -> None:
        client = sim.truth.find(self.name).client
        sim.healing.forget(client)
        if self.direction in ("up", "both"):
            client.up.conditions = replace(client.up.conditions, blackhole=True)
        if self.direction in ("down", "both"):
            client.down.conditions = replace(client.down.conditions, blackhole=True)


@dataclass(frozen=True, slots=True)
class Heal:
    """The black holes of a client are gone."""

    name: str

    def apply(self, sim: Simulation) -> None:
        client = sim.truth.find(self.name).client
        client.up.conditions = replace(client.up.conditions, blackhole=False)
        client.down.conditions = replace(client.down.conditions, blackhole=False)
        sim.healing.note(client, sim.world.now)


@dataclass(frozen=True, slots=True)
class Rebind:
    """The client appears at a new address; an `aware` one checks at once."""

    name: str
    aware: bool = False

    def apply(self, sim: Simulation) -> None:
        sim.rebind(self.name, aware=self.aware)


@dataclass(frozen=True, slots=True)
class Swizzle:
    """Random links stop and restart one after the other; at the end all are whole.

    No link stays dead for longer than `longest_s`, so that nobody loses consent.
    """

    seconds: float
    every_s: float = 0.4
    longest_s: float = 6.0

    def apply(self, sim: Simulation) -> None:
        end = sim.world.now + self.seconds
        dead: dict[str, float] = {}
        while sim.world.now < end:
            name = sim.random.choice([member.participant for member in sim.truth.present()])
            if name in dead:
                del dead[name]
                Heal(name).apply(sim)
            else:
                dead[name] = sim.world.now
                Blackhole(name, sim.random.choice(("up", "down", "both"))).apply(sim)
            Run(self.every_s).apply(sim)
            for late in [n for n, since in dead.items() if sim.world.now - since > self.longest_s]:
                del dead[late]
                Heal(late).apply(sim)
        for name in dead:
            Heal(name).apply(sim)
