"""The one loop that drives all crowds of a load, by the clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from bench.crowd import Crowd
from bench.selfwatch import SelfWatch

# Arrivals are stamped by the kernel and packets when they are built, so nothing is measured more
# coarsely by this; a packet leaves up to so much later than it was due, and answers to checks and
# handshakes wait so long.
INTERVAL_S = 0.002
# A quarter of a step: from here on a round of work makes the next packets late.
ROUND_S_MAX = 0.005


async def drive(crowds: Sequence[Crowd], watch: SelfWatch) -> None:
    """Until cancelled."""
    clock = time.monotonic  # the loop's own clock stands still within a turn of it
    due = clock()
    while True:
        began = clock()
        for crowd in crowds:
            crowd.pump()
        ended = clock()
        watch.round(began - due, ended - began, ROUND_S_MAX)
        due = max(began + INTERVAL_S, ended)
        # Zero gives the control connection its turn.
        await asyncio.sleep(max(0.0, due - ended))
