"""Emptying a server without ending it: nobody new, and after a time nobody.

While draining those who are here stay; at the deadline everybody leaves with reason `drained` and
all rooms close, some at a time. Then the server stays empty until it is undrained.
"""

from __future__ import annotations


class Drain:
    """Whether the server is draining, and until when people may stay."""

    def __init__(self) -> None:
        self.is_on = False
        self.deadline: float | None = None  # None: nobody has to leave (any more)

    def begin(self, deadline: float | None) -> None:
        """Take nobody new from now on; of several deadlines the newest counts."""
        self.is_on = True
        self.deadline = deadline

    def end(self) -> bool:
        """Take newcomers again; False when it was not draining."""
        was_on, self.is_on, self.deadline = self.is_on, False, None
        return was_on

    def is_due(self, now: float) -> bool:
        """Whether everybody has to leave."""
        return self.deadline is not None and now >= self.deadline

    def finish(self) -> None:
        """Everybody has left."""
        self.deadline = None
