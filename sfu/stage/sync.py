"""Making a room agree with a list that a backend holds: all of it or nothing.

A backend that was away says what should be, not what has changed. Everything that can be refused
is refused while the plan is made, so that carrying it out cannot fail half-way: whoever is not on
the list leaves, then those who come off the stage make room for those who go up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.errors import exhausted, invalid

from .refusals import failed_precondition

if TYPE_CHECKING:
    from control.commands import SyncedParticipant

    from .moderation import Moderation
    from .participant import Participant
    from .settings import RoomSettings


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a list asks for: who leaves, who of it is not there, and how the others should be.

    `on_stage` is how many are there afterwards.
    """

    leaving: list[str]
    missing: list[str]
    wanted: list[tuple[Participant, SyncedParticipant]]
    on_stage: int

    def apply(self, moderation: Moderation, now: float) -> int:
        """Change roles and mutes; how many participants that changed.

        Those who leave must have left.
        """
        before = [_standing(participant) for participant, _ in self.wanted]
        for participant, line in self.wanted:
            if not line.role.is_on_stage:
                moderation.set_role(participant.id, line.role, now)
        for participant, line in self.wanted:
            muted, locked = _mute_wanted(participant, line)
            moderation.set_mute(participant.id, muted=muted, locked=locked, now=now)
            moderation.set_role(participant.id, line.role, now)
        return sum(
            _standing(participant) != standing
            for (participant, _), standing in zip(self.wanted, before, strict=True)
        )


def plan_sync(
    lines: Sequence[SyncedParticipant],
    present: Mapping[str, Participant],
    settings: RoomSettings,
) -> SyncPlan:
    """What `lines` mean for a room in which `present` are.

    Raises ControlError: `invalid_argument` for somebody who is in it twice, `resource_exhausted`
    for more on stage than `max_speakers`, `failed_precondition` for unmuting under a lock.
    """
    listed: dict[str, SyncedParticipant] = {}
    for index, line in enumerate(lines):
        if line.participant in listed:
            field = f"participants[{index}].participant"
            raise invalid(field, f"in the list twice: {line.participant}")
        _check_lock(index, line, present.get(line.participant))
        listed[line.participant] = line
    wanted = [(present[name], line) for name, line in listed.items() if name in present]
    on_stage = sum(line.role.is_on_stage for _, line in wanted)
    if on_stage > settings.max_speakers:
        raise exhausted(
            "max_speakers", f"{on_stage} are on stage in the list, at most {settings.max_speakers}"
        )
    return SyncPlan(
        leaving=[name for name in present if name not in listed],
        missing=[name for name in listed if name not in present],
        wanted=wanted,
        on_stage=on_stage,
    )


def _check_lock(index: int, line: SyncedParticipant, participant: Participant | None) -> None:
    if participant is None or line.muted is not False or line.locked is not None:
        return
    if participant.mute_locked:
        raise failed_precondition(
            f"the mute is locked: {participant.id}", field=f"participants[{index}].muted"
        )


def _mute_wanted(participant: Participant, line: SyncedParticipant) -> tuple[bool, bool]:
    """Muted and locked, as the line says or else as it is; a lock is a mute."""
    locked = participant.mute_locked if line.locked is None else line.locked
    muted = participant.muted if line.muted is None else line.muted
    return muted or locked, locked


def _standing(participant: Participant) -> tuple[str, bool, bool]:
    return participant.role, participant.muted, participant.mute_locked
