"""How late the test's own loop was: a pause of this process is no silence of the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_STEP_S = 0.01


class Lag:
    """`worst_s`: the longest that anything had to wait for its turn while this ran."""

    worst_s = 0.0

    async def follow(self) -> None:
        """Until cancelled."""
        now = asyncio.get_running_loop().time
        while True:
            due = now() + _STEP_S
            await asyncio.sleep(_STEP_S)
            self.worst_s = max(self.worst_s, now() - due)


@asynccontextmanager
async def watched() -> AsyncIterator[Lag]:
    """Follow the loop meanwhile."""
    lag = Lag()
    task = asyncio.create_task(lag.follow())
    try:
        yield lag
    finally:
        task.cancel()
