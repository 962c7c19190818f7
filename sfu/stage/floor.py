"""The floor of a room: its slots in the forwarder, and who holds them.

Joins the pure selector to the forwarder's tables: whatever the selector decides is written there
in the same call, so that the next packet already flies.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from .hush import HUSH, Hush
from .observation import Observation
from .participant import NO_SOURCE
from .ranking import SlotView
from .selector import Loudness, Selector
from .tails import Tails, is_lost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sfu.fast import Forwarder

    from .participant import Participant


# What a packet lasts unless its publisher says otherwise.
FRAME_MS = 20


class Talk(NamedTuple):
    """What a room's slots are used for: how many had voice, in packets of `frame_ms` or longer."""

    talkers: int
    frame_ms: int


class Floor:
    """Owns the forwarder's slots of one room; knows its on-stage participants by their source."""

    __slots__ = (
        "_audience",
        "_by_source",
        "_forwarder",
        "_observations",
        "_observed",
        "_selector",
        "_slot_ids",
        "hush",
        "tails",
    )

    def __init__(self, forwarder: Forwarder, slots: int) -> None:
        self._forwarder = forwarder
        self._selector = Selector(slots)
        self._audience = forwarder.add_audience()
        self._slot_ids = [forwarder.add_slot(self._audience) for _ in range(slots)]
        self._by_source: dict[int, Participant] = {}
        # What `observe` told last; empty after anything but levels has changed.
        self._observations: list[Observation] = []
        self._observed: list[int] = []  # their sources
        self.tails = Tails(self._silent_stream)
        self.hush = Hush(forwarder, self.tails)

    def __len__(self) -> int:
        return len(self._slot_ids)

    def has_voice(self, participant: Participant) -> bool:
        """Whether `participant` is audible."""
        return participant.source in self._by_source

    def admit(self, participant: Participant) -> None:
        """`participant` is audible from now on: its packets may compete for slots."""
        self._by_source[participant.source] = participant
        self._observations = []
        self._forwarder.set_audible(participant.source, True)

    def dismiss(self, participant: Participant, now: float) -> int | None:
        """`participant` is inaudible from now on; the index of the slot that this set free."""
        if self._by_source.pop(participant.source, None) is None:
            return None
        self._observations = []
        self._forwarder.set_audible(participant.source, False)
        slot = self._selector.release(participant.source)
        if slot is not None:
            self._forwarder.assign(self._slot_ids[slot], NO_SOURCE, now)
            self.tails.begin(slot, now)
        return slot

    def challenge(self, source: int, level_db: float, now: float) -> tuple[bool, bool]:
        """A voiced packet of `source`: whether it now holds a slot, and whether that is new."""
        if source not in self._by_source:
            return False, False
        if self._selector.slot_of(source) is not None:
            return True, False
        loudness = self._loudness(source, now)
        # The smoothed level needs 100 ms to rise from silence, in which a moderator would lose its
        # first syllable; a challenger is heard at its packets' own level if that is louder. Three
        # packets in a row still have to be loud, which noises are not.
        instant_db = float(-self._forwarder.level(source, now).instant)
        loudness = loudness._replace(level_db=max(level_db, instant_db))
        slot = self._selector.challenge(
            source, loudness, now, lambda holder: self._loudness(holder, now)
        )
        if slot is None:
            return False, False
        self._observations = []
        self._forwarder.assign(self._slot_ids[slot], source, now)
        self.tails.end(slot)
        return True, True

    def set_segmented(self, segmented: bool) -> None:
        """Whether each listener's packets of a tick leave together."""
        self._forwarder.set_segmented(self._audience, segmented)

    def rest(self, now: float) -> None:
        """Nobody has spoken for a while: all slots are free, and the next voice has to ask."""
        self._observations = []
        for index, holder in enumerate(self.holders()):
            if holder is not None:
                self._selector.release(holder.source)
                self._forwarder.assign(self._slot_ids[index], NO_SOURCE, now)

    def resize(self, slots: int) -> None:
        """Grow or shrink to `slots`; holders of dropped slots lose them, others stay."""
        self._observations = []
        for index, slot_id in enumerate(self._slot_ids[slots:], slots):
            self._forwarder.remove_slot(slot_id)
            self.tails.end(index)
        del self._slot_ids[slots:]
        while len(self._slot_ids) < slots:
            self._slot_ids.append(self._forwarder.add_slot(self._audience))
        self._selector.resize(slots)

    def close(self) -> None:
        """Give the slots back to the forwarder; the floor is of no use afterwards."""
        self.resize(0)
        self._forwarder.remove_audience(self._audience)
        self._by_source.clear()

    def observe(self, now: float) -> list[Observation]:
        """Everybody who may be heard, in the order they became audible.

        The next call may change what this one returned: at most looks nothing differs but levels.
        """
        observations = self._observations
        if observations:
            levels = self._forwarder.levels(self._observed, now)
            for seen, level in zip(observations, levels, strict=True):
                seen.level = level
        elif self._by_source:
            observations = self._observations = self._observe_anew(now)
        return observations

    @property
    def is_anybody_audible(self) -> bool:
        """Whether there is anybody to listen to."""
        return bool(self._by_source)

    def notice_lost(self, observations: Iterable[Observation], now: float) -> None:
        """Silence follows holders of whom nothing comes any more."""
        for seen in observations:
            if seen.slot is not None and is_lost(seen.level) and seen.slot not in self.tails:
                self.tails.begin(seen.slot, now)

    def holders(self) -> list[Participant | None]:
        """Who holds each slot, by index."""
        return [
            None if slot.holder is None else self._by_source[slot.holder]
            for slot in self._selector.slots
        ]

    @property
    def slot_ids(self) -> tuple[int, ...]:
        """The forwarder's slots, by index."""
        return tuple(self._slot_ids)

    def stream(self, index: int, copies: int, packed: bool) -> int:
        """The forwarder's stream of the slot at `index`.

        Each packet comes with `copies` earlier ones; `packed`: three of the voice in one of 60 ms,
        or as they come where the forwarder has no row for that.
        """
        slot = self._slot_ids[index]
        if packed:
            with suppress(OverflowError):
                return self._forwarder.slot_stream(slot, copies, packed=True)
        return self._forwarder.slot_stream(slot, copies)

    def views(self, now: float) -> list[SlotView]:
        """The slots as seating sees them at this moment."""
        return [
            SlotView() if holder is None else self._view(holder, now) for holder in self.holders()
        ]

    def talk(self, within_s: float, now: float) -> Talk:
        """How many slots had voice within `within_s`, and how long the shortest packets are."""
        sources = list(self._selector.held())
        levels = self._forwarder.levels(sources, now)
        voiced = [level.frame_ms for level in levels if level.voiced_age <= within_s]
        return Talk(len(voiced), min(voiced, default=FRAME_MS))

    def prune(self, now: float) -> None:
        """Forget challengers whose turn is over."""
        self._selector.prune(now)

    def _silent_stream(self, index: int, now: float) -> int | None:
        """The stream of a slot on which nobody speaks, or that of listeners who fall silent."""
        if index == HUSH:
            return self.hush.stream
        holder = self._selector.slots[index].holder
        is_silent = holder is None or is_lost(self._forwarder.level(holder, now))
        return self._forwarder.slot_stream(self._slot_ids[index]) if is_silent else None

    def _observe_anew(self, now: float) -> list[Observation]:
        self._observed = list(self._by_source)
        levels = self._forwarder.levels(self._observed, now)
        held = self._selector.held()
        return [
            Observation(self._by_source[source].id, level, held.get(source))
            for source, level in zip(self._observed, levels, strict=True)
        ]

    def _view(self, holder: Participant, now: float) -> SlotView:
        level_db, bonus_db, voiced_age_s, _ = self._loudness(holder.source, now)
        return SlotView(holder.id, holder.echo_group, bonus_db, level_db, voiced_age_s)

    def _loudness(self, source: int, now: float) -> Loudness:
        level = self._forwarder.level(source, now)
        return Loudness(
            level_db=level.level_db,
            bonus_db=self._by_source[source].bonus_db,
            voiced_age_s=level.voiced_age,
            frame_ms=level.frame_ms,
        )
