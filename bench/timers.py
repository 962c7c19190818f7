"""One heap of timers for everything that virtual clients do later."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


class Timers:
    """Calls at realtime ns. A call that is no longer wanted is the owner's to ignore."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[int], None]]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, due_ns: int, call: Callable[[int], None]) -> None:
        """Call with the time of then."""
        heappush(self._heap, (due_ns, next(self._order), call))

    def run(self, now_ns: int) -> int:
        """Call everything that is due; returns how many that were."""
        heap = self._heap
        done = 0
        while heap and heap[0][0] <= now_ns:
            heappop(heap)[2](now_ns)
            done += 1
        return done
