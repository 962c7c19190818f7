"""What an m-line's seat is in the forwarder: a slot or a mix in some form, silence, or nothing.

Theory. `Seating` says which slot an m-line carries, or the mix; the participant's tier says in
which form: streams of another form and the same numbers, one table write for each m-line, without a
gap. RED goes with all slots, not the dominant speaker's alone: nearly always one person talks, and
who does not costs next to nothing. In a simulated conversation with turns of 1 to 12 s, 0.3 s of
overlap and DTX, one copy on all slots costs 53 % more, on the dominant one's 45 %, but 15 % of all
voiced packets would go unprotected, and 60 % of first words, for a speaker begins before it
dominates. And nothing is written when the dominant changes.

A mix that nobody had until now takes some frames to begin. Until it flows, or for FLOWS_WITHIN_S,
whoever changes to it keeps what it has, so that nobody falls silent; unless that is a mix with its
own voice in it, or anything else that it must not get any more.

An m-line that carries nothing any more has some silence first (`hush`). The forwarder's tables are
written only where they differ from what should be.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from .hush import CALM_S, Hush
from .ranking import NOTHING, Seats
from .tiers import PACKED, MixStreams, is_mixed

if TYPE_CHECKING:
    from sfu.fast import Forwarder

    from .participant import Participant

# In place of a slot index: the m-line carries the mix.
MIX = -2
# A mixer that runs makes its first frame within some 40 ms; one that does not must hold nobody up.
FLOWS_WITHIN_S = 0.2
# How often it is looked whether a mix flows: once a frame.
LOOK_EVERY_S = 0.02


class Seat(NamedTuple):
    """What one egress should carry: the slot at this index, if it is one, as this stream."""

    egress: int
    slot: int | None
    stream: int


class _Waiting(NamedTuple):
    """Who changes to a mix as soon as it flows, and until when it keeps what it has."""

    participant: Participant
    seats: Seats
    hush_s: float
    until: float


class Carriage:
    """The subscriptions of one room's egresses.

    `stream_of` gives a slot's stream with so many earlier packets in each, or repacked to 60 ms.
    `is_in_mix` says whether the mixes have anybody of the participant's echo group in them.
    """

    __slots__ = (
        "_forwarder",
        "_hush",
        "_is_in_mix",
        "_mixes",
        "_stream_of",
        "_waiting",
        "deadline",
    )

    def __init__(
        self,
        forwarder: Forwarder,
        stream_of: Callable[[int, int, bool], int],
        *,
        hush: Hush,
        is_in_mix: Callable[[Participant], bool],
        mixes: MixStreams | None,
    ) -> None:
        self._forwarder = forwarder
        self._stream_of = stream_of
        self._hush = hush
        self._is_in_mix = is_in_mix
        self._mixes = mixes
        self._waiting: dict[str, _Waiting] = {}
        # When `tick` has something to do, None while nobody waits; for others to read only.
        self.deadline: float | None = None

    @property
    def has_mix(self) -> bool:
        """Whether the room has mixes at all."""
        return self._mixes is not None

    def can_mix(self, participant: Participant, tier: str, copies: int) -> bool:
        """Whether there is such a mix for `participant`; it is being made from now on."""
        return self._mix_stream(participant, tier, copies) != NOTHING

    def carry(
        self,
        participant: Participant,
        seats: Seats,
        now: float,
        *,
        hush_s: float = CALM_S,
        may_wait: bool = False,
    ) -> None:
        """Write what differs; with `may_wait` not before the mix flows."""
        self._waiting.pop(participant.id, None)
        if may_wait and MIX in seats and not self._flows(participant):
            until = now + FLOWS_WITHIN_S
            self._waiting[participant.id] = _Waiting(participant, seats, hush_s, until)
            self.deadline = min(now + LOOK_EVERY_S, self.deadline or until)
            return
        for egress, seat in zip_longest(participant.egresses, seats, fillvalue=NOTHING):
            stream = self._stream(participant, egress, seat)
            if stream == self._forwarder.egress_stream(egress):
                continue
            if stream == NOTHING:
                self._hush.begin(egress, hush_s, now)
                stream = self._hush.stream_of(egress)
            self._forwarder.subscribe(egress, stream)
            if stream != self._hush.stream:
                self._hush.forget(egress)

    def release(self, participant: Participant) -> None:
        """`participant` leaves: its egresses carry nothing, at once."""
        self._waiting.pop(participant.id, None)
        for egress in participant.egresses:
            if self._forwarder.egress_stream(egress) != NOTHING:
                self._forwarder.subscribe(egress, NOTHING)
            self._hush.forget(egress)

    def expected(self, participant: Participant, seats: Seats) -> list[Seat]:
        """What each of its egresses should carry, in the order of its m-lines."""
        # Who waits for a mix has what it had, and not for long.
        as_it_is = participant.id in self._waiting
        return [
            Seat(
                egress,
                None if seat < 0 else seat,
                self._forwarder.egress_stream(egress)
                if as_it_is
                else self._stream(participant, egress, seat),
            )
            for egress, seat in zip_longest(participant.egresses, seats, fillvalue=NOTHING)
        ]

    def carry_anew(self, participant: Participant, seats: Seats) -> None:
        """Write all of that, whatever the forwarder's tables say."""
        self._waiting.pop(participant.id, None)
        for egress, _, stream in self.expected(participant, seats):
            self._forwarder.subscribe(egress, NOTHING)
            self._forwarder.subscribe(egress, stream)

    def tick(self, now: float) -> None:
        """Those whose mix flows change to it. Early and repeated calls do nothing."""
        if self.deadline is None or now < self.deadline:
            return
        for waiting in list(self._waiting.values()):
            if now >= waiting.until or self._flows(waiting.participant):
                self.carry(waiting.participant, waiting.seats, now, hush_s=waiting.hush_s)
        self.deadline = now + LOOK_EVERY_S if self._waiting else None

    def _stream(self, participant: Participant, egress: int, seat: int) -> int:
        """As what `participant` gets a seat on one of its egresses."""
        tier = participant.quality.tier
        copies = participant.quality.copies if egress in participant.red_egresses else 0
        if seat >= 0:
            return self._stream_of(seat, copies, tier == PACKED)
        stream = NOTHING if seat == NOTHING else self._mix_stream(participant, tier, copies)
        return self._hush.stream_of(egress) if stream == NOTHING else stream

    def _mix_stream(self, participant: Participant, tier: str, copies: int) -> int:
        """The mix that `participant` may hear, NOTHING when there cannot be one."""
        if self._mixes is None:
            return NOTHING
        stream = self._mixes.stream(tier, self._listener(participant), copies)
        return NOTHING if stream is None else stream

    def _flows(self, participant: Participant) -> bool:
        tier = participant.quality.tier
        if self._mixes is None or not is_mixed(tier):
            return True
        return self._mixes.is_flowing(tier, self._listener(participant))

    def _listener(self, participant: Participant) -> Participant | None:
        """Whose mix it is: the own one of somebody who is in it, else everybody's."""
        return participant if self._is_in_mix(participant) else None
