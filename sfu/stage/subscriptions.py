"""What each listener is sent, and why: its wishes, its tier, and what is told when that changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from control.events import EventBody, QualityChanged
from control.types import SubscriptionState

if TYPE_CHECKING:
    from control.commands import SubscriptionUpdate

    from .participant import Participant
    from .roster import Roster
    from .seating import Seat, Seating, SlotView

# Why a tier changed: the listener's subscription was updated, or the room has other slots.
CAUSE_REQUESTED = "requested"
CAUSE_SLOTS = "slots"


class Subscriptions:
    """Of one room. Participant ids that are not in it raise ControlError `not_found`.

    `views(now)` is how the slots look at this moment.
    """

    def __init__(
        self,
        roster: Roster,
        seating: Seating,
        *,
        views: Callable[[float], Sequence[SlotView]],
        tell: Callable[[EventBody], None],
    ) -> None:
        self._roster = roster
        self._seating = seating
        self._views = views
        self._tell = tell

    def state(self, participant_id: str) -> SubscriptionState:
        """As `subscription.get` returns it, without what only the connection knows."""
        participant = self._roster.get(participant_id)
        wishes = participant.wishes
        return SubscriptionState(
            participant=participant.id,
            tier=self._seating.tier(participant),
            slots=self._seating.heard(participant),
            paused=wishes.paused,
            mode=wishes.mode,
            always=list(wishes.always),
            never=list(wishes.never),
            slots_max=wishes.slots_max,
            protection=participant.copies,
            cause=participant.tier_cause,
        )

    def update(self, command: SubscriptionUpdate, now: float) -> None:
        """Change what somebody hears: nothing that it must not hear is sent from now on.

        Raises ControlError `unimplemented`, with the field, for what this server cannot send.
        """
        participant = self._roster.get(command.participant)
        wishes = participant.wishes.changed_by(command)
        if wishes == participant.wishes:
            return
        previous = self._seating.tier(participant)
        self._seating.change(participant, wishes, self._views(now))
        self._tell_tier(participant, previous, CAUSE_REQUESTED)

    def protect(self, participant_id: str, copies: int) -> None:
        """How many earlier packets go along with each; it follows whatever somebody hears."""
        self._seating.protect(self._roster.get(participant_id), copies)

    def seats(self, participant_id: str) -> list[Seat]:
        """What each of its egresses should carry, in the order of its m-lines."""
        return self._seating.seats(self._roster.get(participant_id))

    def subscribe_anew(self, participant_id: str) -> None:
        """Mend what the forwarder's tables say about it, should that be anything else."""
        self._seating.subscribe_anew(self._roster.get(participant_id))

    def resize(self, slots: int) -> None:
        """The room has `slots` from now on; as `Seating.resize`."""
        everybody = list(self._roster.participants.values())
        tiers = [self._seating.tier(participant) for participant in everybody]
        self._seating.resize(slots, everybody)
        for participant, previous in zip(everybody, tiers, strict=True):
            self._tell_tier(participant, previous, CAUSE_SLOTS)

    def _tell_tier(self, participant: Participant, previous: str, cause: str) -> None:
        tier = self._seating.tier(participant)
        if tier == previous:
            return
        participant.tier_cause = cause
        self._tell(
            QualityChanged(participant=participant.id, tier=tier, previous=previous, cause=cause)
        )
