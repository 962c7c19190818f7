"""Invitations to the stage.

Who is called up is asked first, because a microphone must never open by surprise: the backend
invites, the participant accepts and is a speaker, but muted until it unmutes.

    state     what comes                    state     what is told
    none      invite a listener             invited   stage.invited
    invited   invite again                  invited   stage.invited; the newer end and actor count
    invited   accept, the stage has room    none      stage.accepted, role.changed
    invited   accept, the stage is full     invited   nothing; `resource_exhausted`
    invited   decline                       none      stage.declined
    invited   its end comes                 none      stage.expired
    invited   promoted otherwise, leaves    none      nothing: what is told says enough
    none      accept, decline               none      nothing; `failed_precondition`

The room looks at ends when it ticks. Until `stage.expired` is told an invitation stands, even if
its end was a moment ago: everybody sees the same order of things.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .refusals import failed_precondition

if TYPE_CHECKING:
    from .participant import Participant


class Invitation(NamedTuple):
    """One that stands: for whom, until when (monotonic seconds), and by whom."""

    participant: Participant
    until: float
    actor: str | None


class Invitations:
    """Those of one room. Never longer than the room: only its participants are in here."""

    __slots__ = ("_earliest", "_open")

    def __init__(self) -> None:
        self._open: dict[str, Invitation] = {}
        # No end is before this one. It may be that of an invitation which is over, so that a
        # thousand answers do not look for the next end a thousand times.
        self._earliest = 0.0

    @property
    def next_deadline(self) -> float | None:
        """When `expire` has something to do; may be too early. None: no invitation stands."""
        return self._earliest if self._open else None

    def invite(
        self, participant: Participant, until: float, until_ms: int, actor: str | None
    ) -> None:
        """`until_ms` is the same moment as `until`, in unix ms.

        Raises ControlError `failed_precondition` on stage.
        """
        if participant.role.is_on_stage:
            raise failed_precondition(f"a {participant.role} is on stage already: {participant.id}")
        self._earliest = min(self._earliest, until) if self._open else until
        self._open[participant.id] = Invitation(participant, until, actor)
        participant.invited_until_ms = until_ms

    def get(self, participant: Participant) -> Invitation:
        """The one that stands. Raises ControlError `failed_precondition` when none does."""
        try:
            return self._open[participant.id]
        except KeyError:
            raise failed_precondition(f"not invited to the stage: {participant.id}") from None

    def end(self, participant: Participant) -> None:
        """It is over, if there was one."""
        self._open.pop(participant.id, None)
        participant.invited_until_ms = None

    def expire(self, now: float) -> list[Participant]:
        """End those whose time has come; who they were for, the earliest first."""
        if not self._open or now < self._earliest:
            return []
        ended = [invitation for invitation in self._open.values() if invitation.until <= now]
        ended.sort(key=lambda invitation: invitation.until)
        for invitation in ended:
            self.end(invitation.participant)
        if self._open:
            self._earliest = min(invitation.until for invitation in self._open.values())
        return [invitation.participant for invitation in ended]
