"""Which slot each listener's m-lines carry.

Theory. With at least as many m-lines as slots, m-line i carries slot i for life and nothing is ever
decided. A single m-line carries slot 0 alone, for as long as the room makes no mix. In between, a
listener hears as many slots as it has m-lines, the highest-ranked first: an m-line keeps its slot
while that slot is voiced, gives an unvoiced one up for a voiced slot that is not heard, and gives a
voiced one up only for a holder of higher priority. M-lines beyond the slots carry nothing.

Listeners with the same m-lines are in the same state nearly always, so they are kept in blocks and
a decision is made once for each block: 2,000 listeners cost what one does until something changes.
A slot held by a listener's own echo group is never heard by it (the forwarder sees to that) and so
does not count as heard here. `subscribe` is called only when something changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .selector import FREE_AFTER_S

if TYPE_CHECKING:
    from sfu.fast import Forwarder

    from .participant import Participant

# What a participant's `tier` says.
TIER_SLOTS = "slots"
TIER_SLOT0 = "slot0"
TIER_PAUSED = "paused"  # reserved: nothing is sent for want of bandwidth

# In place of a slot index and of a stream: the m-line carries nothing.
NOTHING = -1

Seats = tuple[int, ...]
# Listeners with equal seats and equal slots of their own echo group.
_Block = tuple[Seats, Seats]


class SlotView(NamedTuple):
    """A slot as seating sees it. An empty one has been silent always."""

    echo_group: int | None = None
    bonus_db: float = 0.0
    level_db: float = -127.0
    voiced_age_s: float = float("inf")

    @property
    def is_voiced(self) -> bool:
        """Whether its holder is talking, pauses within a sentence included."""
        return self.voiced_age_s < FREE_AFTER_S


def reseat(seats: Seats, own: Seats, view: Sequence[SlotView]) -> Seats:
    """The seats that follow `seats`; `own` are the slots of the listener's echo group."""

    def rank(slot: int) -> tuple[bool, float, float]:
        return (view[slot].is_voiced, view[slot].bonus_db, view[slot].level_db)

    chosen = list(seats)
    unheard = [slot for slot in range(len(view)) if slot not in seats and slot not in own]
    for candidate in sorted(unheard, key=rank, reverse=True):
        given_up = _seat_for(candidate, chosen, own, view)
        if given_up is not None:
            chosen[given_up] = candidate
    return tuple(chosen)


def _seat_for(
    candidate: int, seats: Sequence[int], own: Seats, view: Sequence[SlotView]
) -> int | None:
    """The seat that is given up for `candidate`, None for none."""
    for seat, slot in enumerate(seats):
        if slot in own:
            return seat
    if not view[candidate].is_voiced:
        return None
    seat = max(range(len(seats)), key=lambda index: view[seats[index]].voiced_age_s)
    if not view[seats[seat]].is_voiced:
        return seat
    seat = min(
        range(len(seats)),
        key=lambda index: (view[seats[index]].bonus_db, view[seats[index]].level_db),
    )
    return seat if view[seats[seat]].bonus_db < view[candidate].bonus_db else None


