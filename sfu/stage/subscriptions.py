"""What each listener is sent, and why: its wishes, its tier, and what is told when that changes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from control.events import QualityChanged
from control.types import SubscriptionState, TierChange

from .carriage import Carriage
from .echoes import Echoes
from .hush import CALM_S, CONGESTED_S
from .quality import (
    CAUSE_JOIN,
    CAUSE_REQUESTED,
    CAUSE_SLOTS,
    CAUSE_UNAVAILABLE,
)
from .refusals import failed_precondition
from .seating import Seating
from .tiers import MIXED, PACKED, PLAIN, MixStreams, is_mixed, offered

if TYPE_CHECKING:
    from control.commands import SubscriptionUpdate
    from sfu.fast import Forwarder

    from .carriage import Seat
    from .floor import Floor
    from .journal import Journal
    from .participant import Participant
    from .roster import Roster

# Causes of a full line, on which silence must be short.
_CONGESTED = frozenset({"loss", "delay", "estimate", "silence"})
# Whoever could not have a mix is not offered one for so long: there may be room for one more then.
REFUSED_S = 10.0


class Subscriptions:
    """Of one room. Participant ids that are not in it raise ControlError `not_found`."""

    def __init__(
        self,
        roster: Roster,
        floor: Floor,
        forwarder: Forwarder,
        *,
        mixes: MixStreams | None,
        journal: Journal,
        tiers: Counter[str],
    ) -> None:
        """`tiers` counts those with m-lines by tier, of all rooms that are given the same."""
        self._roster = roster
        self._floor = floor
        self._mixes = mixes
        self._journal = journal
        self._echoes = Echoes()
        self._carriage = Carriage(
            forwarder,
            floor.stream,
            hush=floor.hush,
            is_in_mix=lambda participant: participant.echo_group in self._echoes,
            mixes=mixes,
        )
        self._seating = Seating(len(floor), self._carriage)
        self._refused_until: dict[str, float] = {}
        self._tiers = tiers

    # What somebody gets

    def state(self, participant_id: str) -> SubscriptionState:
        """As `subscription.get` returns it, without what only the connection knows."""
        participant = self._roster.get(participant_id)
        wishes, quality = participant.wishes, participant.quality
        return SubscriptionState(
            participant=participant.id,
            tier=self._seating.tier(participant),
            slots=self._seating.heard(participant),
            paused=wishes.paused,
            mode=wishes.mode,
            always=list(wishes.always),
            never=list(wishes.never),
            slots_max=wishes.slots_max,
            max_kbps=wishes.max_kbps,
            protection=quality.copies,
            cause=quality.cause,
            history=[
                TierChange(at=at, tier=tier, cause=cause) for at, tier, cause in quality.history
            ],
        )

    def tier(self, participant: Participant) -> str:
        """What `participant` gets, as its state says it."""
        return self._seating.tier(participant)

    def heard(self, participant: Participant) -> int:
        """How many slots `participant` hears at once."""
        return self._seating.heard(participant)

    def forwardable(self, participant: Participant) -> int:
        """How many slots `participant` would hear as they come, whatever it gets now."""
        return self._seating.forwardable(participant)

    def offered(self, participant_id: str, now: float) -> tuple[str, ...]:
        """The tiers that it may get, the best first; empty for whoever has no m-lines."""
        return self._offered(self._roster.get(participant_id), now)

    def seats(self, participant_id: str) -> list[Seat]:
        """What each of its egresses should carry, in the order of its m-lines."""
        return self._seating.seats(self._roster.get(participant_id))

    def subscribe_anew(self, participant_id: str) -> None:
        """Mend what the forwarder's tables say about it, should that be anything else."""
        self._seating.subscribe_anew(self._roster.get(participant_id))

    @property
    def has_mix(self) -> bool:
        """Whether there are mixes at this time, for those who may get them."""
        return self._mixes is not None and self._mixes.is_available

    # What changes it

    def add(self, participant: Participant, now: float) -> None:
        """A newcomer gets the best that it may, or what its line carried in another room."""
        quality = participant.quality
        quality.tier = self._fitting(participant, now)
        if not self._has_stream(participant):
            self._refused_until[participant.id] = now + REFUSED_S
            quality.tier = self._fitting(participant, now)
        self._seating.add(participant, now)
        self._count(participant, self.tier(participant), 1)
        if not quality.history or quality.history[-1].tier != self.tier(participant):
            cause = CAUSE_SLOTS if quality.history else CAUSE_JOIN
            quality.note(self._journal.unix_ms(now), self.tier(participant), cause)

    def remove(self, participant: Participant) -> None:
        """Somebody leaves: nothing more is sent."""
        self._seating.remove(participant)
        self._count(participant, self.tier(participant), -1)
        self._refused_until.pop(participant.id, None)

    def update(self, command: SubscriptionUpdate, now: float) -> None:
        """Change what somebody hears: nothing that it must not hear is sent from now on.

        Raises ControlError `failed_precondition` for a mix where there is none.
        """
        participant = self._roster.get(command.participant)
        wishes = participant.wishes.changed_by(command)
        if wishes == participant.wishes:
            return
        if command.mode == "mix" and self._mixes is None:
            raise failed_precondition("this server makes no mix", field="mode")
        previous = self.tier(participant)
        self._seating.change(participant, wishes, self._floor.views(now), now)
        self._fit(participant, previous, CAUSE_REQUESTED, now)

    def follow(self, participant_id: str, tier: str, copies: int, cause: str, now: float) -> bool:
        """What its line carries: from now on it gets this tier, of those `offered`.

        `copies` is how many earlier packets go along with each. False, and nothing has changed,
        when it is none of those, or when there cannot be one more such mix: then others are
        offered.
        """
        participant = self._roster.get(participant_id)
        if tier not in self._offered(participant, now):
            return False
        previous = self.tier(participant)
        hush_s = CONGESTED_S if cause in _CONGESTED else CALM_S
        if not self._seating.set_tier(participant, tier, copies, now, hush_s=hush_s):
            self._refused_until[participant.id] = now + REFUSED_S
            return False
        self._tell_tier(participant, previous, cause, now)
        return True

    def resize(self, slots: int, now: float) -> None:
        """The room has `slots` from now on; as `Seating.resize`."""
        everybody = list(self._roster.participants.values())
        self._seating.resize(slots, everybody, now)
        for participant in everybody:
            self._fit(participant, self.tier(participant), CAUSE_SLOTS, now)

    def reseat(self, now: float) -> None:
        """Slots may have changed hands or voices."""
        if self._seating.has_choices:
            self._seating.evaluate(self._floor.views(now), now)

    # Whose voice is in the mixes

    def enter_mixes(self, participant: Participant, now: float) -> None:
        """`participant` is audible from now on: nobody of its echo group gets a mix with it."""
        if self._mixes is None:
            return
        was_in = participant.echo_group in self._echoes
        self._echoes.enter(participant)
        if not was_in:
            self._follow_group(participant, now, may_wait=False)

    def leave_mixes(self, participant: Participant, now: float) -> None:
        """`participant` is inaudible from now on; what was mixed of it is still under way."""
        if self._mixes is not None:
            self._echoes.leave(participant, now)

    def mixes_changed(self, now: float) -> None:
        """There are no mixes any more, or there are again."""
        for participant in self._roster.participants.values():
            self._follow_mix(participant, now, may_wait=True)

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do, None for never."""
        return min(
            (at for at in (self._carriage.deadline, self._echoes.deadline) if at is not None),
            default=None,
        )

    def tick(self, now: float) -> None:
        """Do what is due. Early and repeated calls do nothing."""
        self._carriage.tick(now)
        self._floor.hush.tick(now)
        for participant in self._echoes.expired(now):
            self._follow_group(participant, now, may_wait=True)

    # Inside

    def _offered(self, participant: Participant, now: float) -> tuple[str, ...]:
        has_mix = self.has_mix
        if has_mix and participant.id in self._refused_until:
            has_mix = now >= self._refused_until[participant.id]
            if has_mix:
                del self._refused_until[participant.id]
        return offered(participant, self._seating.slots, has_mix=has_mix)

    def _fitting(self, participant: Participant, now: float) -> str:
        """The tier that it has, if it may have it, or the one that comes closest."""
        tier, tiers = participant.quality.tier, self._offered(participant, now)
        if tier in tiers or not tiers:
            return tier
        if is_mixed(tier):
            return PLAIN if tier == MIXED[0] else PACKED
        return MIXED[0]

    def _fit(self, participant: Participant, previous: str, cause: str, now: float) -> None:
        """It may get other tiers now than before, or none of the mixes."""
        if not self._has_stream(participant):
            self._refused_until[participant.id] = now + REFUSED_S
            cause = CAUSE_UNAVAILABLE
        for _ in range(2):  # a mix may be refused, what is forwarded may not
            tier = self._fitting(participant, now)
            if self._seating.set_tier(
                participant, tier, participant.quality.copies, now, may_wait=False
            ):
                break
            self._refused_until[participant.id] = now + REFUSED_S
        self._tell_tier(participant, previous, cause, now)

    def _has_stream(self, participant: Participant) -> bool:
        """Whether there is such a mix for it, if that is what it gets."""
        quality = participant.quality
        if not is_mixed(quality.tier) or participant.wishes.paused:
            return True
        return self._carriage.can_mix(participant, quality.tier, quality.copies)

    def _follow_group(self, participant: Participant, now: float, *, may_wait: bool) -> None:
        """The echo group of `participant` is in the mixes now, or no longer."""
        for member in self._roster.sharing(participant):
            if member in self._seating:
                self._follow_mix(member, now, may_wait=may_wait)

    def _follow_mix(self, participant: Participant, now: float, *, may_wait: bool) -> None:
        if not self._seating.follow_mix(participant, now, may_wait=may_wait):
            self._fit(participant, self.tier(participant), CAUSE_UNAVAILABLE, now)

    def _count(self, participant: Participant, tier: str, more: int) -> None:
        """One more or less on a tier; who is sent nothing at all is on none."""
        if participant.egresses:
            self._tiers[tier] += more

    def _tell_tier(self, participant: Participant, previous: str, cause: str, now: float) -> None:
        tier = self._seating.tier(participant)
        if tier == previous:
            return
        self._count(participant, previous, -1)
        self._count(participant, tier, 1)
        participant.quality.note(self._journal.unix_ms(now), tier, cause)
        self._journal.tell(
            QualityChanged(participant=participant.id, tier=tier, previous=previous, cause=cause)
        )
