"""Which slot each listener's m-lines carry, or the mix.

Theory. With at least as many m-lines as slots, m-line i carries slot i for life and nothing is ever
decided. With fewer, a listener hears as many slots as it has m-lines, the highest-ranked first
(`ranking`); a single m-line carries slot 0 alone unless its listener named somebody. M-lines beyond
the slots carry nothing, but for the one that a mix goes to (`tiers`).

What a listener asked for bends this. `slots_max` leaves it that many m-lines, the first ones, and
`paused` none. A slot whose holder it wants `always` comes before all others, voiced or not. A slot
whose holder it wants `never` is not carried, not for one packet: holders change and seats follow
within one call, before anything of the new holder is forwarded. With as many m-lines as slots such
a slot leaves its m-line empty; with fewer, a single one included, another slot takes its place.

Listeners with the same m-lines are in the same state nearly always, so they are kept in blocks and
a decision is made once for each block: 2,000 listeners cost what one does until something changes.
Blocks know slots, not names: listeners that never want somebody who holds no slot are equal to
those who asked for nothing. Whoever names somebody is found by that name when its slots change.
Nor do they know tiers: in which form a listener gets its seats (`carriage`) decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .carriage import MIX, Carriage, Seat
from .hush import CALM_S
from .ranking import NOTHING, Seats, SlotView, Terms, reseat
from .tiers import NOTHING as TIER_NOTHING
from .tiers import PAUSED, is_mixed, mix_line

if TYPE_CHECKING:
    from .participant import Participant
    from .wishes import Wishes

# Listeners with equal seats and equal terms.
_Block = tuple[Seats, Terms]
# An echo group, or the id of a participant: what a listener's terms depend on.
_Key = int | str


class Seating:
    """The seats of everybody in one room; `carriage` is told of each that changes."""

    __slots__ = ("_blocks", "_by_key", "_carriage", "_held", "_seats", "_slots", "_terms", "_view")

    def __init__(self, slots: int, carriage: Carriage) -> None:
        self._slots = slots
        self._carriage = carriage
        # Of everybody: what its first m-lines carry; the others carry nothing.
        self._seats: dict[str, Seats] = {}
        # Of those for whom something is decided.
        self._terms: dict[str, Terms] = {}
        self._blocks: dict[_Block, dict[str, Participant]] = {}
        self._by_key: dict[_Key, dict[str, Participant]] = {}
        self._view: tuple[SlotView, ...] = (SlotView(),) * slots
        self._held: dict[_Key, Seats] = {}

    def __contains__(self, participant: Participant) -> bool:
        return participant.id in self._seats

    @property
    def slots(self) -> int:
        """How many the room has."""
        return self._slots

    @property
    def has_choices(self) -> bool:
        """Whether there is anybody for whom something is decided."""
        return bool(self._blocks)

    def heard(self, participant: Participant) -> int:
        """How many slots `participant` hears at once."""
        tier = self.tier(participant)
        if tier in (PAUSED, TIER_NOTHING):
            return 0
        return self._slots if is_mixed(tier) else self.forwardable(participant)

    def forwardable(self, participant: Participant) -> int:
        """How many slots `participant` would hear as they come, whatever it gets now."""
        lines, asked = min(len(participant.egresses), self._slots), participant.wishes.slots_max
        return lines if asked is None else min(lines, asked)

    def tier(self, participant: Participant) -> str:
        """What `participant` gets, as its state says it."""
        return PAUSED if participant.wishes.paused else participant.quality.tier

    def add(self, participant: Participant, now: float) -> None:
        """Subscribe a newcomer's egresses."""
        self._seats[participant.id] = ()
        self._place(participant, now)

    def remove(self, participant: Participant) -> None:
        """Unsubscribe the egresses of somebody who leaves."""
        self._forget_terms(participant)
        self._carriage.release(participant)
        del self._seats[participant.id]

    def change(
        self, participant: Participant, wishes: Wishes, view: Sequence[SlotView], now: float
    ) -> None:
        """`participant` asks for something else: it is in force when this returns."""
        self.evaluate(view, now)
        self._forget_terms(participant)
        participant.wishes = wishes
        self._place(participant, now, self._seats[participant.id])

    def set_tier(
        self,
        participant: Participant,
        tier: str,
        copies: int,
        now: float,
        *,
        hush_s: float = CALM_S,
        may_wait: bool = True,
    ) -> bool:
        """What `participant` gets is of this tier from now on; a mix, once it flows (`may_wait`).

        `copies` is how many earlier packets go along with each, where it takes RED. M-lines that
        fall silent carry silence for `hush_s`. False when there cannot be such a mix for it:
        nothing has changed.
        """
        quality = participant.quality
        if (tier, copies) == (quality.tier, quality.copies):
            return True
        is_sent = is_mixed(tier) and not participant.wishes.paused
        if is_sent and not self._carriage.can_mix(participant, tier, copies):
            return False
        quality.tier, quality.copies = tier, copies
        self._forget_terms(participant)
        self._place(participant, now, self._seats[participant.id], hush_s=hush_s, may_wait=may_wait)
        return True

    def follow_mix(self, participant: Participant, now: float, *, may_wait: bool) -> bool:
        """Its echo group is in the mixes from now on, or no longer: it carries another one.

        False when there is none of its own for it: it carries none any more, and must get another
        tier.
        """
        quality = participant.quality
        if not is_mixed(self.tier(participant)):
            return True
        is_there = self._carriage.can_mix(participant, quality.tier, quality.copies)
        seats = self._seats[participant.id]
        self._carriage.carry(participant, seats, now, may_wait=may_wait and is_there)
        return is_there

    def seats(self, participant: Participant) -> list[Seat]:
        """What each of its egresses should carry, in the order of its m-lines."""
        return self._carriage.expected(participant, self._seats[participant.id])

    def subscribe_anew(self, participant: Participant) -> None:
        """Write all of that, whatever the forwarder's tables say."""
        self._carriage.carry_anew(participant, self._seats[participant.id])

    def resize(self, slots: int, participants: Sequence[Participant], now: float) -> None:
        """The room has `slots` from now on: seat everybody anew.

        Call it before slots go and after new ones exist, since it uses the streams of those left.
        """
        self._slots = slots
        self._view = (*self._view[:slots], *(SlotView(),) * (slots - len(self._view)))
        self._held = _held(self._view)
        self._terms.clear()
        self._blocks.clear()
        self._by_key.clear()
        for participant in participants:
            self._place(participant, now)

    def evaluate(self, view: Sequence[SlotView], now: float) -> None:
        """Slots changed hands or voices: decide for every block. `view` has one entry per slot."""
        assert len(view) == self._slots, "one view for each slot"
        before, self._view = self._held, tuple(view)
        self._held = _held(self._view)
        if self._held != before:
            self._regroup(before)
        for block, members in list(self._blocks.items()):
            seats, terms = block
            after = reseat(seats, terms, self._view)
            if after == seats:
                continue
            for participant in list(members.values()):
                self._leave_block(participant, block)
                self._join_block(participant, (after, terms))
                self._seat(participant, after, now)

    def _place(
        self,
        participant: Participant,
        now: float,
        before: Seats = (),
        *,
        hush_s: float = CALM_S,
        may_wait: bool = False,
    ) -> None:
        """Seat somebody as if new, or from `before` on; subscribe only what differs."""
        seats = self._seats_of(participant, before)
        self._seats[participant.id] = seats
        self._carriage.carry(participant, seats, now, hush_s=hush_s, may_wait=may_wait)

    def _seats_of(self, participant: Participant, before: Seats) -> Seats:
        """What its m-lines carry; from now on it is decided anew, if there is anything to."""
        used = self.heard(participant)
        if used and is_mixed(participant.quality.tier):
            return (*(NOTHING,) * mix_line(len(participant.egresses), self._slots), MIX)
        seats = tuple(range(used))
        if not self._is_decided(participant, used):
            return seats
        if before and MIX not in before:
            seats = (*before[:used], *(NOTHING,) * (used - len(before)))
        terms = self._terms[participant.id] = self._terms_of(participant)
        seats = reseat(seats, terms, self._view)
        self._join_block(participant, (seats, terms))
        for key in _keys(participant):
            self._by_key.setdefault(key, {})[participant.id] = participant
        return seats

    def _is_decided(self, participant: Participant, used: int) -> bool:
        """Whether what `used` m-lines carry depends on who holds the slots."""
        wishes = participant.wishes
        if used == 0:
            return False
        is_ranked = used < self._slots and (len(participant.egresses) > 1 or bool(wishes.always))
        return is_ranked or bool(wishes.never)

    def _terms_of(self, participant: Participant) -> Terms:
        wishes = participant.wishes
        own = self._held.get(participant.echo_group, ())
        return Terms(own, self._slots_of(wishes.never), self._slots_of(wishes.always))

    def _slots_of(self, names: tuple[str, ...]) -> Seats:
        """The slots that any of `names` holds."""
        if not names:
            return ()
        return tuple(index for index, slot in enumerate(self._view) if slot.holder in names)

    def _regroup(self, before: dict[_Key, Seats]) -> None:
        """Move those to whom the slots look different to the block where they now belong."""
        affected: dict[str, Participant] = {}
        for key in {**before, **self._held}:  # in order, so that a run can be repeated
            if before.get(key) != self._held.get(key):
                affected.update(self._by_key.get(key, {}))
        for participant in affected.values():
            seats = self._seats[participant.id]
            self._leave_block(participant, (seats, self._terms[participant.id]))
            terms = self._terms[participant.id] = self._terms_of(participant)
            self._join_block(participant, (seats, terms))

    def _forget_terms(self, participant: Participant) -> None:
        """Nothing is decided for `participant` any more."""
        terms = self._terms.pop(participant.id, None)
        if terms is None:
            return
        self._leave_block(participant, (self._seats[participant.id], terms))
        for key in _keys(participant):
            members = self._by_key[key]
            members.pop(participant.id, None)
            if not members:
                del self._by_key[key]

    def _join_block(self, participant: Participant, block: _Block) -> None:
        self._blocks.setdefault(block, {})[participant.id] = participant

    def _leave_block(self, participant: Participant, block: _Block) -> None:
        members = self._blocks[block]
        del members[participant.id]
        if not members:
            del self._blocks[block]

    def _seat(self, participant: Participant, seats: Seats, now: float) -> None:
        self._seats[participant.id] = seats
        self._carriage.carry(participant, seats, now)


def _keys(participant: Participant) -> Iterable[_Key]:
    """What the terms of `participant` depend on, each once."""
    wishes = participant.wishes
    return dict.fromkeys((participant.echo_group, *wishes.never, *wishes.always))


def _held(view: Sequence[SlotView]) -> dict[_Key, Seats]:
    """The slots that each echo group and each participant holds."""
    held: dict[_Key, Seats] = {}
    for index, slot in enumerate(view):
        for key in (slot.echo_group, slot.holder):
            if key is not None:
                held[key] = (*held.get(key, ()), index)
    return held
