"""The daemon's cycle: one input into the worker, then everything that comes out, then the next.

Inputs are datagrams, commands and the passing of time. After each the datagrams to send go to the
kernel, the events to the control server, and the one timer is set to the worker's next deadline.
All of it runs on the loop's thread, so nothing is locked and nothing waits.

A bug in the worker (any exception that is not an answer) is logged and counted; what the input left
undone is lost, the daemon and everybody else go on.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from control.commands import AnyCommand
from control.errors import ControlError, ErrorCode
from control.events import EventBody
from sfu.fast import Batch
from sfu.shell.udp import BATCHES_PER_WAKE

# One input makes at most a few batches for each listener; beyond this the drain does not end.
DRAIN_STEPS_MAX = 10_000
# The loop's clock ticks in milliseconds. A shorter wait would come back early and spin.
TIMER_STEP_S = 0.001

_log = structlog.get_logger()


class Worker(Protocol):
    """What the cycle needs of `sfu.worker.Worker`."""

    def receive(self, inbox: Batch, now: float) -> None: ...
    def handle_timer(self, now: float) -> None: ...
    def execute(self, command: AnyCommand, now: float) -> Any: ...
    def drain(self, outbox: Batch) -> bool: ...
    def events(self) -> list[Any]: ...
    def next_deadline(self) -> float | None: ...
    def drain_participants(self, now: float) -> None: ...
    def observe_load(self, load: float, now: float) -> None: ...


class Port(Protocol):
    """What the cycle needs of `UdpPort`."""

    def receive(self, fd: int, inbox: Batch) -> int: ...
    def send(self, outbox: Batch) -> None: ...


class Cycle:
    """Joins a worker to its port, its clock and its listeners. Lives on one event loop."""

    def __init__(
        self,
        worker: Worker,
        port: Port,
        *,
        clock: Callable[[], float],
        publish: Callable[[str | None, EventBody], object],
    ) -> None:
        self.bugs = 0
        self._worker = worker
        self._port = port
        self._clock = clock
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._inbox = Batch()
        self._outbox = Batch()
        self._timer: asyncio.TimerHandle | None = None
        self._armed = math.inf  # what the timer is set to
        self._is_stopped = False

    def readable(self, fd: int) -> None:
        """Take what waits on a socket, up to a limit; the loop calls again when there is more."""
        for _ in range(BATCHES_PER_WAKE):
            try:
                if not self._port.receive(fd, self._inbox):
                    return
            except OSError as error:
                # An ICMP error of some earlier datagram; the socket itself is as good as before.
                _log.warning("media socket error", error=error.strerror)
                return
            self._turn("receive", self._worker.receive, self._inbox, self._clock())

    def submit(self, command: AnyCommand) -> asyncio.Future[Any]:
        """Run a command now; the future is done and holds its result or ControlError."""
        done = self._loop.create_future()
        try:
            done.set_result(self._worker.execute(command, self._clock()))
        except ControlError as error:
            done.set_result(error)
        except Exception as error:
            self.note_bug("command", error, method=command.method)
            text = f"{command.method} failed; see the log"
            done.set_result(ControlError(ErrorCode.INTERNAL, text))
        self._flush()
        return done

    def drain_participants(self) -> None:
        """Make everybody leave: goodbyes go out, events are published."""
        self._turn("drain", self._worker.drain_participants, self._clock())

    def observe_load(self, load: float) -> None:
        """The share of a core used lately."""
        self._turn("load", self._worker.observe_load, load, self._clock())

    def note_bug(self, where: str, error: Exception, **fields: Any) -> None:
        """Count a bug and log it with its traceback."""
        self.bugs += 1
        _log.error("bug", where=where, exc_info=error, **fields)

    def stop(self) -> None:
        """No further timers; idempotent."""
        self._is_stopped = True
        self._cancel()

    def _turn(self, where: str, take: Callable[..., None], *arguments: Any) -> None:
        try:
            take(*arguments)
        except Exception as error:
            self.note_bug(where, error)
        self._flush()

    def _flush(self) -> None:
        """Empty the worker's outputs and set the timer."""
        try:
            self._send()
            for room, body in self._worker.events():
                self._publish(room, body)
        except Exception as error:
            self.note_bug("output", error)
        self._arm()

    def _send(self) -> None:
        outbox = self._outbox
        for _ in range(DRAIN_STEPS_MAX):
            outbox.clear()
            is_more = self._worker.drain(outbox)
            if len(outbox):
                self._port.send(outbox)
            if not is_more:
                return
        raise AssertionError("the worker's output does not end")

    def _arm(self) -> None:
        """Set the timer, unless it is due early enough: then it sets itself anew."""
        deadline = self._deadline()
        if deadline is None or self._is_stopped:
            self._cancel()
            return
        if self._timer is not None:
            if self._armed <= deadline:
                return
            self._timer.cancel()
        self._armed = deadline
        wait = max(deadline - self._clock(), TIMER_STEP_S)
        self._timer = self._loop.call_later(wait, self._due)

    def _deadline(self) -> float | None:
        try:
            return self._worker.next_deadline()
        except Exception as error:
            self.note_bug("deadline", error)
            # Keep time going: what is wrong with one participant must not stop the others.
            return self._clock() + 0.1

    def _due(self) -> None:
        self._timer = None
        self._armed = math.inf
        self._turn("timer", self._worker.handle_timer, self._clock())

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._armed = math.inf
