"""The control server on loopback, with the daemon's cycle and worker behind it and no media."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from control.server import Server
from sfu.shell.cycle import Cycle
from sfu.transport.candidates import Candidate
from sfu.worker import Worker, WorkerSettings
from tests.control.conftest import KEYS
from tests.control.virtual import NoPort
from tests.sim.fake_dtls import FakeDtlsFactory


class Whole:
    """Server, cycle and worker; `worker` and `cycle` are levers for tests."""

    def __init__(self, **limits: Any) -> None:
        self.worker = Worker(
            WorkerSettings(node="n", version="0", **limits),
            dtls=FakeDtlsFactory("seed"),
            candidates=[Candidate(foundation="1", priority=1, host="192.0.2.1", port=7800)],
            entropy=random.Random(1).randbytes,
            epoch="e",
            wall_at_zero=time.time() - time.monotonic(),
        )
        self.cycle = Cycle(self.worker, NoPort(), clock=time.monotonic, publish=self._publish)
        self.server = Server(
            self.cycle, epoch="e", keys=KEYS, log=lambda event, /, **fields: self.log.append(event)
        )
        self.log: list[str] = []

    def _publish(self, room: str | None, body: Any) -> None:
        self.server.publish(room, body)


@asynccontextmanager
async def whole(**limits: Any) -> AsyncIterator[Whole]:
    """Listening on a free port of loopback, for the length of an `async with`."""
    one = Whole(**limits)
    await one.server.start("127.0.0.1:0")
    try:
        yield one
    finally:
        await one.server.close(within_s=0.2)
        one.cycle.stop()
        await asyncio.sleep(0)
