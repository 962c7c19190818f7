"""When things want to be woken: one heap for any number of them, instead of a task each."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """Something with a deadline. Identity is what counts."""

    def next_deadline(self) -> float | None:
        """Monotonic seconds, None for never."""


W = TypeVar("W", bound=Waiting)

# Entries that nobody waits for any more, before the heap is cleared of them: rare enough to cost
# nothing, and few enough not to be noticed in memory.
STALE_MAX = 64


class Timers(Generic[W]):
    """Who is due when.

    Deadlines mostly move later, as with each sign of life. So an owner stands in the heap once, at
    the earliest time it ever asked for; when that comes it is asked again and, if need be, put
    back. The heap holds at most one live entry for each owner and those that an earlier one made
    stale.

    With a `grain_s` owners come due at its multiples, up to that much late: those with deadlines
    close to each other need one wake.
    """

    def __init__(self, grain_s: float = 0.0) -> None:
        self._grain_s = grain_s
        self._heap: list[tuple[float, int, W]] = []
        self._armed: dict[W, float] = {}
        self._order = 0  # ties go to whoever asked first, so that runs repeat

    def __len__(self) -> int:
        return len(self._armed)

    def watch(self, owner: W) -> None:
        """The owner's deadline may have changed."""
        deadline = owner.next_deadline()
        if deadline is None:
            return
        when = deadline
        if self._grain_s:
            # Never before the deadline, however the multiple is rounded.
            when = max(when, (deadline // self._grain_s + 1.0) * self._grain_s)
        armed = self._armed.get(owner)
        if armed is None or when < armed:
            self._armed[owner] = when
            self._order += 1
            heapq.heappush(self._heap, (when, self._order, owner))

    def forget(self, owner: W) -> None:
        """The owner is gone, and nothing here keeps it in memory for long."""
        self._armed.pop(owner, None)
        if len(self._heap) > STALE_MAX + 2 * len(self._armed):
            self._heap = [entry for entry in self._heap if self._armed.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)

    def due(self, now: float) -> Iterator[W]:
        """Take the owners whose deadline has come; each must be watched again afterwards."""
        while self._heap and self._heap[0][0] <= now:
            when, _, owner = heapq.heappop(self._heap)
            if self._armed.get(owner) != when:
                continue
            del self._armed[owner]
            deadline = owner.next_deadline()
            if deadline is None:
                continue
            if deadline <= now:
                yield owner
            else:
                self.watch(owner)

    def next_deadline(self) -> float | None:
        """When to ask `due` again; may be earlier than anybody really needs."""
        while self._heap and self._armed.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
