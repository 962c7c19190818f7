"""In which form one participant is sent what it hears, since when, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .tiers import PLAIN

# Enough to see a line flap through a bad quarter of an hour.
HISTORY_MAX = 16

# Why a tier changed: it is the first; the subscription was updated; the room has other slots; there
# is no such mix. The other causes are the ladder's.
CAUSE_JOIN = "join"
CAUSE_REQUESTED = "requested"
CAUSE_SLOTS = "slots"
CAUSE_UNAVAILABLE = "unavailable"


class Change(NamedTuple):
    """A tier, since `at_ms` (unix), and why."""

    at_ms: int
    tier: str
    cause: str


@dataclass(slots=True)
class Quality:
    """Of a connection: whoever moves to another room takes it along.

    `tier` is what the line is thought to carry, also while its listener pauses. `copies` is how
    many earlier packets go along with each where it takes RED. `history` is of what was really
    sent, pauses included, the newest last.
    """

    tier: str = PLAIN
    copies: int = 0
    history: tuple[Change, ...] = ()

    @property
    def cause(self) -> str:
        """Why the last change was made."""
        return self.history[-1].cause if self.history else CAUSE_JOIN

    def note(self, at_ms: int, tier: str, cause: str) -> None:
        """What is sent is of another tier now."""
        self.history = (*self.history[1 - HISTORY_MAX :], Change(at_ms, tier, cause))
