"""All rooms of one worker that are mixed: ticks on absolute deadlines. Used from one thread.

Tick n is due at n * 20 ms of the monotonic clock and mixes the 20 ms before that moment, so ticks
never drift, and rooms of all workers of a machine share the grid. A tick that is up to 40 ms late
is made all the same: its listeners have that much in their own buffers. What is later is skipped:
nothing accumulates. Both are counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from .claims import LEVEL_MAX
from .durations import Durations
from .orders import (
    CloseRoom,
    ForgetSource,
    Frame,
    OpenRoom,
    Order,
    Packet,
    SetSource,
    StartOutput,
    StopOutput,
)
from .output import TICK_TICKS, TICKS_PER_S
from .room import Room
from .stats import Counts, Stats

# Later than this after its deadline a tick is late; the operating system alone takes up to 2 ms.
LATE_S = 0.005
# Ticks that are due at once and still made.
DUE_MAX = 2
# What is told of a source that lies is told again after so many ticks: it holds for 1 s.
TELL_AGAIN_TICKS = 10
# A room has up to six.
SLOTS_MAX = 8
ROOMS_MAX = 4_096  # far beyond what one core mixes


class Mixer:
    """`apply` orders, `take` packets, `tick` when `next_deadline` has come."""

    def __init__(self, now: float, stopwatch: Callable[[], float] | None = None) -> None:
        """The first deadline is the next of the grid after `now`. `stopwatch` returns seconds; it
        only measures how long ticks take.
        """
        self._rooms: dict[int, Room] = {}
        self._counts = Counts()
        self._durations = Durations()
        self._stopwatch = stopwatch
        self._last = _tick_of(now)  # number of the last tick
        self._has_rested = True  # nothing was due since the last tick
        self._told: dict[int, int] = {}  # sources that lie, and the tick in which that was told

    def apply(self, order: Order) -> None:
        """Do what the owner of the rooms wants. `ValueError` for what cannot be: a room or output
        that is there already or is not there, too many, an unknown tier.
        """
        if isinstance(order, OpenRoom):
            self._open(order)
            return
        room = self._rooms.get(order.room)
        if room is None:
            raise ValueError(f"no room {order.room}")
        match order:
            case CloseRoom():
                del self._rooms[order.room]
                self._has_rested |= not self._rooms
            case StartOutput():
                room.start(order)
            case StopOutput():
                room.stop(order.output)
            case SetSource():
                room.sources.describe(order)
            case ForgetSource():
                room.sources.forget(order.source)

    def take(self, room: int, slot: int, packets: Sequence[Packet]) -> None:
        """Packets of one slot, in the order in which they came. Those of a room that is not open
        are counted: it may have closed while they were under way.
        """
        known = self._rooms.get(room)
        if known is None:
            self._counts.stray_packets += len(packets)
        else:
            known.take(slot, packets)

    @property
    def is_idle(self) -> bool:
        """No room is open: nothing is due."""
        return not self._rooms

    def next_deadline(self) -> float:
        """When `tick` has something to do, while any room is open."""
        return (self._last + 1) / TICKS_PER_S

    def tick(self, now: float) -> list[Frame]:
        """The frames of all ticks that are due; none before the deadline."""
        newest = _tick_of(now)
        if newest <= self._last:
            return []
        if self._has_rested:
            self._last = newest - 1
            self._has_rested = self.is_idle
        begun = self._stopwatch() if self._stopwatch else 0.0
        self._skip(newest - self._last - DUE_MAX)
        self._counts.late_ticks += now > self.next_deadline() + LATE_S
        frames: list[Frame] = []
        while self._last < newest:
            self._last += 1
            begin = self._last - 1
            for room in self._rooms.values():
                frames += room.tick(begin * TICK_TICKS, begin / TICKS_PER_S)
        if self._stopwatch:
            self._durations.add(round((self._stopwatch() - begun) * 1e6))
        return frames

    def measured(self) -> list[tuple[int, int | None]]:
        """Sources whose own levels are not to be believed, with the true one (-dBov); None when
        they tell the truth again or are not heard any more. Told again every 200 ms.
        """
        lying = dict(self._lies())
        told: list[tuple[int, int | None]] = [
            (source, None) for source in self._told if source not in lying
        ]
        for source, _ in told:
            del self._told[source]
        for source, level in lying.items():
            if self._last - self._told.get(source, -TELL_AGAIN_TICKS) >= TELL_AGAIN_TICKS:
                self._told[source] = self._last
                told.append((source, min(LEVEL_MAX, level)))
        return told

    def stats(self) -> Stats:
        """A copy of what was counted."""
        rooms = self._rooms.values()
        return Stats(
            counts=replace(self._counts),
            tick_us=tuple(self._durations.counts),
            tick_us_sum=self._durations.sum_us,
            rooms=len(rooms),
            encoders=sum(room.encoders for room in rooms),
            sources=sum(len(room.sources) for room in rooms),
            voices=sum(len(room.sources.speaking) for room in rooms),
            buffers={number: room.sources.buffers() for number, room in self._rooms.items()},
        )

    def _open(self, order: OpenRoom) -> None:
        if order.room in self._rooms:
            raise ValueError(f"room {order.room} is open already")
        if not 1 <= order.slots <= SLOTS_MAX:
            raise ValueError(f"{order.slots} slots, 1 to {SLOTS_MAX} are possible")
        if len(self._rooms) >= ROOMS_MAX:
            raise ValueError(f"more than {ROOMS_MAX} rooms")
        self._rooms[order.room] = Room(order.room, order.slots, self._counts)

    def _skip(self, ticks: int) -> None:
        if ticks <= 0:
            return
        self._last += ticks
        self._counts.skipped_ticks += ticks
        for room in self._rooms.values():
            room.skip()

    def _lies(self) -> Iterable[tuple[int, int]]:
        for room in self._rooms.values():
            yield from room.sources.lies()


def _tick_of(now: float) -> int:
    """The newest tick that is due at `now`; a hair before its deadline is its deadline."""
    return math.floor(now * TICKS_PER_S + 1e-6)
