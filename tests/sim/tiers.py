"""Rules about tiers and stamps, and steps that state which tier a listener is on by now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.commands import SubscriptionGet
from tests.sim.client import SimClient
from tests.sim.truth import Member, Tiering, Violation
from tests.sim.world import World

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

BY_LINE = ("loss", "delay", "estimate", "silence")


class StampChecker:
    """Numbers of stamped packets count up by one over all of a client's tracks, for whoever offered
    to tell when they came.
    """

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._last: dict[int, int] = {}

    def check(self, world: World, *, final: bool) -> None:
        """Look at what was stamped since the last call."""
        for client in world.clients:
            stamped = client.downlink.stamped
            begin = self._seen.get(client.index, 0)
            self._seen[client.index] = len(stamped)
            for wide in stamped[begin:]:
                last = self._last.get(client.index, wide - 1)
                self._last[client.index] = wide
                if (wide - last) & 0xFFFF != 1:
                    raise Violation("stamps", f"to {client.name}: {wide} after {last}")


class TierChecker:
    """Whoever has a line without any fault is sent less for no reason of the line's."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def check(self, world: World, *, final: bool) -> None:
        """Look at what changed since the last call."""
        for member in world.truth.members:
            begin = self._seen.get(member.client.index, 0)
            self._seen[member.client.index] = len(member.tiers)
            for change in member.tiers[begin:]:
                if change.cause in BY_LINE and is_faultless(member.client):
                    raise Violation("tiers", f"{member.participant}, whose line is good: {change}")


def is_faultless(client: SimClient) -> bool:
    """Whether nothing was ever wrong with either way of a client's line.

    Whoever changed its address missed what was sent to the old one, whoever tells what it can
    take is to be believed, and whoever is gone tells nothing.
    """
    is_itself = len(client.addresses) == 1 and client.is_open and client.shape.remb_bps is None
    return is_itself and all(
        link.counts.dropped == link.counts.reordered == 0
        and link.conditions.rate_bps is None
        and not (link.conditions.jitter_s or link.conditions.blackhole or link.was_stalled)
        for link in (client.up, client.down)
    )


@dataclass(frozen=True, slots=True)
class OnTier:
    """This one is on one of these tiers now, for one of these causes if any are given."""

    name: str
    tiers: tuple[str, ...]
    causes: tuple[str, ...] = ()

    def apply(self, sim: Simulation) -> None:
        member = sim.truth.find(self.name)
        command = SubscriptionGet(room=member.room, participant=self.name)
        state = sim.world.execute(command).subscription
        if state.tier not in self.tiers or (self.causes and state.cause not in self.causes):
            told = f"{state.tier} for {state.cause}, estimate {state.estimate_kbps} kbit/s"
            raise Violation("tier", f"{self.name} is on {told}: {list(map(brief, member.tiers))}")
        if member.tier not in ("", state.tier):
            raise Violation("tier", f"{self.name} was told {member.tier} and is on {state.tier}")


@dataclass(frozen=True, slots=True)
class ChangesAtMost:
    """Its tier changed no more often than this in the last `within_s`."""

    name: str
    count: int
    within_s: float

    def apply(self, sim: Simulation) -> None:
        member = sim.truth.find(self.name)
        lately = _since(member, sim.world.now - self.within_s)
        if len(lately) > self.count:
            raise Violation("tiers", f"{self.name}: {list(map(brief, lately))}")


@dataclass(frozen=True, slots=True)
class NothingDropped:
    """The queue of its line had room for all that was sent to it in the last `within_s`."""

    name: str
    within_s: float

    def apply(self, sim: Simulation) -> None:
        member = sim.truth.find(self.name)
        last = member.client.down.counts.overflowed_at
        if last > sim.world.now - self.within_s:
            history = list(map(brief, member.tiers))
            raise Violation("tail drop", f"{self.name} at {last:.3f}: {history}")


@dataclass(frozen=True, slots=True)
class HearsMix:
    """In the last `within_s` a mix came to it with all these in it."""

    name: str
    speakers: tuple[str, ...] = ()
    within_s: float = 2.0

    def apply(self, sim: Simulation) -> None:
        member = sim.truth.find(self.name)
        since = sim.world.now - self.within_s
        mixed = member.client.downlink.last_mixed
        missing = [
            name for name in self.speakers if mixed.get(sim.truth.find(name).number, -1.0) < since
        ]
        if missing or not any(at >= since for at in mixed.values()):
            raise Violation("mix", f"{self.name} hears {mixed} and not {missing}")


def _since(member: Member, time: float) -> list[Tiering]:
    return [change for change in member.tiers if change.at >= time]


def brief(change: Tiering) -> str:
    """A change in few characters."""
    return f"{change.at:.2f} {change.previous}>{change.tier} {change.cause}"
