"""What a tier means for the m-lines of a listener, and which tiers a listener may get at all.

    A0, A1  each slot as it comes, in RED (A0) or plain
    A2      the same slots repacked to 60 ms
    B1..B5  a mix of all slots, at falling rates
    C       nothing
    paused  nothing, because the listener asked for it

Where the mix goes. M-line i (i < slots) carries slot i; the one after them, if it was offered, is
for the mix alone, so that a decoder never meets two clocks on one SSRC. A client with fewer m-lines
gets the mix on the first one, in place of the slot there. A single m-line in a room of several
slots carries the mix for as long as there is one: a slot alone would be one voice of three.

A mix has everybody in it. Whoever never wants to hear somebody is therefore not given one.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .participant import Participant

RED, PLAIN, PACKED, NOTHING, PAUSED = "A0", "A1", "A2", "C", "paused"
FORWARDED = (RED, PLAIN, PACKED)
MIXED = ("B1", "B2", "B3", "B4", "B5")


class MixStreams(Protocol):
    """The mixes of one room, made for whoever asks and stopped when nobody carries them."""

    @property
    def is_available(self) -> bool:
        """Whether anybody can be sent a mix at this time."""

    def stream(self, tier: str, participant: Participant | None, copies: int) -> int | None:
        """The forwarder's stream of the mix of `tier`, with so many earlier frames in each.

        With `participant` it is that one's own, in which its echo group is left out. Asking again
        gives the same stream. None when there cannot be one more.
        """

    def is_flowing(self, tier: str, participant: Participant | None) -> bool:
        """Whether the frames that are due come: so nobody who changes to it falls silent."""


def is_mixed(tier: str) -> bool:
    """Whether a listener on this tier carries a mix."""
    return tier in MIXED


def mix_line(lines: int, slots: int) -> int:
    """The index of the m-line that carries the mix, of so many."""
    return slots if lines > slots else 0


def offered(participant: Participant, slots: int, *, has_mix: bool) -> tuple[str, ...]:
    """What `participant` may get in a room of `slots`, the best first; empty without m-lines."""
    lines, wishes = len(participant.egresses), participant.wishes
    if not lines:
        return ()
    may_mix = has_mix and wishes.mode != "forward" and not wishes.never
    is_alone = lines == 1 < slots
    may_forward = not may_mix or (wishes.mode == "auto" and not is_alone)
    return _tiers(may_forward, bool(participant.red_egresses), may_mix)


@cache
def _tiers(may_forward: bool, takes_red: bool, may_mix: bool) -> tuple[str, ...]:
    """The same object for the same answer, of which there are eight."""
    forwarded = FORWARDED if takes_red else FORWARDED[1:]
    return (*(forwarded if may_forward else ()), *(MIXED if may_mix else ()), NOTHING)
