"""Whose voices are in the room's mixes, by echo group.

Nobody may get a mix with its own voice in it, or with that of somebody in the same place. A voice
enters the mixes when it becomes audible, and is still in the mixer's buffers for a moment after it
ceased to be.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .participant import Participant

# A mixer's jitter buffer holds up to 120 ms, its encoders up to 120 ms more; network and thread may
# add as much again.
STAYS_S = 0.5


class Echoes:
    """Of one room."""

    __slots__ = ("_audible", "_until", "deadline")

    def __init__(self) -> None:
        self._audible: Counter[int] = Counter()
        # Until when it is still in the mixes, and who of it was the last to be audible.
        self._until: dict[int, tuple[float, Participant]] = {}
        # When `expired` has something to tell, None for never; for others to read only.
        self.deadline: float | None = None

    def __contains__(self, echo_group: int) -> bool:
        return echo_group in self._audible or echo_group in self._until

    def enter(self, participant: Participant) -> None:
        """`participant` is audible from now on."""
        self._audible[participant.echo_group] += 1

    def leave(self, participant: Participant, now: float) -> None:
        """`participant` no longer is."""
        group = participant.echo_group
        self._audible[group] -= 1
        if not self._audible[group]:
            del self._audible[group]
            self._until[group] = now + STAYS_S, participant
            self._set_deadline()

    def expired(self, now: float) -> list[Participant]:
        """Take those whose echo groups are in no mix any more: of each, who was audible last."""
        if self.deadline is None or now < self.deadline:
            return []
        over = {group: last for group, (until, last) in self._until.items() if until <= now}
        for group in over:
            del self._until[group]
        self._set_deadline()
        return [last for group, last in over.items() if group not in self._audible]

    def _set_deadline(self) -> None:
        self.deadline = min((until for until, _ in self._until.values()), default=None)
