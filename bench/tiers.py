"""The tiers of listeners behind known lines, as the server tells them, and what is made of that.

Times are `time.time_ns`, as everywhere at virtual clients.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from control.events import Event, QualityChanged

# Best to worst.
TIERS: Final = ("A0", "A1", "A2", "B1", "B2", "B3", "B4", "B5", "C")
# The slots as they are, with copies or without: nothing is missing there.
WHOLE: Final = ("A0", "A1")
# So long nothing went down and nothing was dropped where a listener has settled: longer than the
# server waits between two steps down, shorter than until its next try upwards.
CALM_NS: Final = 4_000_000_000


@dataclass(frozen=True)
class Change:
    """A tier from a moment on."""

    at_ns: int
    tier: str
    cause: str


@dataclass
class TierLog:
    """What the server told of everybody's tier."""

    changes: dict[str, list[Change]] = field(default_factory=dict)

    async def follow(self, events: AsyncIterable[Event]) -> None:
        """Until there are no more."""
        async for event in events:
            if isinstance(event.body, QualityChanged):
                body = event.body
                self.note(body.participant, body.tier, body.cause)

    def note(self, participant: str, tier: str, cause: str) -> None:
        """From now on it is on this tier."""
        self.changes.setdefault(participant, []).append(Change(time.time_ns(), tier, cause))

    def tier(self, participant: str) -> str:
        """The newest known; empty when nothing is."""
        changes = self.changes.get(participant)
        return changes[-1].tier if changes else ""

    def since(self, participant: str, at_ns: int) -> list[Change]:
        """Its changes from a moment on."""
        return [one for one in self.changes.get(participant, ()) if one.at_ns >= at_ns]


def settled_ns(
    changes: Sequence[Change], drops_ns: Sequence[int], begun_ns: int, ended_ns: int
) -> int | None:
    """When it had settled: the moment after which, for `CALM_NS`, nothing went down and nothing was
    dropped. None when there was none. `changes` begin with the tier it had at first.
    """
    steps_down = [
        later.at_ns
        for before, later in zip(changes, changes[1:], strict=False)
        if TIERS.index(later.tier) > TIERS.index(before.tier)
    ]
    calm_since_ns = begun_ns
    for at_ns in sorted([*steps_down, *drops_ns]):
        if begun_ns <= at_ns < ended_ns:
            if at_ns - calm_since_ns >= CALM_NS:
                break
            calm_since_ns = at_ns
    return calm_since_ns if ended_ns - calm_since_ns >= CALM_NS else None


def whole_again_ns(changes: Sequence[Change], opened_ns: int) -> int | None:
    """When it was back on a tier where nothing is missing, at or after the line opened, to stay;
    None while it is not.
    """
    if not changes or changes[-1].tier not in WHOLE:
        return None
    back_ns = changes[-1].at_ns
    for change in reversed(changes):
        if change.tier not in WHOLE:
            break
        back_ns = change.at_ns
    return max(back_ns, opened_ns)
