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
        self.heard_media_at = time.monotonic()
        self.takes_media = False
        self.execution_s = self.spent_s = 0.0  # of virtual time
        self.executed: list[AnyCommand] = []

    def _maybe_fail(self, where: str) -> None:
        assert where not in self.failing, where

    def receive(self, inbox: Batch, now: float) -> None:
        self.seen += [data for data, _ in inbox]
        if self.takes_media:
            self.heard_media_at = now
            self.spent_s += self.execution_s
        self._maybe_fail("receive")
        self.pending += [data.upper() for data, _ in inbox]

    def handle_timer(self, now: float) -> None:
        self.seen.append("timer")
        self.deadline = None
        self._maybe_fail("timer")

    def receive_mixed(self, now: float) -> None:
        self._maybe_fail("mixed")
        self.pending.append(b"MIX")

    def execute(self, command: AnyCommand, now: float) -> Any:
        self._maybe_fail("execute")
        self.executed.append(command)
        self.spent_s += self.execution_s
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

    def observe_load(self, load: float, now: float) -> None:
        self.seen.append(load)

    def observe_controllers(self, controls: Callable[[str], bool], now: float) -> None:
        self.seen.append(controls("r"))

    def begin_leaving(self, deadline_s: float, now: float) -> None:
        self.seen.append(deadline_s)

    def drain_participants(self, now: float) -> None:
        self.pending.append(b"BYE")


class FakePort:
    """Gives what waits, keeps what is sent."""

    def __init__(self) -> None:
        self.waiting: list[list[bytes]] = []
        self.sent: list[bytes] = []
        self.error: OSError | None = None
        self.descriptors = [3]
        self.is_watched = False
        self.waited_s = 0.0

    def start(self, loop: asyncio.AbstractEventLoop, readable: Callable[[int], None]) -> None:
        self.is_watched = True

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        self.is_watched = False

    def receive(self, fd: int, inbox: Batch, limit: int) -> int:
        if self.error:
            raise self.error
        inbox.clear()
        for data in self.waiting.pop(0) if self.waiting else []:
            inbox.append(data, ADDRESS)
        inbox.waited_s = self.waited_s
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
            clock=lambda: time.monotonic() + self.worker.spent_s,
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


async def test_what_was_mixed_leaves_at_once(rig: Rig) -> None:
    rig.cycle.take_mixed()
    assert rig.port.sent == [b"MIX"]
    rig.worker.failing.add("mixed")
    rig.cycle.take_mixed()
    assert rig.cycle.bugs == 1


async def test_everything_leaves_after_each_input(rig: Rig) -> None:
    rig.port.waiting = [[b"a", b"b"], [b"c"]]
    rig.worker.occurred = [("room", HandLowered(participant="p"))]
    rig.cycle.readable(3)
    rig.cycle.readable(3)
    assert rig.worker.seen == [b"a", b"b", b"c"]
    assert rig.port.sent == [b"A", b"B", b"C"]
    assert rig.published == [("room", HandLowered(participant="p"))]


async def test_batches_with_media_are_timed_from_reading_to_sending(rig: Rig) -> None:
    """Those with nothing but checks and handshakes are not."""
    rig.worker.takes_media = False
    rig.port.waiting = [[b"check"]]
    rig.cycle.readable(3)
    assert sum(rig.cycle.forwarding.counts) == 0
    rig.worker.takes_media = True
    rig.worker.execution_s = 0.004
    rig.port.waiting = [[b"media"]]
    rig.cycle.readable(3)
    assert 0.004 <= rig.cycle.forwarding.total < 1.0
    assert sum(rig.cycle.forwarding.counts) == 1


async def test_what_batches_wait_in_the_kernel_is_part_of_their_time(rig: Rig) -> None:
    rig.worker.takes_media = True
    rig.port.waiting = [[b"media"]]
    rig.port.waited_s = 2.0
    rig.cycle.readable(3)
    assert 2.0 <= rig.cycle.forwarding.total < 3.0


async def test_a_wake_takes_only_so_much(rig: Rig) -> None:
    rig.port.waiting = [[b"x"] * cycle.INBOX_DATAGRAMS] * 100
    rig.cycle.readable(3)
    assert len(rig.worker.seen) == BATCHES_PER_WAKE * cycle.INBOX_DATAGRAMS


