"""When things want to be woken: one heap of times for any number of them, not a task each."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """Something with a deadline. Identity is what counts."""

    def next_deadline(self) -> float | None:
        """Monotonic seconds, None for never."""


W = TypeVar("W", bound=Waiting)

# Entries that nobody waits for any more, before they are cleared away: rare enough to cost
# nothing, and few enough not to be noticed in memory.
STALE_MAX = 64


class Timers(Generic[W]):
    """Who is due when.

    Deadlines mostly move later, as with each sign of life. So an owner stands here once, at the
    earliest time it ever asked for; when that comes it is asked again and, if need be, put back.
    There is at most one live entry for each owner and those that an earlier one made stale.

    With a `grain_s` owners come due at its multiples, up to that much late: those with deadlines
    close to each other need one wake, and share one place in the heap.
    """

    def __init__(self, grain_s: float = 0.0) -> None:
        self._grain_s = grain_s
        self._times: list[float] = []  # heap of the keys of `_entries`
        # In each those who asked first come first, so that runs repeat.
        self._entries: dict[float, deque[W]] = {}
        self._count = 0  # of entries
        self._armed: dict[W, float] = {}

    def __len__(self) -> int:
        return len(self._armed)

    def watch(self, owner: W) -> None:
        """The owner's deadline may have changed."""
        deadline = owner.next_deadline()
        if deadline is None:
            return
        armed = self._armed.get(owner)
        if armed is not None and armed <= deadline:
            return
        when = deadline
        if self._grain_s:
            # Never before the deadline, however the multiple is rounded.
            when = max(when, (deadline // self._grain_s + 1.0) * self._grain_s)
        if armed is None or when < armed:
            self._armed[owner] = when
            self._enter(owner, when)

    def forget(self, owner: W) -> None:
        """The owner is gone, and nothing here keeps it in memory for long."""
        self._armed.pop(owner, None)
        if self._count > STALE_MAX + 2 * len(self._armed):
            self._clear_stale()

    def due(self, now: float) -> Iterator[W]:
        """Take the owners whose deadline has come; each must be watched again afterwards."""
        while self._times and self._times[0] <= now:
            when = self._times[0]
            owners = self._entries[when]
            if not owners:
                self._drop_first()
                continue
            owner = owners.popleft()
            self._count -= 1
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
        while self._times:
            when = self._times[0]
            owners = self._entries[when]
            while owners and self._armed.get(owners[0]) != when:
                owners.popleft()
                self._count -= 1
            if owners:
                return when
            self._drop_first()
        return None

    def _enter(self, owner: W, when: float) -> None:
        owners = self._entries.get(when)
        if owners is None:
            owners = self._entries[when] = deque()
            heapq.heappush(self._times, when)
        owners.append(owner)
        self._count += 1

    def _drop_first(self) -> None:
        """Nobody is left at the earliest time."""
        del self._entries[heapq.heappop(self._times)]

    def _clear_stale(self) -> None:
        entries, self._entries = self._entries, {}
        self._times, self._count = [], 0
        for when, owners in entries.items():
            for owner in owners:
                if self._armed.get(owner) == when:
                    self._enter(owner, when)
