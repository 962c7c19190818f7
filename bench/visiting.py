"""Visitors: clients who come at a steady rate, stay for a while, and leave again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from itertools import count
from typing import Any

from bench.clients import Client
from bench.crowd import Crowd
from bench.joining import Joining, Seat
from bench.lifecycle import State
from bench.targets import Target

# Every other one says goodbye by itself; the others are taken out by the backend.
_GOODBYE_EVERY = 2


class Visits:
    """Lets listeners come into rooms and leave them again."""

    def __init__(self, target: Target, crowd: Crowd, joining: Joining) -> None:
        self._target = target
        self._crowd = crowd
        self._joining = joining
        self._numbers = count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        self.left = 0

    async def keep_coming(
        self, rooms: Sequence[str], *, rate_per_s: float, stay_s: float, seconds: float
    ) -> None:
        """One after the other for so long; returns when the last one has left. Raises what went
        wrong with any of them.
        """
        clock = time.monotonic
        began = clock()
        try:
            for number in range(max(1, round(seconds * rate_per_s))):
                wait_s = began + number / rate_per_s - clock()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                self._start(self._come(rooms[number % len(rooms)], stay_s))
                self._raise_broken()
            await self._joining.settle()
            while self._tasks or any(one.is_open for one in self._crowd.clients.values()):
                self._raise_broken()
                await asyncio.sleep(0.1)
        finally:
            for task in list(self._tasks):
                task.cancel()
        self._raise_broken()

    async def _come(self, room: str, stay_s: float) -> None:
        """Join; leaving is a timer's, so that nobody who only stays costs a task."""
        number = next(self._numbers)
        client = await self._joining.join(self._crowd, Seat(room, f"visitor-{number}", "listener"))
        if client is None:
            return
        due_ns = client.times.answer + round(stay_s * 1e9)
        goodbye = number % _GOODBYE_EVERY == 0
        self._crowd.timers.at(due_ns, lambda _: self._start(self._go(room, client, goodbye)))

    async def _go(self, room: str, client: Client, goodbye: bool) -> None:
        client.on_change = None  # what the server says from now on is no failure
        if client.state is State.CONNECTED and goodbye:
            client.close()
        await self._target.leave(room, client.name)
        client.vanish()
        self.left += 1

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._broken = self._broken or task.exception()

    def _raise_broken(self) -> None:
        if self._broken is not None:
            raise self._broken
