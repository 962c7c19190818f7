"""From an authorised request to its answer: the handler, keys, deadlines, and what may go wrong.

Commands are submitted at once, in the order they come, so that order is the order of their effects;
answers follow when they are ready. Losing a connection or passing a deadline ends the waiting, not
the command. What a handler raises beyond ControlError is a bug: it is logged and answered
`internal`, and everything else goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from control.commands import AnyCommand, RoomSnapshot, ServerInfo, ServerInfoResult
from control.envelope import Outcome, failure, success
from control.errors import ControlError, ErrorCode, exhausted
from control.feed import Feed
from control.frames import FRAME_BYTES_MAX, encode_value
from control.idempotency import RUNNING_MAX, IdempotencyTable, Name
from control.requests import REQUEST
from control.session import Run

Respond = Callable[[Outcome], None]

# A day: a longer deadline is none.
DEADLINE_MS_MAX: Final = 86_400_000
# What an envelope adds around a result: map header, `t`, `ok` and a 64-bit id.
_ENVELOPE_BYTES: Final = 64
# A retry may well go better, so a key must not pin these.
_PASSING: Final = frozenset(
    {ErrorCode.UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED, ErrorCode.INTERNAL}
)


class Handler(Protocol):
    """What runs commands: the daemon's side of the contract."""

    def submit(self, command: AnyCommand) -> Awaitable[Any]:
        """Begin a command. Called in order of receipt, from the event loop; the awaitable gives the
        command's result struct, or raises (or gives) a ControlError."""


class Log(Protocol):
    """Where the server tells what an operator should know: an event's name and its fields."""

    def __call__(self, event: str, /, **fields: Any) -> None: ...


class Capacity(NamedTuple):
    """A limit of the control server, and how much of it is used now."""

    limit: int
    use: int


