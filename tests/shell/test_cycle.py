"""The cycle: every output leaves after every input, the timer is right, bugs do not spread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from control.commands import AnyCommand, Empty, Ping
from control.errors import ControlError, ErrorCode, not_found
from control.events import EventBody, HandLowered
from sfu.fast import Batch
from sfu.shell import cycle
from sfu.shell.cycle import Cycle
from sfu.shell.udp import BATCHES_PER_WAKE
from sfu.transport.address import pack_address

ADDRESS = pack_address("192.0.2.1", 4000)


class FakeWorker:
    """Sends what it is told to, and fails where it is told to."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.pending: list[bytes] = []
        self.occurred: list[tuple[str | None, EventBody]] = []
        self.deadline: float | None = None
        self.answer: Any = Empty()
        self.failing: set[str] = set()
        self.is_endless = False

    def _maybe_fail(self, where: str) -> None:
        assert where not in self.failing, where

    def receive(self, inbox: Batch, now: float) -> None:
        self.seen += [data for data, _ in inbox]
        self._maybe_fail("receive")
        self.pending += [data.upper() for data, _ in inbox]

    def handle_timer(self, now: float) -> None:
        self.seen.append("timer")
        self.deadline = None
        self._maybe_fail("timer")

    def execute(self, command: AnyCommand, now: float) -> Any:
        self._maybe_fail("execute")
        if isinstance(self.answer, ControlError):
            raise self.answer
        return self.answer

    def drain(self, outbox: Batch) -> bool:
        """One datagram at a time, as a full outbox would have it."""
        self._maybe_fail("drain")
        if self.pending:
            outbox.append(self.pending.pop(0), ADDRESS)
        return bool(self.pending) or self.is_endless

    def events(self) -> list[tuple[str | None, EventBody]]:
        taken, self.occurred = self.occurred, []
        return taken

    def next_deadline(self) -> float | None:
        self._maybe_fail("deadline")
        return self.deadline

    def drain_participants(self, now: float) -> None:
        self.pending.append(b"BYE")


class FakePort:
    """Gives what waits, keeps what is sent."""

    def __init__(self) -> None:
        self.waiting: list[list[bytes]] = []
        self.sent: list[bytes] = []
        self.error: OSError | None = None

    def receive(self, fd: int, inbox: Batch) -> int:
        if self.error:
            raise self.error
        inbox.clear()
        for data in self.waiting.pop(0) if self.waiting else []:
            inbox.append(data, ADDRESS)
        return len(inbox)

    def send(self, outbox: Batch) -> None:
        self.sent += [data for data, _ in outbox]


class Rig:
    """A cycle between a fake worker and a fake port."""

    def __init__(self) -> None:
        self.worker = FakeWorker()
        self.port = FakePort()
        self.published: list[tuple[str | None, EventBody]] = []
        self.cycle = Cycle(
            self.worker,
            self.port,
            clock=time.monotonic,
            publish=lambda room, body: self.published.append((room, body)),
        )


@pytest.fixture
async def rig() -> Rig:
    """On the test's loop."""
    return Rig()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds; the test's timeout is the limit."""
    while not condition():
        await asyncio.sleep(0.001)


async def test_everything_leaves_after_each_input(rig: Rig) -> None:
    rig.port.waiting = [[b"a", b"b"], [b"c"]]
    rig.worker.occurred = [("room", HandLowered(participant="p"))]
    rig.cycle.readable(3)
    assert rig.worker.seen == [b"a", b"b", b"c"]
    assert rig.port.sent == [b"A", b"B", b"C"]
    assert rig.published == [("room", HandLowered(participant="p"))]


async def test_a_wake_takes_only_so_much(rig: Rig) -> None:
    rig.port.waiting = [[b"x"]] * 100
    rig.cycle.readable(3)
    assert len(rig.worker.seen) == BATCHES_PER_WAKE


async def test_a_socket_error_is_survived(rig: Rig) -> None:
    rig.port.error = OSError(111, "Connection refused")
    rig.cycle.readable(3)
    rig.port.error = None
    rig.port.waiting = [[b"a"]]
    rig.cycle.readable(3)
    assert rig.port.sent == [b"A"]
    assert rig.cycle.bugs == 0


async def test_a_command_is_done_at_once_and_its_datagrams_are_sent(rig: Rig) -> None:
    rig.worker.pending = [b"bye"]
    done = rig.cycle.submit(Ping())
    assert done.done() and done.result() == Empty()
    assert rig.port.sent == [b"bye"]


async def test_a_refused_command_answers_its_error(rig: Rig) -> None:
    rig.worker.answer = not_found("room", "x")
    assert rig.cycle.submit(Ping()).result().code is ErrorCode.NOT_FOUND
    assert rig.cycle.bugs == 0


async def test_a_bug_in_a_command_is_internal_and_counted(rig: Rig) -> None:
    rig.worker.failing = {"execute"}
    assert rig.cycle.submit(Ping()).result().code is ErrorCode.INTERNAL
    assert rig.cycle.bugs == 1


@pytest.mark.parametrize("where", ["receive", "drain"])
async def test_a_bug_in_one_packet_leaves_the_next_alone(rig: Rig, where: str) -> None:
    rig.worker.failing = {where}
    rig.port.waiting = [[b"a"]]
    rig.cycle.readable(3)
    assert rig.cycle.bugs == 1
    rig.worker.failing = set()
    rig.worker.pending.clear()
    rig.port.waiting = [[b"b"]]
    rig.cycle.readable(3)
    assert rig.port.sent == [b"B"]


async def test_an_endless_output_is_a_bug_and_ends(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cycle, "DRAIN_STEPS_MAX", 10)
    rig.worker.is_endless = True
    rig.cycle.drain_participants()
    assert rig.cycle.bugs == 1
    assert rig.port.sent == [b"BYE"]


async def test_the_timer_fires_at_the_deadline(rig: Rig) -> None:
    rig.worker.deadline = due = time.monotonic() + 0.03
    rig.cycle.submit(Ping())
    await until(lambda: "timer" in rig.worker.seen)
    assert time.monotonic() >= due - 0.002


async def test_an_earlier_deadline_wins_and_a_later_one_waits(rig: Rig) -> None:
    rig.worker.deadline = time.monotonic() + 600
    rig.cycle.submit(Ping())
    rig.worker.deadline = time.monotonic() + 0.01
    rig.cycle.submit(Ping())
    await until(lambda: "timer" in rig.worker.seen)


async def test_a_bug_in_the_timer_or_deadline_keeps_time_going(rig: Rig) -> None:
    rig.worker.failing = {"timer"}
    rig.worker.deadline = 0.0
    rig.cycle.submit(Ping())
    await until(lambda: rig.cycle.bugs == 1)
    rig.worker.failing = {"deadline"}
    rig.cycle.submit(Ping())
    rig.worker.failing = set()
    await until(lambda: rig.worker.seen == ["timer", "timer"])


async def test_nothing_is_timed_after_stop(rig: Rig) -> None:
    rig.worker.deadline = 0.0
    rig.cycle.submit(Ping())
    rig.cycle.stop()
    rig.cycle.stop()
    rig.cycle.submit(Ping())
    await asyncio.sleep(0.02)
    assert rig.worker.seen == []
