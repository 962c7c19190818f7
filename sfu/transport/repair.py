"""When a publisher is asked again for what its line lost.

Theory. A packet that is missing is lost or late. Packets overtake each other by little: one that is
not there 10 ms after its successor hardly comes by itself. What is asked for then comes a round
trip later, in time for listeners whose jitter buffers hold 100 to 200 ms; so it makes no sense to
ask over more than 200 ms, nor for what is older than 300 ms, and a publisher whose round trip is
unknown is not asked. An answer may be lost as well: it is asked for once more, a round trip later.

How old a missing packet is nobody knows, but none is older than when the one before it came. That
is taken for its age: after a pause of DTX, which may hide hundreds of milliseconds, nothing is
asked for.

What came meanwhile, by itself or by a copy in RED, and what has no place any more, because the
publisher was muted or lost its slot, the forwarder takes out at the moment of asking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sfu.fast.records import Gap

REORDER_S = 0.01
ROUND_TRIP_S_MAX = 0.2
AGE_S_MAX = 0.3
TIMES_MAX = 2
# What the forwarder still knows to be missing; of more gaps than that a line has other needs.
MISSING_MAX = 64


class Lookup(Protocol):
    """The part of the forwarder that knows what is still missing."""

    def missing(self, source: int, ssrc: int, sequences: list[int], /) -> list[int]:
        """Those of `sequences` that are worth asking for."""


@dataclass(slots=True)
class _Missing:
    """One packet: when the one before it came, when to ask, how often that was done."""

    after_at: float
    due_at: float
    times: int = 0


class Repair:
    """What one publisher is to be asked for. `rtt_s` is its round trip, None when unknown."""

    __slots__ = ("_lookup", "_missing", "_source", "ssrc")

    def __init__(self, lookup: Lookup, source: int | None) -> None:
        self._lookup = lookup
        self._source = source
        self._missing: dict[int, _Missing] = {}
        self.ssrc = 0  # that the sequence numbers are of

    def note(self, gap: Gap, rtt_s: float | None, now: float) -> None:
        """The forwarder told of a gap."""
        if rtt_s is None or rtt_s >= ROUND_TRIP_S_MAX:
            return
        if gap.ssrc != self.ssrc:
            self.ssrc = gap.ssrc
            self._missing.clear()
        for sequence in gap.sequences:
            if len(self._missing) >= MISSING_MAX:
                break
            self._missing.setdefault(sequence, _Missing(gap.after_at, now + REORDER_S))

    def next_deadline(self) -> float | None:
        """When to `ask`, None while nothing is missing."""
        return min((one.due_at for one in self._missing.values()), default=None)

    def ask(self, rtt_s: float | None, now: float) -> list[int]:
        """The sequence numbers to ask for at once, in order; empty for none."""
        if rtt_s is None or rtt_s >= ROUND_TRIP_S_MAX:
            self._missing.clear()
            return []
        missing = self._missing = {
            number: one for number, one in self._missing.items() if now - one.after_at <= AGE_S_MAX
        }
        due = sorted(number for number, one in missing.items() if one.due_at <= now)
        if not due:
            return []
        assert self._source is not None, "it had a gap"
        found = self._lookup.missing(self._source, self.ssrc, due)
        for number in due:
            one = missing[number]
            one.times += 1
            one.due_at = now + rtt_s + REORDER_S
            if number not in found or one.times >= TIMES_MAX:
                del missing[number]
        return found
