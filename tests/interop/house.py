"""A media server in the test's own process, on a real port: its tables and its line can be touched.

For what no command can bring about at will: how a listener is protected, and which packets are
lost. Commands go straight to the worker.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

from control.commands import AnyCommand
from control.errors import ControlError
from control.types import LeaveReason
from sfu.fast import Batch, Forwarder
from sfu.shell.cycle import Cycle
from sfu.shell.dtls_openssl import OpensslDtls
from sfu.shell.endpoint import Endpoint
from sfu.shell.udp import UdpPort
from sfu.transport.candidates import Endpoint as Listening
from sfu.transport.candidates import candidates_for
from sfu.worker import Worker, WorkerSettings

# Says of a packet's place in its stream of media whether the line loses it.
Loss = Callable[[int], bool]


def nothing(_: int) -> bool:
    """A line that loses nothing."""
    return False


class Line:
    """What passes one way: media packets by payload type, some of them lost.

    With `loses_reports` no RTCP passes: nobody learns what else is lost, and acts on it.
    """

    def __init__(self) -> None:
        self.loses: Loss = nothing
        self.loses_reports = False
        self.payload_types: Counter[int] = Counter()
        self._seen: Counter[bytes] = Counter()  # by SSRC

    def passes(self, datagram: bytes) -> bool:
        """Whether a datagram arrives. Media is told from RTCP as RFC 5761 4 says."""
        if len(datagram) < 12 or not 128 <= datagram[0] < 192:
            return True
        if 64 <= datagram[1] & 0x7F < 96:
            return not self.loses_reports
        self.payload_types[datagram[1] & 0x7F] += 1
        place = self._seen[datagram[8:12]] = self._seen[datagram[8:12]] + 1
        return not self.loses(place)


class LossyPort(UdpPort):
    """The sockets, with a line behind each way."""

    def __init__(self) -> None:
        super().__init__([Endpoint("127.0.0.1", 0)])
        self.up, self.down = Line(), Line()
        self._came, self._goes = Batch(), Batch()

    def receive(self, fd: int, inbox: Batch, limit: int) -> int:
        """As the socket's, without what is lost."""
        self._came.clear()
        inbox.clear()
        count = super().receive(fd, self._came, limit)
        for datagram, address in self._came:
            if self.up.passes(datagram):
                assert inbox.append(datagram, address)
        return count

    def send(self, outbox: Batch) -> None:
        """As the socket's, without what is lost."""
        self._goes.clear()
        for datagram, address in outbox:
            if self.down.passes(datagram):
                assert self._goes.append(datagram, address)
        super().send(self._goes)


class House:
    """One worker; leaving the `async with` sends everybody away."""

    def __init__(self) -> None:
        self.port = LossyPort()
        self._worker = Worker(
            WorkerSettings(node="test", version="0"),
            dtls=OpensslDtls(),
            candidates=candidates_for([Listening(*one) for one in self.port.endpoints], [], []),
            entropy=secrets.token_bytes,
            epoch="e",
            wall_at_zero=time.time() - time.monotonic(),
        )
        self._cycle = Cycle(
            self._worker, self.port, clock=time.monotonic, publish=lambda room, body: None
        )

    async def __aenter__(self) -> Self:
        self._cycle.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._cycle.drain_participants()
        while self._worker.has_rooms:
            await asyncio.sleep(0)
        self._cycle.stop()
        self.port.close()
        assert self._cycle.bugs == 0
        assert self._worker.counters()[f"left_{LeaveReason.WORKER_LOST}"] == 0

    @property
    def forwarder(self) -> Forwarder:
        """The compiled core."""
        return self._worker.forwarder

    def protect(self, room: str, participant: str, copies: int) -> None:
        """As if its line lost so much; from now on nobody's line is asked what it really does."""
        tier, cause = ("A0", "loss") if copies else ("A1", "recovered")
        registry = self._worker._registry
        registry.lines.follow = lambda peer, now: None  # type: ignore[method-assign]
        subscriptions = registry.room(room).subscriptions
        assert subscriptions.follow(participant, tier, copies, cause, time.monotonic())

    async def run(self, command: AnyCommand) -> Any:
        """A command's result; raises ControlError."""
        result = await self._cycle.submit(command)
        if isinstance(result, ControlError):
            raise result
        return result