class Dispatcher:
    """Runs commands for all connections of a server. Lives on one event loop.

    `capacity` gives the control server's own limits, which `server.info` tells beside the daemon's.
    """

    def __init__(
        self,
        handler: Handler,
        feed: Feed,
        counters: Counter[str],
        log: Log,
        capacity: Callable[[], Mapping[str, Capacity]] = dict,
    ) -> None:
        self._handler = handler
        self._feed = feed
        self._counters = counters
        self._log = log
        self._capacity = capacity
        self._keyed: IdempotencyTable[asyncio.Future[Outcome]] = IdempotencyTable()
        self._tasks: set[asyncio.Future[Any]] = set()

    def dispatch(self, run: Run, key_id: str | None, respond: Respond) -> None:
        """Begin (or join) a command; `respond` is called once, from the event loop, later."""
        deadline_ms = run.request.deadline_ms
        if deadline_ms == 0:
            respond(failure(_too_late()))
            return
        try:
            outcome = self._outcome_of(run, key_id)
        except ControlError as error:
            respond(failure(error))
            return
        _when_done(outcome, deadline_ms, respond)

    def close(self) -> None:
        """Give up tasks that run the handler's coroutines; futures of its own are left alone."""
        for task in tuple(self._tasks):
            task.cancel()

    def _outcome_of(self, run: Run, key_id: str | None) -> asyncio.Future[Outcome]:
        if run.request.key is None:
            return self._execute(run.command)
        loop = asyncio.get_running_loop()
        name = (key_id, run.request.key)
        asked = encode_value([run.command.method, run.command])
        fingerprint = hashlib.sha256(asked).digest()  # a command may be a thousand times as large
        known = self._keyed.find(name, fingerprint, loop.time())
        if known is not None:
            self._counters["idempotent_repeats"] += 1
            return known
        outcome: asyncio.Future[Outcome] = loop.create_future()
        self._keyed.hold(name, fingerprint, outcome)
        execution = self._execute(run.command)
        execution.add_done_callback(partial(self._settle, name, outcome))
        return outcome

    def _settle(
        self, name: Name, outcome: asyncio.Future[Outcome], execution: asyncio.Future[Outcome]
    ) -> None:
        result = execution.result()
        if _is_passing(result):
            self._keyed.forget(name)
        else:
            now = asyncio.get_running_loop().time()
            self._keyed.settle(name, now, size_bytes=len(result.payload))
        outcome.set_result(result)

    def _execute(self, command: AnyCommand) -> asyncio.Future[Outcome]:
        """Submit now; the future never fails."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        seq = self._feed.seq
        try:
            awaitable = self._handler.submit(command)
            task = asyncio.ensure_future(awaitable)
        except Exception as error:
            outcome.set_result(self._failure_of(command, error))
            return outcome
        if task is not awaitable:
            self._tasks.add(task)
        task.add_done_callback(partial(self._finish, command, seq, outcome))
        return outcome

    def _finish(
        self,
        command: AnyCommand,
        seq: int,
        outcome: asyncio.Future[Outcome],
        task: asyncio.Future[Any],
    ) -> None:
        self._tasks.discard(task)
        try:
            outcome.set_result(self._success_of(command, seq, task.result()))
        except asyncio.CancelledError:
            gone = ControlError(ErrorCode.UNAVAILABLE, "the command was given up")
            outcome.set_result(failure(gone))
        except Exception as error:
            outcome.set_result(self._failure_of(command, error))

    def _success_of(self, command: AnyCommand, seq: int, result: Any) -> Outcome:
        if isinstance(result, ControlError):
            raise result
        if not isinstance(result, command.result):
            raise TypeError(f"{command.method} gave {type(result).__name__}")
        if isinstance(command, RoomSnapshot):
            # The position from before the command: no event that the state lacks is at or below it.
            result = msgspec.structs.replace(result, epoch=self._feed.epoch, seq=seq)
        elif isinstance(command, ServerInfo):
            result = self._with_own_limits(result)
        outcome = success(result)
        if len(outcome.payload) > FRAME_BYTES_MAX - _ENVELOPE_BYTES:
            message = "the answer is larger than a frame; ask in pages"
            raise exhausted("frame_bytes", message, retry_after_ms=None)
        return outcome

    def _with_own_limits(self, info: ServerInfoResult) -> ServerInfoResult:
        own = {
            **self._capacity(),
            "idempotency_keys": Capacity(RUNNING_MAX, self._keyed.running),
        }
        return msgspec.structs.replace(
            info,
            limits=info.limits | {name: one.limit for name, one in own.items()},
            use=info.use | {name: one.use for name, one in own.items()},
        )

    def _failure_of(self, command: AnyCommand, error: Exception) -> Outcome:
        if not isinstance(error, ControlError):
            self._counters["bugs"] += 1
            self._log(
                "control_handler_failed",
                method=command.method,
                request=REQUEST.get(),
                exc_info=error,
            )
            error = ControlError(ErrorCode.INTERNAL, f"{command.method} failed; see the log")
        return failure(error)


def _is_passing(outcome: Outcome) -> bool:
    return outcome.code in _PASSING or outcome.retry_after_ms is not None


def _too_late() -> ControlError:
    return ControlError(ErrorCode.DEADLINE_EXCEEDED, "not done in time; it may yet take effect")


def _when_done(outcome: asyncio.Future[Outcome], deadline_ms: int | None, respond: Respond) -> None:
    """Respond once: with the outcome, or when the deadline has passed before it."""
    if deadline_ms is None:
        outcome.add_done_callback(lambda done: respond(done.result()))
        return

    def on_done(done: asyncio.Future[Outcome]) -> None:
        timer.cancel()
        respond(done.result())

    def on_deadline() -> None:
        outcome.remove_done_callback(on_done)
        respond(failure(_too_late()))

    delay_s = min(deadline_ms, DEADLINE_MS_MAX) / 1_000
    timer = asyncio.get_running_loop().call_later(delay_s, on_deadline)
    outcome.add_done_callback(on_done)
