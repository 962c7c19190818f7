"""Steps of those who choose what they hear, and what is known of their lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, UnsetType

from control.commands import SubscriptionGet, SubscriptionUpdate
from tests.sim.truth import Violation

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation


@dataclass(frozen=True, slots=True)
class Ask:
    """The backend updates what somebody hears; what is None stays."""

    name: str
    never: tuple[str, ...] | None = None
    always: tuple[str, ...] | None = None
    slots: int | None = None
    paused: bool | None = None
    mode: Literal["auto", "forward", "mix"] | None = None
    max_kbps: int | None | UnsetType = UNSET

    def apply(self, sim: Simulation) -> None:
        member = sim.truth.find(self.name)
        command = SubscriptionUpdate(
            room=member.room,
            participant=self.name,
            never=None if self.never is None else list(self.never),
            always=None if self.always is None else list(self.always),
            slots=self.slots,
            paused=self.paused,
            mode=self.mode,
            max_kbps=self.max_kbps,
        )
        told = sim.world.execute(command).subscription
        if self.never is not None:
            member.never = self.never
        if self.paused is not None:
            member.is_paused = self.paused
        member.is_choosy = True
        if (tuple(told.never), told.paused) != (member.never, member.is_paused):
            raise Violation("subscription", f"{self.name} got {told}")


@dataclass(frozen=True, slots=True)
class Line:
    """What the daemon tells of a listener's line lies within these bounds."""

    name: str
    loss: tuple[float, float]
    rtt_ms: tuple[float, float]

    def apply(self, sim: Simulation) -> None:
        member = sim.truth.find(self.name)
        command = SubscriptionGet(room=member.room, participant=self.name)
        state = sim.world.execute(command).subscription
        for figure, (low, high) in ((state.loss_ratio, self.loss), (state.rtt_ms, self.rtt_ms)):
            if figure is None or not low <= figure <= high:
                raise Violation("line", f"{self.name}: {figure} is not {low} to {high}")