class Seating:
    """The subscriptions of one room's egresses to its slots. `stream_of` gives a slot's stream."""

    __slots__ = (
        "_blocks",
        "_by_group",
        "_forwarder",
        "_own",
        "_seats",
        "_slots",
        "_stream_of",
        "_view",
    )

    def __init__(self, forwarder: Forwarder, slots: int, stream_of: Callable[[int], int]) -> None:
        self._forwarder = forwarder
        self._stream_of = stream_of
        self._slots = slots
        self._seats: dict[str, Seats] = {}
        self._blocks: dict[_Block, dict[str, Participant]] = {}
        self._by_group: dict[int, dict[str, Participant]] = {}
        self._own: dict[int, Seats] = {}
        self._view: tuple[SlotView, ...] = (SlotView(),) * slots

    @property
    def has_choices(self) -> bool:
        """Whether anybody has fewer m-lines than there are slots, and more than one."""
        return bool(self._blocks)

    def heard(self, participant: Participant) -> int:
        """How many slots `participant` hears at once."""
        return min(len(participant.egresses), self._slots)

    def tier(self, participant: Participant) -> str:
        """What `participant` gets, as its state says it."""
        return TIER_SLOT0 if len(participant.egresses) == 1 < self._slots else TIER_SLOTS

    def add(self, participant: Participant) -> None:
        """Subscribe a newcomer's egresses."""
        self._seats[participant.id] = (NOTHING,) * len(participant.egresses)
        self._place(participant)

    def remove(self, participant: Participant) -> None:
        """Unsubscribe the egresses of somebody who leaves."""
        seats = self._seats[participant.id]
        own = self._own.get(participant.echo_group, ())
        self._leave_block(participant, (seats, own))
        group = self._by_group.get(participant.echo_group, {})
        if group.pop(participant.id, None) is not None and not group:
            del self._by_group[participant.echo_group]
        self._seat(participant, (NOTHING,) * len(seats))
        del self._seats[participant.id]

    def resize(self, slots: int, participants: Sequence[Participant]) -> None:
        """The room has `slots` from now on: seat everybody anew.

        Call it before slots go and after new ones exist, since it uses the streams of those left.
        """
        self._slots = slots
        self._view = (*self._view[:slots], *(SlotView(),) * (slots - len(self._view)))
        self._own = _own_slots(self._view)
        self._blocks.clear()
        self._by_group.clear()
        for participant in participants:
            self._place(participant)

    def evaluate(self, view: Sequence[SlotView]) -> None:
        """Slots changed hands or voices: decide for every block. `view` has one entry per slot."""
        assert len(view) == self._slots, "one view for each slot"
        self._view = tuple(view)
        self._regroup(_own_slots(self._view))
        for block, members in list(self._blocks.items()):
            seats, own = block
            after = reseat(seats, own, self._view)
            if after == seats:
                continue
            for participant in list(members.values()):
                self._move(participant, block, (after, own))

    def _place(self, participant: Participant) -> None:
        """Seat somebody as if new, subscribing only what differs from what its egresses carry."""
        lines = len(participant.egresses)
        seats = tuple(index if index < self._slots else NOTHING for index in range(lines))
        if 1 < lines < self._slots:
            own = self._own.get(participant.echo_group, ())
            seats = reseat(seats, own, self._view)
            self._blocks.setdefault((seats, own), {})[participant.id] = participant
            group = self._by_group.setdefault(participant.echo_group, {})
            group[participant.id] = participant
        self._seat(participant, seats)

    def _regroup(self, own: dict[int, Seats]) -> None:
        """Move those whose echo group won or lost a slot to the block where they now belong."""
        for group in {**self._own, **own}:  # in order, so that a run can be repeated
            before, after = self._own.get(group, ()), own.get(group, ())
            if before == after:
                continue
            for participant in self._by_group.get(group, {}).values():
                seats = self._seats[participant.id]
                self._move(participant, (seats, before), (seats, after))
        self._own = own

    def _move(self, participant: Participant, source: _Block, target: _Block) -> None:
        self._leave_block(participant, source)
        self._blocks.setdefault(target, {})[participant.id] = participant
        self._seat(participant, target[0])

    def _leave_block(self, participant: Participant, block: _Block) -> None:
        members = self._blocks.get(block)
        if members is not None and members.pop(participant.id, None) is not None and not members:
            del self._blocks[block]

    def _seat(self, participant: Participant, seats: Seats) -> None:
        """Write what changed to the forwarder."""
        before = self._seats[participant.id]
        for egress, was, now in zip(participant.egresses, before, seats, strict=True):
            if was != now:
                stream = NOTHING if now == NOTHING else self._stream_of(now)
                self._forwarder.subscribe(egress, stream)
        self._seats[participant.id] = seats


def _own_slots(view: Sequence[SlotView]) -> dict[int, Seats]:
    """The slots that each echo group holds."""
    own: dict[int, Seats] = {}
    for index, slot in enumerate(view):
        if slot.echo_group is not None:
            own[slot.echo_group] = (*own.get(slot.echo_group, ()), index)
    return own
