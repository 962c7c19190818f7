"""The watch over a room's voices: ticks while anybody is audible, and tells who is speaking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .dominant import DominantSpeaker
from .observation import TICK_S, Observation
from .speakers import Speakers

if TYPE_CHECKING:
    from control.events import SpeakersChanged
    from control.types import ActiveSpeaker


class Watch:
    """Samples levels every TICK_S from the first audible participant to the last."""

    def __init__(self) -> None:
        self._dominant = DominantSpeaker()
        self._speakers = Speakers()
        self._deadline: float | None = None

    @property
    def deadline(self) -> float | None:
        """When `look` is due, None while nobody is audible."""
        return self._deadline

    @property
    def snapshot(self) -> list[ActiveSpeaker]:
        """The last `speakers.changed`."""
        return self._speakers.snapshot

    def start(self, now: float) -> None:
        """Somebody is audible from now on."""
        if self._deadline is None:
            self._deadline = now + TICK_S

    def forget(self, participant: str) -> SpeakersChanged | None:
        """`participant` is inaudible from now on: a snapshot without it if it was in the last."""
        self._dominant.forget(participant)
        return self._speakers.forget(participant)

    def look(self, observations: Sequence[Observation], now: float) -> SpeakersChanged | None:
        """All audible participants at a tick: a snapshot if one is due."""
        self._deadline = self._next_deadline(now) if observations else None
        dominant = self._dominant.update(observations, now)
        return self._speakers.update(observations, dominant, now)

    def stop(self) -> None:
        """Nobody is audible any more."""
        self._deadline = None

    def _next_deadline(self, now: float) -> float:
        """In step with earlier ticks, unless this one came too late for that."""
        following = (self._deadline or now) + TICK_S
        return following if following > now else now + TICK_S
