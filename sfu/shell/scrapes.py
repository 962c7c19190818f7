"""Making the text of a scrape while everything else goes on.

A part of it is made in each turn of the loop, so that sound waits for no more than the slowest
part. One text is made at a time: whoever asks meanwhile gets the same. And so many in a second: of
a flood all but the first get the last one, which is a fraction of a second old.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

# A text costs about a millisecond of the core: no more than a hundredth of it goes here.
SCRAPES_PER_S = 10.0
# One after the other, for two Prometheus and somebody who looks by hand at the same moment.
SCRAPES_AT_ONCE_MAX = 10


class Scrapes:
    """Lives on one event loop. `parts` begins a new text and gives it bit by bit."""

    def __init__(
        self, parts: Callable[[], Iterator[str]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._parts = parts
        self._clock = clock
        self._last: asyncio.Task[bytes] | None = None
        self._allowed = SCRAPES_AT_ONCE_MAX - 1.0  # the first is made in any case
        self._counted_at = clock()

    async def text(self) -> bytes:
        """A text that is made now, or one of a moment ago; raises what `parts` raises."""
        last = self._last
        if last is None or (last.done() and self._is_allowed()):
            last = self._last = asyncio.get_running_loop().create_task(self._made())
        # Whoever asked may go; others wait for the same.
        return await asyncio.shield(last)

    def _is_allowed(self) -> bool:
        now = self._clock()
        more = (now - self._counted_at) * SCRAPES_PER_S
        self._allowed = min(float(SCRAPES_AT_ONCE_MAX), self._allowed + more)
        self._counted_at = now
        if self._allowed < 1.0:
            return False
        self._allowed -= 1.0
        return True

    async def _made(self) -> bytes:
        made = []
        for part in self._parts():
            made.append(part)
            await asyncio.sleep(0)
        return "".join(made).encode()
