"""Who may be heard in a room, who asks to be and who is asked: roles, mutes, hands, invitations.

Each change takes effect at once and is told by an event; what changes nothing tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from control.events import (
    EventBody,
    HandLowered,
    HandRaised,
    RoleChanged,
    StageAccepted,
    StageDeclined,
    StageExpired,
    StageInvited,
    TrackMuted,
    TrackUnmuted,
)
from control.types import Hand, Role

from .hands import Hands
from .invitations import Invitations
from .refusals import failed_precondition

if TYPE_CHECKING:
    from .participant import Participant
    from .roster import Roster
    from .settings import RoomSettings

# Who muted when the backend did not say: a key did, and keys are the backend's.
BACKEND = "backend"
# Who muted those that accept an invitation: coming onto the stage did.
STAGE = "stage"


class Moderation:
    """Of one room. Participant ids that are not in it raise ControlError `not_found`.

    `follow(participant, now)` is called when somebody may have become audible or inaudible,
    `tell_state(participant)` when something changed that has no event of its own.
    """

    def __init__(
        self,
        roster: Roster,
        *,
        settings_of: Callable[[], RoomSettings],
        follow: Callable[[Participant, float], None],
        tell: Callable[[EventBody], None],
        tell_state: Callable[[Participant], None],
        unix_ms: Callable[[float], int],
    ) -> None:
        self._roster = roster
        self._settings_of = settings_of
        self._follow = follow
        self._tell = tell
        self._tell_state = tell_state
        self._unix_ms = unix_ms
        self._hands = Hands()
        self._invitations = Invitations()

    @property
    def next_deadline(self) -> float | None:
        """When `tick` has something to do, None for never; may be too early."""
        return self._invitations.next_deadline

    def tick(self, now: float) -> None:
        """End the invitations whose time has come. Early and repeated calls do nothing."""
        for participant in self._invitations.expire(now):
            self._tell(StageExpired(participant=participant.id))

    def hands(self) -> list[Hand]:
        """Raised hands, first raised first."""
        return self._hands.in_order()

    def forget(self, participant: Participant) -> None:
        """It leaves the room, which ends what it asked for and was asked."""
        self._hands.lower_hand(participant)
        self._invitations.end(participant)

    def set_role(
        self, participant_id: str, role: Role, now: float, *, actor: str | None = None
    ) -> None:
        """Promote or demote. The mute state stays; a promotion ends a raised hand, an invitation.

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
        if role.is_on_stage:
            self._invitations.end(participant)
            if self._hands.lower_hand(participant):
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
        is_locked = participant.mute_locked
        if not muted and is_locked and not lock:
            raise failed_precondition(f"the mute is locked: {participant.id}")
        locked = muted and (lock or is_locked)
        self.set_mute(participant_id, muted=muted, locked=locked, now=now, actor=actor)

    def set_mute(
        self,
        participant_id: str,
        *,
        muted: bool,
        locked: bool,
        now: float,
        actor: str | None = None,
    ) -> None:
        """Make mute and lock so, whatever they were."""
        participant = self._roster.get(participant_id)
        if not participant.set_mute(muted=muted, locked=locked):
            return
        if muted:
            self._tell(TrackMuted(participant=participant.id, by=actor or BACKEND, locked=locked))
        else:
            self._tell(TrackUnmuted(participant=participant.id))
        self._follow(participant, now)

    def set_all_muted(
        self,
        muted: bool,
        now: float,
        *,
        lock: bool = False,
        except_roles: Collection[Role] = (),
        actor: str | None = None,
    ) -> list[str]:
        """Mute or unmute everybody on stage but these roles; who on stage is muted afterwards.

        As with one of them `lock` locks or undoes a lock; without it locked ones stay muted.
        """
        on_stage = [one for one in self._roster.participants.values() if one.role.is_on_stage]
        for participant in on_stage:
            if participant.role in except_roles:
                continue
            if muted or lock or not participant.mute_locked:
                self.set_muted(participant.id, muted, now, lock=lock, actor=actor)
        return [participant.id for participant in on_stage if participant.muted]

    def set_priority(self, participant_id: str, priority_db: float | None) -> None:
        """Compete for slots with this bonus; None: the one of its role."""
        participant = self._roster.get(participant_id)
        if participant.priority_db != priority_db:
            participant.priority_db = priority_db
            self._tell_state(participant)

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

    def invite(
        self, participant_id: str, now: float, *, expires_s: float, actor: str | None = None
    ) -> None:
        """Ask a listener onto the stage; once more, the newer end counts.

        Raises ControlError `failed_precondition` on stage.
        """
        participant = self._roster.get(participant_id)
        until = now + expires_s
        until_ms = self._unix_ms(until)
        self._invitations.invite(participant, until, until_ms, actor)
        self._tell(StageInvited(participant=participant.id, expires_at=until_ms, actor=actor))

    def check_invited(self, participant_id: str) -> None:
        """Raises ControlError `failed_precondition` when no invitation stands."""
        self._invitations.get(self._roster.get(participant_id))

    def accept(self, participant_id: str, now: float) -> None:
        """The invited one is a speaker, muted.

        Raises ControlError `failed_precondition` when it is not invited, and `resource_exhausted`
        when the stage is full: the invitation stands on.
        """
        participant = self._roster.get(participant_id)
        invitation = self._invitations.get(participant)
        self._roster.check_stage(self._settings_of())
        self._tell(StageAccepted(participant=participant.id))
        if not participant.muted:
            self.set_muted(participant.id, True, now, actor=STAGE)
        self.set_role(participant.id, Role.SPEAKER, now, actor=invitation.actor)

    def decline(self, participant_id: str) -> None:
        """The invited one stays a listener. Raises ControlError `failed_precondition`."""
        participant = self._roster.get(participant_id)
        self._invitations.get(participant)
        self._invitations.end(participant)
        self._tell(StageDeclined(participant=participant.id))
