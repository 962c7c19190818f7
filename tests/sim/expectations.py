"""Steps that let no time pass and state what must be true at that moment of a scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.types import LeaveReason
from tests.sim.client import ClientState
from tests.sim.truth import Violation

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation


@dataclass(frozen=True, slots=True)
class Connected:
    """These are connected, on both sides."""

    names: tuple[str, ...]

    def apply(self, sim: Simulation) -> None:
        for name in self.names:
            member = sim.truth.find(name)
            if member.client.state is not ClientState.CONNECTED or not member.is_connected:
                raise Violation("connected", f"{name} is {member.client.state.value}")


@dataclass(frozen=True, slots=True)
class Hears:
    """In the last `within_s` this listener heard all these, and with `only` nobody else."""

    name: str
    speakers: tuple[str, ...]
    within_s: float = 2.0
    only: bool = False

    def apply(self, sim: Simulation) -> None:
        heard = sim.heard_lately(self.name, self.within_s)
        missing = [name for name in self.speakers if name not in heard]
        if missing:
            raise Violation("hears", f"{self.name} does not hear {', '.join(missing)}")
        if self.only and set(heard) - set(self.speakers):
            raise Violation("hears", f"{self.name} hears {', '.join(heard)}")


@dataclass(frozen=True, slots=True)
class HearsSome:
    """In the last `within_s` this listener heard at least `count` speakers."""

    name: str
    count: int
    within_s: float = 0.2

    def apply(self, sim: Simulation) -> None:
        heard = sim.heard_lately(self.name, self.within_s)
        if len(heard) < self.count:
            raise Violation("hears", f"{self.name} hears {heard}, not {self.count} speakers")


@dataclass(frozen=True, slots=True)
class GapBelow:
    """The longest silence between two deliveries to `name` in the last `within_s`."""

    name: str
    gap_s: float
    within_s: float

    def apply(self, sim: Simulation) -> None:
        gap = sim.longest_gap(self.name, self.within_s)
        if gap > self.gap_s:
            raise Violation("gap", f"{self.name} heard nothing for {gap:.3f} s")


@dataclass(frozen=True, slots=True)
class Gone:
    """This one has left, for this reason."""

    name: str
    reason: LeaveReason

    def apply(self, sim: Simulation) -> None:
        member = sim.truth.find(self.name)
        if member.is_present or member.reason is not self.reason:
            raise Violation("gone", f"{self.name}: present {member.is_present}, {member.reason}")


@dataclass(frozen=True, slots=True)
class HeardFromStart:
    """Of what this speaker said last, at most the first `lost_s` was not sent to `name`.

    Counted from the first packet of its microphone; so it must have been silent before.
    """

    speaker: str
    name: str
    lost_s: float

    def apply(self, sim: Simulation) -> None:
        speaker = sim.truth.find(self.speaker)
        tracks = sim.truth.find(self.name).client.downlink.tracks.values()
        index = speaker.client.index
        sent = [heard.emitted for track in tracks for heard in track if heard.speaker == index]
        began = next(at for at in speaker.uplink.arrived if at >= 0)
        lost_s = min(sent, default=sim.world.now) - began
        if lost_s > self.lost_s:
            raise Violation("onset", f"{self.name} misses {lost_s:.3f} s of {self.speaker}")
