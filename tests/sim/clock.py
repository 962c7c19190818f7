"""Virtual time: one heap of actions, ties broken by the order in which they were scheduled."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

# (time, order of scheduling, action, argument); the counter makes equal times comparable and fair.
Entry = tuple[float, int, Callable[[Any, float], None], Any]


class Clock:
    """What happens when. `now` is seconds since the simulation began and never goes backwards."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[Entry] = []
        self._scheduled = 0

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, time: float, action: Callable[[Any, float], None], argument: Any = None) -> None:
        """Call `action(argument, time)` at `time`, at once when that has passed."""
        self._scheduled += 1
        heapq.heappush(self._heap, (max(time, self.now), self._scheduled, action, argument))

    def next_time(self) -> float | None:
        """When the earliest action is due, None when nothing is scheduled."""
        return self._heap[0][0] if self._heap else None

    def advance(self, time: float) -> None:
        """Let `now` be `time`; nothing that is due before may be left."""
        assert time >= self.now, "time went backwards"
        assert not self._heap or self._heap[0][0] >= time, "an action was passed over"
        self.now = time

    def pop(self) -> Entry:
        """Take the earliest action and let `now` be its time; the caller runs it."""
        entry = heapq.heappop(self._heap)
        self.now = entry[0]
        return entry

    def pop_same(self, action: Callable[[Any, float], None]) -> list[Any]:
        """Take the arguments of every action that comes next, is due now and is `action`."""
        arguments: list[Any] = []
        heap = self._heap
        while heap and heap[0][0] == self.now and heap[0][2] == action:
            arguments.append(heapq.heappop(heap)[3])
        return arguments
