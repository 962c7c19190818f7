"""Who may be heard in a room, and who asks to be: roles, mutes, hands, priorities.

Each change takes effect at once and is told by an event; what changes nothing tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from control.events import (
    EventBody,
    HandLowered,
    HandRaised,
    RoleChanged,
    TrackMuted,
    TrackUnmuted,
)
from control.types import Hand, Role

from .hands import Hands

if TYPE_CHECKING:
    from .participant import Participant
    from .roster import Roster
    from .settings import RoomSettings

# Who muted when the backend did not say: a key did, and keys are the backend's.
BACKEND = "backend"


class Moderation:
    """Of one room. Participant ids that are not in it raise ControlError `not_found`.

    `follow(participant, now)` is called when somebody may have become audible or inaudible.
    """

    def __init__(
        self,
        roster: Roster,
        *,
        settings_of: Callable[[], RoomSettings],
        follow: Callable[[Participant, float], None],
        tell: Callable[[EventBody], None],
        unix_ms: Callable[[float], int],
    ) -> None:
        self._roster = roster
        self._settings_of = settings_of
        self._follow = follow
        self._tell = tell
        self._unix_ms = unix_ms
        self._hands = Hands()

    def hands(self) -> list[Hand]:
        """Raised hands, first raised first."""
        return self._hands.in_order()

    def forget(self, participant: Participant) -> None:
        """It leaves the room, which ends what it asked for."""
        self._hands.lower_hand(participant)

    def set_role(
        self, participant_id: str, role: Role, now: float, *, actor: str | None = None
    ) -> None:
        """Promote or demote. The mute state stays; a promotion takes the raised hand down.

        Raises ControlError `resource_exhausted` when the stage is full.
        """
        participant = self._roster.get(participant_id)
        previous = participant.role
        if role is previous:
            return
        self._roster.set_role(participant, role, self._settings_of())
        self._tell(
            RoleChanged(participant=participant.id, role=role, previous=previous, actor=actor)
        )
        if role.is_on_stage and self._hands.lower_hand(participant):
            self._tell(HandLowered(participant=participant.id))
        self._follow(participant, now)

    def set_muted(
        self,
        participant_id: str,
        muted: bool,
        now: float,
        *,
        lock: bool = False,
        actor: str | None = None,
    ) -> None:
        """Mute or unmute. Muting with `lock` holds until unmuting with `lock`.

        Raises ControlError `failed_precondition` for unmuting a locked one without it.
        """
        participant = self._roster.get(participant_id)
        if muted and participant.mute(lock=lock):
            locked = participant.mute_locked
            self._tell(TrackMuted(participant=participant.id, by=actor or BACKEND, locked=locked))
        elif not muted and participant.unmute(lock=lock):
            self._tell(TrackUnmuted(participant=participant.id))
        self._follow(participant, now)

    def set_priority(self, participant_id: str, priority_db: float | None) -> None:
        """Compete for slots with this bonus; None: the one of its role."""
        self._roster.get(participant_id).priority_db = priority_db

    def raise_hand(self, participant_id: str, now: float) -> None:
        """Raises ControlError `failed_precondition` on stage or when the policy is closed."""
        participant = self._roster.get(participant_id)
        at_ms = self._unix_ms(now)
        if self._hands.raise_hand(participant, self._settings_of().hand_policy, at_ms):
            self._tell(HandRaised(participant=participant.id, raised_at=at_ms))

    def lower_hand(self, participant_id: str) -> None:
        """Nothing happens when it was not up."""
        participant = self._roster.get(participant_id)
        if self._hands.lower_hand(participant):
            self._tell(HandLowered(participant=participant.id))
