"""`speakers.changed`: full, revisioned snapshots of who is active.

Theory. Forwarding reacts to single packets; a display must not flicker. So a participant becomes
active when it is voiced on two ticks in a row (100 to 200 ms of voice) and inactive when it has
been unvoiced for OFF_AFTER_S. A snapshot is made when the set, the dominant speaker or anybody's
slot changed; levels alone make one at most every LEVELS_EVERY_S and only when they moved far. Each
snapshot is complete: whoever missed some needs nothing but the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.events import SpeakersChanged
from control.types import ActiveSpeaker

from .observation import Observation

if TYPE_CHECKING:
    from sfu.fast import SourceLevel

# The ticks in a row on which a participant must be voiced: a key stroke is seen by one at most.
ON_TICKS = 2
# Voiced within this long counts as voiced now: one 20 ms packet may be late or lost. Sources with
# longer frames get one and a half frames.
VOICED_WITHIN_S = 0.05
# A pause for breath is shorter; a longer one should be seen.
OFF_AFTER_S = 0.5
# Levels move all the time; twice a second is enough for a meter, and 6 dB is what an eye notices.
LEVELS_EVERY_S = 0.5
LEVEL_STEP_DB = 6
# The loudest this many are named: more tell a viewer nothing, and events stay below 4 KiB.
ACTIVE_MAX = 32

_LEVEL_SILENT = 127


@dataclass(slots=True)
class Voice:
    """One participant's way to being active."""

    voiced_ticks: int = 0
    is_active: bool = False

    def observe(self, level: SourceLevel) -> bool:
        """One more tick: whether it is active."""
        age_s = level.voiced_age
        if age_s >= OFF_AFTER_S:
            self.voiced_ticks, self.is_active = 0, False
            return False
        if age_s <= VOICED_WITHIN_S or age_s <= 1.5 * level.frame_ms / 1000.0:
            self.voiced_ticks += 1
            if self.voiced_ticks >= ON_TICKS:
                self.is_active = True
        else:
            self.voiced_ticks = 0
        return self.is_active


class Speakers:
    """The active speakers of one room and the last snapshot told of them."""

    __slots__ = ("_revision", "_snapshot", "_told", "_told_at", "_voices")

    def __init__(self) -> None:
        self._voices: dict[str, Voice] = {}
        self._snapshot: list[ActiveSpeaker] = []
        self._told: dict[str, ActiveSpeaker] = {}  # the same by participant
        self._revision = 0
        self._told_at = 0.0

    @property
    def snapshot(self) -> list[ActiveSpeaker]:
        """The last snapshot: the dominant speaker first if active, then by level."""
        return list(self._snapshot)

    @property
    def is_anybody_told(self) -> bool:
        """Whether the last snapshot has anybody in it."""
        return bool(self._snapshot)

    def forget(self, participant: str) -> SpeakersChanged | None:
        """`participant` may not be heard any more: a snapshot without it if it was in the last."""
        self._voices.pop(participant, None)
        rest = [speaker for speaker in self._snapshot if speaker.participant != participant]
        if len(rest) == len(self._snapshot):
            return None
        return self._tell(rest)

    def update(
        self, observations: Sequence[Observation], dominant: str | None, now: float
    ) -> SpeakersChanged | None:
        """Look at all audible participants (once per tick): a snapshot if one is due."""
        voiced: list[Observation] = []
        for seen in observations:
            voice = seen.voice
            if voice is None:
                voice = self._voices.get(seen.participant) or Voice()
                seen.voice = self._voices[seen.participant] = voice
            if voice.observe(seen.level):
                voiced.append(seen)
        if self._is_as_told(voiced, dominant, now):
            return None
        active = [_entry(seen) for seen in voiced]
        active.sort(key=lambda speaker: (speaker.participant != dominant, speaker.level))
        del active[ACTIVE_MAX:]
        if not self._is_news(active, dominant, now):
            return None
        self._told_at = now
        return self._tell(active)

    def _tell(self, speakers: list[ActiveSpeaker]) -> SpeakersChanged:
        self._revision += 1
        self._snapshot = speakers
        self._told = {speaker.participant: speaker for speaker in speakers}
        return SpeakersChanged(revision=self._revision, speakers=list(speakers))

    def _is_as_told(self, voiced: Sequence[Observation], dominant: str | None, now: float) -> bool:
        """Whether there is nothing to tell: the common case, quickly.

        A snapshot without the dominant speaker, or one that was cut, is not judged here.
        """
        told = self._told
        if len(voiced) != len(told) or len(told) >= ACTIVE_MAX:
            return False
        if told and self._snapshot[0].participant != dominant:
            return False
        may_tell_levels = now - self._told_at >= LEVELS_EVERY_S
        for seen in voiced:
            before = told.get(seen.participant)
            if before is None or before.slot != seen.slot:
                return False
            if may_tell_levels and abs(before.level - _level_of(seen)) >= LEVEL_STEP_DB:
                return False
        return True

    def _is_news(self, active: list[ActiveSpeaker], dominant: str | None, now: float) -> bool:
        if not active:
            return bool(self._snapshot)
        before = self._told
        is_same_set = len(before) == len(active) and all(
            speaker.participant in before and before[speaker.participant].slot == speaker.slot
            for speaker in active
        )
        if not is_same_set:
            return True
        if active[0].participant == dominant and self._snapshot[0].participant != dominant:
            return True
        if now - self._told_at < LEVELS_EVERY_S:
            return False
        return any(
            abs(before[speaker.participant].level - speaker.level) >= LEVEL_STEP_DB
            for speaker in active
        )


def _entry(seen: Observation) -> ActiveSpeaker:
    """What a snapshot says of a participant; its level is the smoothed one."""
    return ActiveSpeaker(participant=seen.participant, level=_level_of(seen), slot=seen.slot)


def _level_of(seen: Observation) -> int:
    return min(_LEVEL_SILENT, max(0, round(-seen.level.level_db)))
