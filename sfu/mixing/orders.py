"""What goes into the mixer and what comes out: small immutable records.

Rooms, outputs, sources and echo groups are numbers of the caller's choice. Times of packets are
ticks of 48 kHz on the slot's timeline, `at` is monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

# Packets of this source are silence that the server put onto a slot: whoever held it has ended.
NOBODY = -1


@dataclass(frozen=True, slots=True)
class OpenRoom:
    """Packets of `slots` slots may follow."""

    room: int
    slots: int


@dataclass(frozen=True, slots=True)
class CloseRoom:
    """The room and all that belongs to it ends at once."""

    room: int


@dataclass(frozen=True, slots=True)
class StartOutput:
    """One encoder of a tier ("B1" to "B5"): of everybody, or of all but one echo group."""

    room: int
    output: int
    tier: str
    minus: int | None = None


@dataclass(frozen=True, slots=True)
class StopOutput:
    """No frame of this output follows."""

    room: int
    output: int


@dataclass(frozen=True, slots=True)
class SetSource:
    """Who a source is. Until this is known of a source, nobody on stage hears it in a mix: it
    might be their own voice.
    """

    room: int
    source: int
    csrc: int
    echo_group: int
    bonus_db: float = 0.0  # of its role: decides who is named first, not how loud it is
    is_priority: bool = False  # while it speaks, those who are not are ducked


@dataclass(frozen=True, slots=True)
class ForgetSource:
    """Whoever it was has left: what waits of its voice is not heard any more, for it may come back
    as somebody who hears all voices. What has been mixed goes out, up to 100 ms of a long frame.
    """

    room: int
    source: int


Order = OpenRoom | CloseRoom | StartOutput | StopOutput | SetSource | ForgetSource


@dataclass(frozen=True, slots=True)
class Packet:
    """An Opus packet as a slot carries it."""

    source: int  # NOBODY: silence put there by the server
    csrc: int
    index: int  # on the slot; a gap is what the uplink lost, a pause leaves none
    time_ticks: int
    ticks: int
    level: int  # as the publisher claims: -dBov, 0..127; -1: it claims none
    marker: bool
    payload: bytes
    at: float  # when it came


class Frame(NamedTuple):
    """A packet of a mix."""

    room: int
    output: int
    payload: bytes
    at: float  # where it begins on the room clock: exact, frames of an output join seamlessly
    ticks: int
    level: int  # -dBov, 0..127
    csrcs: tuple[int, ...]  # who is heard in it, the loudest first, at most 3
