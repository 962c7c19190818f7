"""Raised hands, in the order raised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control.types import Hand

from .refusals import failed_precondition

if TYPE_CHECKING:
    from control.types import HandPolicy

    from .participant import Participant


class Hands:
    """Who wants to be called up. Never longer than the room: only its participants are in here."""

    def __init__(self) -> None:
        self._raised: dict[str, Participant] = {}

    def raise_hand(self, participant: Participant, policy: HandPolicy, at_ms: int) -> bool:
        """Put `participant` last; False when its hand is up already (it keeps its place).

        Raises ControlError `failed_precondition` when the policy is closed or it is on stage.
        """
        if participant.role.is_on_stage:
            raise failed_precondition(f"a {participant.role} may speak without raising a hand")
        if participant.id in self._raised:
            return False
        if policy == "closed":
            raise failed_precondition("the room takes no raised hands")
        participant.hand_raised_at_ms = at_ms
        self._raised[participant.id] = participant
        return True

    def lower_hand(self, participant: Participant) -> bool:
        """Take the hand down; False when it was not up."""
        participant.hand_raised_at_ms = None
        return self._raised.pop(participant.id, None) is not None

    def in_order(self) -> list[Hand]:
        """All raised hands, first raised first."""
        return [
            Hand(participant=participant.id, raised_at=participant.hand_raised_at_ms)
            for participant in self._raised.values()
            if participant.hand_raised_at_ms is not None
        ]
