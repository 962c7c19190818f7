"""The watch over a room's voices: ticks while anybody speaks, and tells who does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .dominant import DominantSpeaker
from .observation import TICK_S, Observation
from .speakers import Speakers

if TYPE_CHECKING:
    from control.events import SpeakersChanged
    from control.types import ActiveSpeaker

# Longer than people pause between sentences, so that a conversation does not lose its slots.
REST_AFTER_S = 3.0


class Watch:
    """Samples levels every TICK_S while anybody speaks.

    It rests when nobody has for REST_AFTER_S: ten thousand rooms with open microphones and nothing
    said cost nothing. The room then frees its slots, so that the next voice comes up as a challenge
    and starts the watch again.
    """

    __slots__ = ("_dominant", "_speakers", "deadline")

    def __init__(self) -> None:
        self._dominant = DominantSpeaker()
        self._speakers = Speakers()
        # When `look` is due, None while nobody is audible; for others to read only.
        self.deadline: float | None = None

    @property
    def snapshot(self) -> list[ActiveSpeaker]:
        """The last `speakers.changed`."""
        return self._speakers.snapshot

    def start(self, now: float) -> None:
        """Somebody is audible from now on."""
        if self.deadline is None:
            self.deadline = now + TICK_S

    def is_due(self, now: float) -> bool:
        """Whether it is time to `look`."""
        return self.deadline is not None and now >= self.deadline

    def wake(self, now: float) -> None:
        """Somebody spoke after a rest. Half a tick sooner: everybody waits to see who it is."""
        if self.deadline is None:
            self.deadline = now + TICK_S / 2

    def forget(self, participant: str) -> SpeakersChanged | None:
        """`participant` is inaudible from now on: a snapshot without it if it was in the last."""
        self._dominant.forget(participant)
        return self._speakers.forget(participant)

    def look(self, observations: Sequence[Observation], now: float) -> SpeakersChanged | None:
        """All audible participants at a tick: a snapshot if one is due."""
        self.deadline = self._next_deadline(now) if observations else None
        dominant = self._dominant.update(observations, now)
        return self._speakers.update(observations, dominant, now)

    def may_rest(self, observations: Sequence[Observation]) -> bool:
        """Whether nobody has spoken for a while, and everybody has been told so."""
        if self._speakers.is_anybody_told:
            return False
        return all(seen.level.voiced_age >= REST_AFTER_S for seen in observations)

    def stop(self) -> None:
        """Nobody is audible any more, or nobody speaks."""
        self.deadline = None

    def _next_deadline(self, now: float) -> float:
        """In step with earlier ticks, unless this one came too late for that."""
        following = (self.deadline or now) + TICK_S
        return following if following > now else now + TICK_S
