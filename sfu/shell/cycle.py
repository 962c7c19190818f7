"""The daemon's cycle: one input into the worker, then everything that comes out, then the next.

Inputs are datagrams, what was mixed, commands and the passing of time. After each the datagrams to
send go to the kernel, the events to the control server, and the one timer is set to the worker's
next deadline. All of it runs on the loop's thread, so nothing is locked and nothing waits.

Nothing holds up media for long either. A worker that has more to do says so by a deadline that has
come: sockets are read before it goes on. Commands get a few milliseconds of each turn of the loop,
the rest of a burst waits in order for the next.

In a house full of silent listeners datagrams come one at a time, thousands in a second, and a wake
costs more than what it brings. So while no media comes, and wakes come faster than `DOZE_S`, the
sockets are not watched but looked at every `DOZE_S`.

A bug in the worker (any exception that is not an answer) is logged and counted; what the input left
undone is lost, the daemon and everybody else go on.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from control.commands import AnyCommand
from control.errors import ControlError, ErrorCode
from control.events import EventBody
from control.requests import REQUEST
from sfu.fast import Batch
from sfu.shell.udp import BATCHES_PER_WAKE
from sfu.worker.tally import Tally

# Datagrams in one batch from a socket; fewer mean that nothing is left there.
INBOX_DATAGRAMS = 256
# One input makes at most a few batches for each listener; beyond this the drain does not end.
DRAIN_STEPS_MAX = 10_000
# The loop's clock ticks in milliseconds. A shorter wait would come back early and spin.
TIMER_STEP_S = 0.001
# A join is half a millisecond: a burst of hundreds delays media by no more than this.
COMMANDS_S = 0.002
# Long enough to bring ten datagrams of five thousand listeners at a time, short enough for
# handshakes; the first word after a silence is late by this at most.
DOZE_S = 0.002
# Reading and sending in one go: commands, timers and operators wait no longer than this.
READING_S = 0.005
# Of how long packets stay: half of a frame is felt, a tenth of it is nothing.
FORWARDING_EDGES_S = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02)
# Without media for this long nothing is in a hurry. A voice is 20 ms frames, or 400 ms in a pause.
QUIET_AFTER_S = 0.5

_log = structlog.get_logger()


class Worker(Protocol):
    """What the cycle needs of `sfu.worker.Worker`."""

    def receive(self, inbox: Batch, now: float) -> None: ...
    def handle_timer(self, now: float) -> None: ...
    def receive_mixed(self, now: float) -> None: ...
    def execute(self, command: AnyCommand, now: float) -> Any: ...
    def drain(self, outbox: Batch) -> bool: ...
    def events(self) -> list[Any]: ...
    def next_deadline(self) -> float | None: ...
    @property
    def heard_media_at(self) -> float: ...
    def begin_leaving(self, deadline_s: float, now: float) -> None: ...
    def drain_participants(self, now: float) -> None: ...
    def observe_load(self, load: float, now: float) -> None: ...
    def observe_controllers(self, controls: Callable[[str], bool], now: float, /) -> None: ...


class Port(Protocol):
    """What the cycle needs of `UdpPort`."""

    def start(
        self, loop: asyncio.AbstractEventLoop, readable: Callable[[int], None], /
    ) -> None: ...
    def stop(self, loop: asyncio.AbstractEventLoop, /) -> None: ...
    @property
    def descriptors(self) -> Sequence[int]: ...
    def receive(self, fd: int, inbox: Batch, limit: int, /) -> int: ...
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
        self.request = ""  # of the command that is being run; events that come out are its own
        # How long each batch with media took since its first datagram came until all was sent.
        self.forwarding = Tally(FORWARDING_EDGES_S)
        self._worker = worker
        self._port = port
        self._clock = clock
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._inbox = Batch(INBOX_DATAGRAMS)
        self._limit = INBOX_DATAGRAMS  # of one batch, so that its fan-out takes about READING_S
        self._outbox = Batch()
        self._timer: asyncio.Handle | None = None
        self._armed = math.inf  # what the timer is set to
        self._woken_at = -math.inf
        self._doze: asyncio.TimerHandle | None = None
        self._commands: deque[tuple[AnyCommand, asyncio.Future[Any], str]] = deque()
        self._commands_until = 0.0  # in this turn of the loop
        self._next_turn: asyncio.Handle | None = None
        self._is_stopped = False

    def listen(self) -> None:
        """Take datagrams from now on."""
        self._port.start(self._loop, self.readable)

    def readable(self, fd: int) -> None:
        """Take what waits on a socket, up to a limit; the loop calls again when there is more."""
        now = self._clock()
        self._take_waiting(fd)
        is_hurried = now - self._woken_at < DOZE_S
        self._woken_at = now
        if is_hurried and self._is_quiet(now) and not self._is_stopped:
            self._port.stop(self._loop)
            self._doze = self._loop.call_later(DOZE_S, self._look)

    def submit(self, command: AnyCommand) -> asyncio.Future[Any]:
        """Run a command, now or when it is its turn; the future gets its result or ControlError.

        How many may wait is limited by who submits: 256 of each connection.
        """
        done = self._loop.create_future()
        self._commands.append((command, done, REQUEST.get()))
        self._run_commands()
        return done

    def take_mixed(self) -> None:
        """The mixing port has something."""
        self._turn("mix", self._worker.receive_mixed, self._clock())

    def begin_leaving(self, deadline_s: float) -> None:
        """Nobody new; in so many seconds everybody has to leave, for the process ends."""
        self._turn("leave", self._worker.begin_leaving, deadline_s, self._clock())

    def drain_participants(self) -> None:
        """Make everybody leave: goodbyes go out, events are published."""
        self._turn("drain", self._worker.drain_participants, self._clock())

    def observe_load(self, load: float) -> None:
        """The share of a core used lately."""
        self._turn("load", self._worker.observe_load, load, self._clock())

    def observe_controllers(self, controls: Callable[[str], bool]) -> None:
        """Which rooms backends are connected for."""
        self._turn("controllers", self._worker.observe_controllers, controls, self._clock())

    def note_bug(self, where: str, error: Exception, **fields: Any) -> None:
        """Count a bug and log it with its traceback."""
        self.bugs += 1
        if self.request:
            fields["request"] = self.request
        _log.error("bug", where=where, exc_info=error, **fields)

    def stop(self) -> None:
        """No further timers; idempotent."""
        self._is_stopped = True
        self._cancel()
        if self._doze is not None:
            self._doze.cancel()
        self._port.stop(self._loop)

    def _take_waiting(self, fd: int) -> int:
        """What waits on a socket, up to a limit of batches and time; how many datagrams that were.

        One packet may go to thousands, so that time says more than number: a batch that took long
        halves the next, and everything else on the loop gets its turn.
        """
        taken, begun_at = 0, self._clock()
        for _ in range(BATCHES_PER_WAKE):
            limit, read_at = self._limit, self._clock()
            try:
                count = self._port.receive(fd, self._inbox, limit)
            except OSError as error:
                # An ICMP error of some earlier datagram; the socket itself is as good as before.
                _log.warning("media_socket_error", error=error.strerror)
                break
            if count:
                given_at = self._clock()
                self._turn("receive", self._worker.receive, self._inbox, given_at)
            sent_at = self._clock()
            if count and self._worker.heard_media_at == given_at:
                self.forwarding.add(sent_at - read_at + self._inbox.waited_s)
            taken += count
            is_over = sent_at - begun_at > READING_S
            self._limit = max(1, limit // 2) if is_over else min(INBOX_DATAGRAMS, limit * 2)
            if count < limit or is_over:
                break
        return taken

    def _look(self) -> None:
        """Dozing: take what has come, and stay so while it is much and no media."""
        self._doze = None
        self._woken_at = now = self._clock()
        taken = sum(self._take_waiting(fd) for fd in self._port.descriptors)
        if self._is_stopped:
            return
        if taken and self._is_quiet(now):
            self._doze = self._loop.call_later(DOZE_S, self._look)
        else:
            self._port.start(self._loop, self.readable)

    def _is_quiet(self, now: float) -> bool:
        return now - self._worker.heard_media_at > QUIET_AFTER_S

    def _run_commands(self) -> None:
        """Commands in order, for as long as they may take of this turn of the loop."""
        if self._next_turn is None:
            self._commands_until = self._clock() + COMMANDS_S
            self._next_turn = self._loop.call_soon(self._begin_turn)
        while self._commands and self._clock() < self._commands_until:
            self._execute(*self._commands.popleft())

    def _begin_turn(self) -> None:
        self._next_turn = None
        if self._commands:
            self._run_commands()

    def _execute(self, command: AnyCommand, done: asyncio.Future[Any], request: str) -> None:
        result: Any
        self.request = request
        try:
            result = self._worker.execute(command, self._clock())
        except ControlError as error:
            result = error
        except Exception as error:
            self.note_bug("command", error, method=command.method)
            text = f"{command.method} failed; see the log"
            result = ControlError(ErrorCode.INTERNAL, text)
        if not done.done():  # whoever asked may have given up
            done.set_result(result)
        self._flush()
        self.request = ""

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
        wait = deadline - self._clock()
        if wait <= 0.0:
            self._timer = self._loop.call_soon(self._due)  # after what the sockets hold
        else:
            self._timer = self._loop.call_later(max(wait, TIMER_STEP_S), self._due)

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
