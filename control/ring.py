"""The last events of the stream, encoded, and reading them from a position on. No IO.

Events are numbered without holes, so the ring is the numbers `first` to `last` and what stands for
each. Two limits, a count and bytes, decide how far it reaches back; what falls out at the old end
is `Missing` to whoever has not read it yet. A reader is nothing but the number it wants next: it
takes slices of bounded size and work, at its own pace, while new events come in at the other end.

    number   ... 4   5   6 | 7   8   9  10 |
                 fallen out| first    last |
    a reader at 5 gets     Missing(5, 6), then 7, 8, 9, 10; at 11 it has caught up
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec


class Record(msgspec.Struct, frozen=True, gc=False):
    """One event as kept: who may get it is judged by `room` and `name`, `frame` is sent."""

    seq: int
    room: str | None
    name: str
    frame: bytes


class Missing(NamedTuple):
    """Numbers that have fallen out, both inclusive."""

    first: int
    last: int


class Slice(NamedTuple):
    """What one read gave: at most one hole, before all frames, and the number to read on from."""

    missing: Missing | None
    frames: list[bytes]
    following: int


class Ring:
    """Holds at most `events_max` events and `bytes_max` bytes of frames; 0 holds nothing."""

    def __init__(self, events_max: int, bytes_max: int) -> None:
        assert events_max >= 0 and bytes_max >= 0
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._records: dict[int, Record] = {}
        self.held_bytes = 0
        self.last = 0

    @property
    def first(self) -> int:
        """The oldest number that is held; `last + 1` when none is."""
        return self.last + 1 - len(self._records)

    @property
    def held_events(self) -> int:
        """How many are held."""
        return len(self._records)

    def append(self, record: Record) -> None:
        """The next event; the oldest make room for it."""
        assert record.seq == self.last + 1, "events are numbered without holes"
        self._records[record.seq] = record
        self.last = record.seq
        self.held_bytes += len(record.frame)
        while len(self._records) > self._events_max or self.held_bytes > self._bytes_max:
            self.held_bytes -= len(self._records.pop(self.first).frame)

    def read(
        self, seq: int, wants: Callable[[Record], bool], *, bytes_max: int, records_max: int
    ) -> Slice:
        """What is wanted from number `seq` on: until `bytes_max` are reached, which the last frame
        may pass, or `records_max` have been looked at.
        """
        assert 1 <= seq <= self.last + 1
        missing = Missing(seq, self.first - 1) if seq < self.first else None
        seq = max(seq, self.first)
        end = min(self.last + 1, seq + records_max)
        frames: list[bytes] = []
        size = 0
        while seq < end and size < bytes_max:
            record = self._records[seq]
            seq += 1
            if wants(record):
                frames.append(record.frame)
                size += len(record.frame)
        return Slice(missing, frames, seq)
