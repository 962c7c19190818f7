"""Steps that state what a listener's decoder had: frames, silence of the server, round trips."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.sim.payload import SERVER_SILENCE
from tests.sim.playout import Decoded, decode
from tests.sim.truth import Violation

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

# What is on its way cannot be judged yet.
JUDGED_AFTER_S = 0.6
SILENCE_TICKS = 960
# From one paced packet to the next; a tick of sound may hold each back for another 20 ms.
PACED_S = (-0.001, 0.041)


@dataclass(frozen=True, slots=True)
class Decodes:
    """Of the last `within_s`, at most this share was concealed, and at least so much recovered."""

    name: str
    concealed_max: float
    within_s: float
    recovered_min: float = 0.0
    repeated_min: float = 0.0

    def apply(self, sim: Simulation) -> None:
        told = self.decoded(sim)
        frames = max(1, told.frames)
        if (
            not told.frames
            or told.concealment > self.concealed_max
            or told.recovered / frames < self.recovered_min
            or told.repeated / frames < self.repeated_min
        ):
            share = f"{told.concealment:.4f} concealed"
            raise Violation("decodes", f"{self.name}: {share} of {told}")

    def decoded(self, sim: Simulation) -> Decoded:
        """All its tracks together."""
        client = sim.truth.find(self.name).client
        until = sim.world.now - JUDGED_AFTER_S
        total = Decoded()
        for track in client.downlink.tracks.values():
            part = decode(track, client.shape.jitter_buffer_s, until - self.within_s, until)
            total.original += part.original
            total.repeated += part.repeated
            total.recovered += part.recovered
            total.concealed += part.concealed
        return total


@dataclass(frozen=True, slots=True)
class Silenced:
    """In the last `within_s` the server sent so many packets of silence, paced, to this one."""

    name: str
    packets: tuple[int, int]
    within_s: float

    def apply(self, sim: Simulation) -> None:
        client = sim.truth.find(self.name).client
        since = sim.world.now - self.within_s
        count = 0
        for track in client.downlink.tracks.values():
            lately = [heard for heard in track if heard.left > since]
            count += sum(heard.speaker == SERVER_SILENCE for heard in lately)
            for before, after in pairwise(lately):
                if before.speaker == after.speaker == SERVER_SILENCE:
                    ticks = (after.timestamp - before.timestamp) & 0xFFFFFFFF
                    spacing_s = after.left - before.left
                    is_paced = PACED_S[0] <= spacing_s <= PACED_S[1]
                    if ticks != SILENCE_TICKS or not is_paced:
                        fault = f"{after} is {spacing_s:.3f} s and {ticks} ticks after {before}"
                        raise Violation("silence", f"to {self.name}: {fault}")
        if not self.packets[0] <= count <= self.packets[1]:
            raise Violation("silence", f"{self.name} was sent {count} packets of silence")


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """By the answers to its reference times this client's way there and back takes so long."""

    name: str
    rtt_s: tuple[float, float]
    answers_min: int

    def apply(self, sim: Simulation) -> None:
        told = sim.truth.find(self.name).client.feedback.round_trips
        wrong = [rtt for rtt in told if not self.rtt_s[0] <= rtt <= self.rtt_s[1]]
        if wrong or len(told) < self.answers_min:
            raise Violation("round trips", f"{self.name}: {len(told)} answers, wrong: {wrong}")
