"""Steps that state how a listener is protected, and what the daemon knows of its line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.commands import SubscriptionGet
from tests.sim.truth import Violation

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

# A second of speech, of which somebody who protects others has lost a fifth.
SEEN_S = 1.0
PACKETS_SEEN = 50


@dataclass(frozen=True, slots=True)
class Protected:
    """So many earlier packets go along with each, by this loss of its own line.

    `is_seen`: and it was sent them lately, at least with one that followed no gap.
    """

    name: str
    copies: tuple[int, ...]
    loss: tuple[float, float] = (0.0, 1.0)
    is_seen: bool = True

    def apply(self, sim: Simulation) -> None:
        member = sim.truth.find(self.name)
        command = SubscriptionGet(room=member.room, participant=self.name)
        state = sim.world.execute(command).subscription
        if state.protection not in self.copies:
            raise Violation("protection", f"{self.name}: {state.protection} of {self.copies}")
        low, high = self.loss
        if state.loss_ratio is None or not low <= state.loss_ratio <= high:
            raise Violation("loss", f"{self.name}: {state.loss_ratio} is not {low} to {high}")
        tracks = member.client.downlink.tracks.values()
        lately = [
            len(heard.copies)
            for track in tracks
            for heard in track[-PACKETS_SEEN:]
            if heard.left > sim.world.now - SEEN_S
        ]
        if self.is_seen and max(lately, default=0) != state.protection:
            raise Violation("protection", f"{self.name} was sent {lately}, not {state.protection}")
