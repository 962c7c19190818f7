"""Which slots a listener with fewer m-lines than slots hears, or one who named somebody.

Theory. A listener hears as many slots as it has m-lines, the highest-ranked first: an m-line keeps
its slot while that slot is voiced, gives an unvoiced one up for a voiced slot that is not heard,
and gives a voiced one up only for a holder of higher priority. A slot whose holder it wants
`always` comes before all others, voiced or not; one whose holder it wants `never` is not carried.

A slot held by a listener's own echo group is never heard by it (the forwarder sees to that) and so
does not count as heard here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .selector import FREE_AFTER_S

# In place of a slot index: the m-line carries nothing.
NOTHING = -1

Seats = tuple[int, ...]


class SlotView(NamedTuple):
    """A slot as seating sees it. An empty one has been silent always."""

    holder: str | None = None
    echo_group: int | None = None
    bonus_db: float = 0.0
    level_db: float = -127.0
    voiced_age_s: float = float("inf")

    @property
    def is_voiced(self) -> bool:
        """Whether its holder is talking, pauses within a sentence included."""
        return self.voiced_age_s < FREE_AFTER_S


class Terms(NamedTuple):
    """How the slots look to a listener: those of its echo group, and whose holders it named."""

    own: Seats = ()
    never: Seats = ()
    always: Seats = ()


def reseat(seats: Seats, terms: Terms, view: Sequence[SlotView]) -> Seats:
    """The seats that follow `seats` for a listener on these terms."""

    def rank(slot: int) -> tuple[bool, bool, float, float]:
        seen = view[slot]
        return (slot in terms.always, seen.is_voiced, seen.bonus_db, seen.level_db)

    chosen = [NOTHING if slot in terms.never else slot for slot in seats]
    unwanted = {*chosen, *terms.own, *terms.never}
    unheard = [slot for slot in range(len(view)) if slot not in unwanted]
    for candidate in sorted(unheard, key=rank, reverse=True):
        given_up = _seat_for(candidate, chosen, terms, view)
        if given_up is not None:
            chosen[given_up] = candidate
    return tuple(chosen)


def _seat_for(
    candidate: int, seats: Sequence[int], terms: Terms, view: Sequence[SlotView]
) -> int | None:
    """The seat that is given up for `candidate`, None for none."""
    free = [seat for seat, slot in enumerate(seats) if slot == NOTHING or slot in terms.own]
    if free:
        return candidate if candidate in free else free[0]
    is_wanted = candidate in terms.always
    others = [seat for seat, slot in enumerate(seats) if slot not in terms.always]
    takes_any = is_wanted and bool(others)
    compared = others or (range(len(seats)) if is_wanted else ())
    if not compared or not (takes_any or view[candidate].is_voiced):
        return None
    seat = max(compared, key=lambda index: view[seats[index]].voiced_age_s)
    if not view[seats[seat]].is_voiced:
        return seat
    seat = min(
        compared,
        key=lambda index: (view[seats[index]].bonus_db, view[seats[index]].level_db),
    )
    is_outranked = view[seats[seat]].bonus_db < view[candidate].bonus_db
    return seat if takes_any or is_outranked else None
