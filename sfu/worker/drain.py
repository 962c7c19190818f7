"""Emptying a server: nobody new, each room asked to move by its own time, and then nobody.

While draining those who are here stay; at the deadline everybody leaves with reason `drained` and
all rooms close, some at a time. Then the server stays empty until it is undrained, or ends when
that is what the drain is for.

Backends that move all rooms at once would have thousands reconnect in the same second. So each room
gets a time of its own, spread over the window by how many people are to come before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

# Of the window: whoever is asked to move last has the rest of it to do so.
MOVING_SHARE = 0.8


class Drain:
    """Whether the server is draining, until when people may stay, and who is yet to be told."""

    def __init__(self) -> None:
        self.is_on = False
        self.is_final = False  # the process ends with it
        self.deadline: float | None = None  # None: nobody has to leave (any more)
        self._notices: deque[tuple[str, float]] = deque()

    def begin(
        self,
        deadline: float | None,
        now: float = 0.0,
        rooms: Iterable[tuple[str, int]] = (),
        *,
        is_final: bool = False,
    ) -> None:
        """Take nobody new from now on; of several deadlines the newest counts.

        But the end of the process never gives more time than was said before, nor does anybody
        get more once it has begun. `rooms` are ids with the number of people in them, in the order
        in which they are to move.
        """
        self.is_on = True
        self.is_final = self.is_final or is_final
        if self.is_final and self.deadline is not None and deadline is not None:
            deadline = min(deadline, self.deadline)
        self.deadline = deadline
        self._notices.clear()
        if deadline is not None and deadline > now:
            self._notices.extend(_spread(rooms, now, (deadline - now) * MOVING_SHARE))

    def end(self) -> bool:
        """Take newcomers again; False when it was not draining."""
        assert not self.is_final, "the process is ending"
        was_on, self.is_on, self.deadline = self.is_on, False, None
        self._notices.clear()
        return was_on

    def take_notices(self, rooms_max: int) -> list[tuple[str, float]]:
        """Rooms that are not told yet, with the time by which each should have moved."""
        return [self._notices.popleft() for _ in range(min(rooms_max, len(self._notices)))]

    def next_deadline(self, now: float) -> float | None:
        """When there is something to do: at once while rooms are to be told."""
        return now if self._notices else self.deadline

    def is_due(self, now: float) -> bool:
        """Whether everybody has to leave."""
        return self.deadline is not None and now >= self.deadline

    def finish(self) -> None:
        """Everybody has left."""
        self.deadline = None
        self._notices.clear()


def _spread(
    rooms: Iterable[tuple[str, int]], now: float, within_s: float
) -> Iterable[tuple[str, float]]:
    """A time for each room with people in it, by their number: a full house gets longer."""
    inhabited = [(room, people) for room, people in rooms if people > 0]
    total = sum(people for _, people in inhabited)
    moved = 0
    for room, people in inhabited:
        moved += people
        yield room, now + within_s * moved / total
