"""Joins, stage by stage: offer, answer, ICE, DTLS, first audio."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.clients import MS, Client
from bench.crowd import Crowd
from bench.lifecycle import State, Times
from bench.quantiles import quantile
from bench.results import Joins, Stage
from bench.targets import JoinRefused, Role, Target

# Negotiations under way at once; a backend has as many connections at most.
NEGOTIATIONS_MAX = 512


@dataclass(frozen=True)
class Seat:
    """Who joins what."""

    room: str
    name: str
    role: Role


class Joining:
    """Lets clients join a target, and keeps what happened to each."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._attempted = 0
        self._failures: Counter[str] = Counter()
        self._times: list[Times] = []
        self._pending: set[Client] = set()
        self._settled = asyncio.Event()
        self._gate = asyncio.Semaphore(NEGOTIATIONS_MAX)
        self.refused = 0

    async def join(self, crowd: Crowd, seat: Seat) -> Client | None:
        """Negotiate and begin to connect; None when that was refused. Raises TargetError."""
        client = crowd.client(seat.name, seat.role)
        client.on_change = self._changed
        self._attempted += 1
        client.times.begun = time.time_ns()
        try:
            async with self._gate:
                await self._target.join(seat.room, seat.name, seat.role, client)
            # Where the server offers, its own word on the answer is the end of the negotiation.
            client.times.answer = time.time_ns()
            client.connect()
        except JoinRefused as error:
            self.refused += 1
            self._failures[f"refused: {error.limit or error}"] += 1
            return None
        except (OSError, ValueError) as error:
            client.vanish()
            self._failures[str(error)] += 1
            return None
        self._times.append(client.times)
        if client.state in (State.CHECKING, State.HANDSHAKING):
            self._pending.add(client)
        return client

    async def join_all(
        self,
        crowd: Crowd,
        seats: Sequence[Seat],
        rate_per_s: float,
        on_join: Callable[[Seat, Client], None] | None = None,
    ) -> list[tuple[Seat, Client]]:
        """Join at that rate; returns those who are connected when all are or have failed."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            tasks = []
            for number, seat in enumerate(seats):
                wait_s = began + number / rate_per_s - time.monotonic()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                tasks.append(group.create_task(self.join(crowd, seat)))
        await self.settle()
        joined = []
        for seat, task in zip(seats, tasks, strict=True):
            client = task.result()
            if client is not None and client.state is State.CONNECTED:
                joined.append((seat, client))
        return joined

    async def settle(self) -> None:
        """Until nobody is connecting any more; each client gives up by itself."""
        while self._pending:
            self._settled.clear()
            await self._settled.wait()

    def result(self) -> Joins:
        """All joins so far."""
        done = [times for times in self._times if times.dtls]
        span_s = _span_s(done)
        return Joins(
            attempted=self._attempted,
            connected=len(done),
            failed=self._failures.total(),
            failures=dict(self._failures),
            stages=tuple(_stages(done)),
            joins_per_s=len(done) / span_s if span_s else None,
        )

    def _changed(self, client: Client) -> None:
        self._pending.discard(client)
        if client.state is State.FAILED:
            self._failures[client.failure] += 1
        if not self._pending:
            self._settled.set()


def _span_s(done: Sequence[Times]) -> float:
    if not done:
        return 0.0
    return (max(one.dtls for one in done) - min(one.begun for one in done)) / 1e9


def _stages(done: Sequence[Times]) -> list[Stage]:
    """The stages that anybody has finished."""
    spans: dict[str, list[float]] = {
        "offer": [(one.offer - one.begun) / MS for one in done],
        "answer": [(one.answer - one.offer) / MS for one in done],
        "ice": [(one.ice - one.answer) / MS for one in done],
        "dtls": [(one.dtls - one.ice) / MS for one in done],
        # The first packet may overtake the end of the handshake.
        "first_audio": [
            max(0.0, (one.first_audio - one.dtls) / MS) for one in done if one.first_audio
        ],
        "connected": [(one.dtls - one.begun) / MS for one in done],
    }
    return [_stage(name, values) for name, values in spans.items() if values]


def _stage(name: str, values: list[float]) -> Stage:
    p50, p95, p99 = (quantile(values, share) for share in (0.5, 0.95, 0.99))
    return Stage(name, len(values), p50, p95, p99, max(values))
