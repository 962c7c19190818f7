"""The whole control plane in one thread, on virtual time and without sockets.

A real control server, the daemon's cycle and a real worker; clients are the SDK's links over pipes
in memory. Time passes only when nothing else is left to do, so minutes take no time and every run
of the same commands is the same.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from control.auth import Key
from control.connection import Connection
from control.events import Event
from control.link import Link
from control.server import Server
from sfu.fast import Batch
from sfu.shell.cycle import Cycle
from sfu.transport.candidates import Candidate
from sfu.worker import Worker, WorkerSettings
from tests.sim.fake_dtls import FakeDtlsFactory

T = TypeVar("T")

START_S = 100.0
WALL_AT_ZERO = 1_000_000.0
EPOCH = "e"


class _Selector(selectors.SelectSelector):
    """Nothing ever becomes ready: waiting is letting time pass."""

    pass_time: Callable[[float], None]

    def select(self, timeout: float | None = None) -> list[Any]:
        """Skip to when the loop wants to be woken."""
        assert timeout is not None, "nobody is left who could wake the loop"
        if timeout > 0:
            self.pass_time(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands still while anything can be done."""

    def __init__(self) -> None:
        self.now = START_S
        selector = _Selector()
        selector.pass_time = self._pass
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds."""
        return self.now

    def _pass(self, seconds: float) -> None:
        self.now += seconds


class _End(asyncio.Transport):
    """One end of a pipe; what is written comes out at `far` in the next turn of the loop."""

    far: _End

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._unread: list[bytes] = []
        self._is_paused = False
        self._is_closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """A pipe has no address."""
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def write(self, data: Any) -> None:
        """Send."""
        self._loop.call_soon(self.far._take, bytes(data))

    def can_write_eof(self) -> bool:
        """Never: closing tells it."""
        return False

    def is_closing(self) -> bool:
        """Whether it has been closed from either side."""
        return self._is_closed

    def pause_reading(self) -> None:
        """Keep what comes."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Hand out what was kept."""
        self._is_paused = False
        unread, self._unread = self._unread, []
        for data in unread:
            self._take(data)

    def close(self) -> None:
        """End both ends."""
        for end in (self, self.far):
            if not end._is_closed:
                end._is_closed = True
                self._loop.call_soon(end._protocol.connection_lost, None)

    abort = close

    def _take(self, data: bytes) -> None:
        if self._is_closed:
            return
        if self._is_paused:
            self._unread.append(data)
        else:
            self._protocol.data_received(data)


class NoPort:
    """A UDP port that nothing comes from."""

    descriptors: Sequence[int] = ()

    def start(self, loop: asyncio.AbstractEventLoop, readable: Callable[[int], None], /) -> None:
        """Nothing is watched."""

    def stop(self, loop: asyncio.AbstractEventLoop, /) -> None:
        """Nothing was watched."""

    def receive(self, fd: int, inbox: Batch, limit: int, /) -> int:
        """Nothing came."""
        return 0

    def send(self, outbox: Batch) -> None:
        """Nobody is there."""


class Line:
    """A client's connection, and what it has been told."""

    def __init__(self, link: Link, events: list[Event]) -> None:
        self.link = link
        self.events = events

    def take_events(self) -> list[Event]:
        """What came since the last call, in order."""
        taken = self.events[:]
        self.events.clear()
        return taken


class Plane:
    """The server with its worker. `run` everything on its own loop; `close` it at the end."""

    def __init__(self, keys: Sequence[Key], **limits: Any) -> None:
        self.loop = VirtualLoop()
        self.log: list[str] = []
        self.escaped: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.escaped.append(context))
        self.run(self._open(keys, limits))

    async def _open(self, keys: Sequence[Key], limits: dict[str, Any]) -> None:
        worker = Worker(
            WorkerSettings(node="n", version="0", **limits),
            dtls=FakeDtlsFactory("seed"),
            candidates=[Candidate(foundation="1", priority=1, host="192.0.2.1", port=7800)],
            entropy=random.Random(1).randbytes,
            epoch=EPOCH,
            wall_at_zero=WALL_AT_ZERO,
        )
        self.cycle = Cycle(worker, NoPort(), clock=self.loop.time, publish=self._publish)
        self.server = Server(
            self.cycle,
            epoch=EPOCH,
            keys=keys,
            log=lambda event, /, **fields: self.log.append(f"{event} {fields}"),
            entropy=random.Random(2).randbytes,
            wall_ms=self.unix_ms,
            on_controlled=self.cycle.observe_controllers,
        )

    def _publish(self, room: str | None, body: Any) -> None:
        self.server.publish(room, body)

    def unix_ms(self) -> int:
        """Now, as the worker sees it."""
        return round((WALL_AT_ZERO + self.loop.now) * 1000)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it, with whatever it causes."""
        return self.loop.run_until_complete(work)

    async def connect(self, key: Key) -> Line:
        """A ready connection that has subscribed to nothing yet."""
        events: list[Event] = []
        link = Link(events.append)
        near = _End(self.loop, link)
        near.far = _End(self.loop, Connection(self.server._hub))
        near.far.far = near
        for end in (near, near.far):
            end._protocol.connection_made(end)
        await link.greet("model", key)
        return Line(link, events)

    def close(self) -> None:
        """End everything, and see that nothing went wrong unseen."""
        self.run(self.server.close(within_s=1.0))
        self.cycle.stop()
        self.run(asyncio.sleep(0))
        self.loop.close()
        assert (self.escaped, self.log, self.cycle.bugs) == ([], [], 0)
