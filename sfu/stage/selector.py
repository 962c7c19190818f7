"""Who holds the slots: the loudest talkers, with enough inertia that words are not chopped.

Theory. A slot is a virtual microphone that one source at a time holds. Three rules decide:

1. A *free* slot is taken at once by the first voiced packet, so that no syllable is lost. A slot
   is free when nobody holds it or when its holder has not been voiced for FREE_AFTER_S.
2. Otherwise a challenger must outdo the weakest holder: its level plus its bonus plus what it
   gained by waiting must exceed that holder's level plus bonus by MARGIN_DB, on EVIDENCE_MS of
   audio (a leaky count: losing packets and gaps drain it), and the holder must have held for
   HOLD_MIN_S. The margin and the evidence keep coughs and keyboards out, the hold lets words end.
3. Waiting while voiced raises the score, so that of four people who talk at once nobody starves.

A source keeps its slot index for as long as it holds it: slots are never sorted.

Levels are smoothed where the packets are (attack 0.5, release 0.1 for each 20 ms); this file sees
only `Loudness` values. Pure: no clock, no forwarder, no participants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

# A pause inside a sentence is mostly shorter than this; a longer one ends the turn.
FREE_AFTER_S = 0.3
# Shortest tenure: about two syllables, so that a switch is never heard as chopping.
HOLD_MIN_S = 0.5
# The smoothed level of one speaker wanders by about this much within a word.
MARGIN_DB = 6.0
# Three 20 ms packets: longer than a key stroke or a mug on the table, shorter than a syllable.
EVIDENCE_MS = 60.0
# What one packet may add: two packets of 40 or 60 ms are needed, so that a single long frame with
# a click in it is no evidence.
EVIDENCE_PACKET_MAX_MS = 30.0
# A packet this late, or a 20 ms one lost, is the network's doing and no pause of the speaker.
JITTER_MS = 25.0
# An equally loud fourth talker gets in after about 1.5 s; beyond 12 dB a whisper would win.
AGEING_DB_PER_S = 4.0
AGEING_MAX_DB = 12.0
# A challenger silent for this long starts anew: its turn is over.
FORGET_AFTER_S = 1.0
# The contract's largest stage, so nobody who may talk is left out; beyond it the stalest goes.
CHALLENGERS_MAX = 1_000


class Loudness(NamedTuple):
    """How loud a source is at this moment, as far as slots are concerned."""

    level_db: float  # smoothed, dBov (0 loudest, negative)
    bonus_db: float  # priority of its participant
    voiced_age_s: float  # since its last voiced packet; infinite when there was none
    frame_ms: float  # duration of its last packet

    @property
    def score_db(self) -> float:
        """What holders and challengers are compared by."""
        return self.level_db + self.bonus_db


LoudnessOf = Callable[[int], Loudness]


@dataclass(slots=True)
class Slot:
    """One virtual microphone: its fixed index, and which source holds it since when."""

    index: int
    holder: int | None = None
    held_since: float = 0.0


@dataclass(slots=True)
class Challenger:
    """A voiced source without a slot."""

    heard_at: float
    evidence_ms: float = 0.0
    waited_ms: float = 0.0

    def hear(self, frame_ms: float, now: float) -> None:
        """Count one more voiced packet; what was missing since the last one drains the evidence."""
        gap_ms = (now - self.heard_at) * 1000.0 - frame_ms
        if gap_ms > JITTER_MS:
            self.evidence_ms = max(0.0, self.evidence_ms - gap_ms)
        self.waited_ms += frame_ms
        self.heard_at = now

    @property
    def ageing_db(self) -> float:
        """What waiting has earned."""
        return min(AGEING_MAX_DB, AGEING_DB_PER_S * self.waited_ms / 1000.0)

    def weigh(self, *, is_winning: bool, frame_ms: float) -> bool:
        """Add a packet that won or lost its comparison; True when the evidence is complete."""
        step_ms = min(frame_ms, EVIDENCE_PACKET_MAX_MS)
        change_ms = step_ms if is_winning else -step_ms
        self.evidence_ms = min(EVIDENCE_MS, max(0.0, self.evidence_ms + change_ms))
        return is_winning and self.evidence_ms >= EVIDENCE_MS


class Selector:
    """Decides who holds the slots of one room.

    `loudness_of` answers for any source that holds a slot at the moment of the call.
    """

    __slots__ = ("_challengers", "slots")

    def __init__(self, slots: int) -> None:
        self.slots = [Slot(index) for index in range(slots)]
        self._challengers: dict[int, Challenger] = {}

    def slot_of(self, source: int) -> int | None:
        """The index of the slot that `source` holds."""
        for slot in self.slots:
            if slot.holder == source:
                return slot.index
        return None

    def held(self) -> dict[int, int]:
        """The slot index of every source that holds one."""
        return {slot.holder: slot.index for slot in self.slots if slot.holder is not None}

    def challenge(
        self, source: int, loudness: Loudness, now: float, loudness_of: LoudnessOf
    ) -> int | None:
        """`source` sent a voiced packet: the index of the slot it now holds, None for no slot."""
        held = self.slot_of(source)
        if held is not None:
            return held
        slot = self._free_slot(loudness_of) or self._contest(source, loudness, now, loudness_of)
        if slot is None:
            return None
        slot.holder = source
        slot.held_since = now
        self._challengers.pop(source, None)
        return slot.index

    def release(self, source: int) -> int | None:
        """`source` may not be heard any more: forget it; the index of the slot it held."""
        self._challengers.pop(source, None)
        held = self.slot_of(source)
        if held is not None:
            self.slots[held].holder = None
        return held

    def resize(self, slots: int) -> None:
        """Add empty slots at the end or drop the last ones, whoever holds them."""
        del self.slots[slots:]
        self.slots.extend(Slot(index) for index in range(len(self.slots), slots))

    def prune(self, now: float) -> None:
        """Forget challengers whose turn is over. `challenge` does not depend on being pruned."""
        if not self._challengers:
            return
        stale = [
            source
            for source, challenger in self._challengers.items()
            if now - challenger.heard_at > FORGET_AFTER_S
        ]
        for source in stale:
            del self._challengers[source]

    @property
    def challenger_count(self) -> int:
        """How many sources wait for a slot."""
        return len(self._challengers)

    def _free_slot(self, loudness_of: LoudnessOf) -> Slot | None:
        """The lowest empty slot, else the one whose holder has been silent for longest."""
        best: Slot | None = None
        longest_s = 0.0
        for slot in self.slots:
            if slot.holder is None:
                return slot
            silent_s = loudness_of(slot.holder).voiced_age_s
            if silent_s >= FREE_AFTER_S and silent_s > longest_s:
                best, longest_s = slot, silent_s
        return best

    def _contest(
        self, source: int, loudness: Loudness, now: float, loudness_of: LoudnessOf
    ) -> Slot | None:
        """Compare with the weakest holder; its slot when the challenger has earned it."""
        challenger = self._challenger(source, now)
        challenger.hear(loudness.frame_ms, now)
        weakest: Slot | None = None
        weakest_db = 0.0
        for slot in self.slots:
            assert slot.holder is not None, "an empty slot is taken without a contest"
            score_db = loudness_of(slot.holder).score_db
            if weakest is None or score_db < weakest_db:
                weakest, weakest_db = slot, score_db
        assert weakest is not None, "a room has at least one slot"
        is_winning = loudness.score_db + challenger.ageing_db > weakest_db + MARGIN_DB
        is_earned = challenger.weigh(is_winning=is_winning, frame_ms=loudness.frame_ms)
        return weakest if is_earned and now - weakest.held_since >= HOLD_MIN_S else None

    def _challenger(self, source: int, now: float) -> Challenger:
        """The record of `source`, a fresh one when it has none or was silent for too long."""
        known = self._challengers.get(source)
        if known is not None and now - known.heard_at <= FORGET_AFTER_S:
            return known
        if known is None and len(self._challengers) >= CHALLENGERS_MAX:
            stalest = min(self._challengers, key=lambda key: self._challengers[key].heard_at)
            del self._challengers[stalest]
        fresh = self._challengers[source] = Challenger(heard_at=now)
        return fresh
