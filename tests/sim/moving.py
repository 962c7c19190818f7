"""Steps in which a connection goes on: in another room, or by other credentials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.commands import ParticipantMove, ParticipantRestartIce
from control.types import Role
from tests.sim.client import SIGNALLING_S
from tests.sim.offer import build_offer, faults_of, parse_answer
from tests.sim.truth import Stay, Violation

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation


@dataclass(frozen=True, slots=True)
class Move:
    """The backend moves a participant to another room, which is made if need be."""

    name: str
    to_room: str
    role: Role | None = None

    def apply(self, sim: Simulation) -> None:
        member = sim.truth.find(self.name)
        sim.create(self.to_room)
        own = f"{member.room}/{member.participant}"
        state = sim.world.execute(
            ParticipantMove(
                room=member.room, participant=self.name, to_room=self.to_room, role=self.role
            )
        ).participant
        echo_group = member.echo_group
        if echo_group == own:
            echo_group = f"{self.to_room}/{member.participant}"
        stay = Stay(math.inf, self.to_room, state.number, echo_group)
        sim.truth.move(member, stay, state.generation, self.role or member.role, sim.world.now)
        if state.muted is not member.muted or state.role is not member.role:
            raise Violation("move", f"{self.name} became {state}")


@dataclass(frozen=True, slots=True)
class RestartIce:
    """The client offers a restart, at a new address if `elsewhere`.

    `lost` answers never reach it.
    """

    name: str
    elsewhere: bool = False
    lost: bool = False

    def apply(self, sim: Simulation) -> None:
        member = sim.truth.find(self.name)
        client = member.client
        if self.elsewhere:
            sim.rebind(self.name, aware=False)
        offer = client.offer_restart()
        before = client.answer_lines
        result = sim.world.execute(
            ParticipantRestartIce(room=member.room, participant=self.name, offer=build_offer(offer))
        )
        answer = parse_answer(result.answer)
        faults = faults_of(offer, answer)
        if answer.lines != before:
            faults.append("other m-lines than before")
        for fault in faults:
            raise Violation("answer", f"to a restart of {self.name}: {fault}")
        if not self.lost:
            sim.world.clock.at(sim.world.now + SIGNALLING_S, client.apply_restart, (offer, answer))