async def test_batches_that_take_long_become_smaller_and_let_others_have_their_turn(
    rig: Rig,
) -> None:
    """One packet may go to thousands of listeners."""
    limits: list[int] = []
    receive = rig.port.receive

    def slowly(fd: int, inbox: Batch, limit: int) -> int:
        limits.append(limit)
        rig.worker.spent_s += 2 * cycle.READING_S
        return receive(fd, inbox, limit)

    rig.port.receive = slowly  # type: ignore[method-assign]
    rig.port.waiting = [[b"x"]] * 100
    for _ in range(12):
        rig.cycle.readable(3)
    assert limits == [256, 128, 64, 32, 16, 8, 4, 2, 1, 1, 1, 1]
    rig.port.receive = receive  # type: ignore[method-assign]
    rig.port.waiting = [[b"x"] * cycle.INBOX_DATAGRAMS] * 100
    rig.cycle.readable(3)
    rig.cycle.readable(3)
    rig.port.receive = slowly  # type: ignore[method-assign]
    rig.cycle.readable(3)
    assert limits[-1] == 256


async def test_a_batch_with_room_left_is_the_last(rig: Rig) -> None:
    """Asking the kernel once more would only hear that nothing is there."""
    rig.port.waiting = [[b"x"] * cycle.INBOX_DATAGRAMS, [b"y"], [b"z"]]
    rig.cycle.readable(3)
    assert rig.worker.seen[-1] == b"y"


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


async def test_a_burst_of_commands_leaves_the_loop_to_media_and_keeps_its_order(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    cycle_s = 1.0
    monkeypatch.setattr(cycle, "COMMANDS_S", cycle_s)
    rig.worker.execution_s = 0.7 * cycle_s
    commands = [Ping() for _ in range(7)]
    done = [rig.cycle.submit(command) for command in commands]
    assert len(rig.worker.executed) == 2  # the second goes past the limit, the rest waits
    turns = 0
    while not done[-1].done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 3
    assert all(one is other for one, other in zip(rig.worker.executed, commands, strict=True))


async def test_what_is_due_already_waits_for_the_sockets_only(rig: Rig) -> None:
    """Not for the timer's tick of a millisecond, and not within the same turn of the loop."""
    rig.worker.deadline = time.monotonic() - 1.0
    rig.cycle.readable(3)
    rig.port.waiting = [[b"a"]]
    rig.cycle.readable(3)
    assert rig.worker.seen == [b"a"]
    await asyncio.sleep(0)
    assert rig.worker.seen == [b"a", "timer"]


class Quiet:
    """A cycle whose worker has heard no media for long, and that is woken twice in a row."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        rig.worker.heard_media_at = -1e9
        rig.cycle.listen()
        assert rig.port.is_watched
        rig.cycle.readable(3)
        rig.cycle.readable(3)


async def test_without_media_frequent_wakes_become_looks_in_step(rig: Rig) -> None:
    Quiet(rig)
    assert not rig.port.is_watched
    rig.port.waiting = [[b"a"], [b"b"]]
    await until(lambda: rig.worker.seen == [b"a", b"b"])
    assert not rig.port.is_watched
    await until(lambda: rig.port.is_watched)  # a look that found nothing


async def test_media_ends_the_looks_at_once(rig: Rig) -> None:
    Quiet(rig)
    rig.worker.heard_media_at = time.monotonic()
    rig.port.waiting = [[b"a"], [b"b"]]
    await until(lambda: rig.port.is_watched)
    assert rig.worker.seen == [b"a"]
    rig.cycle.readable(3)
    rig.cycle.readable(3)
    assert rig.port.is_watched


async def test_rare_wakes_are_served_at_once(rig: Rig) -> None:
    rig.worker.heard_media_at = -1e9
    rig.cycle.listen()
    for _ in range(3):
        rig.cycle.readable(3)
        await asyncio.sleep(2 * cycle.DOZE_S)
    assert rig.port.is_watched


async def test_nothing_is_looked_at_after_stop(rig: Rig) -> None:
    Quiet(rig)
    rig.cycle.stop()
    rig.port.waiting = [[b"a"]]
    await asyncio.sleep(3 * cycle.DOZE_S)
    assert rig.worker.seen == []
    assert not rig.port.is_watched
