"""The mixer's thread: what is sent arrives in order, what breaks is told, and nothing piles up."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from sfu.mixing import EDGES_US, CloseRoom, Counts, Frame, OpenRoom, Order, Packet, SetSource, Stats
from sfu.shell import mixing_thread
from sfu.shell.mixing_thread import (
    LAG_MAX_S,
    OUTBOX_TICKS_MAX,
    STALL_S,
    STEADY_S,
    SWITCH_S,
    MixingThread,
)
from sfu.worker.mix_port import Taken

OPEN = OpenRoom(room=1, slots=3)
PACKET = Packet(7, 1, 0, 0, 960, 20, False, b"\xf8\xff\xfe", 0.0)
FRAME = Frame(1, 2, b"\xf8\xff\xfe", 0.0, 960, 30, (1,))
TAKEN = Taken(1, 0, [PACKET])


class FakeMixer:
    """Keeps what it is given, in order; ticks on the thread as fast as it is allowed to."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.threads: set[str] = set()
        self.is_idle = True
        self.frames: list[Frame] = []
        self.levels: list[tuple[int, int | None]] = []
        self.error: BaseException | None = None
        self.gate = threading.Event()  # a tick waits for it
        self.gate.set()
        self.at_tick: Callable[[], None] = lambda: None
        self.ticks = 0
        self._due = 0.0

    def apply(self, order: Order) -> None:
        self.threads.add(threading.current_thread().name)
        self.is_idle = isinstance(order, CloseRoom)
        self.seen.append(order)

    def take(self, room: int, slot: int, packets: Sequence[Packet]) -> None:
        self.seen.append((room, slot, packets))

    def next_deadline(self) -> float:
        return self._due

    def tick(self, now: float) -> list[Frame]:
        self._due = time.monotonic() + 0.001
        self.at_tick()
        self.ticks += 1
        self.gate.wait()
        if self.error is not None:
            raise self.error
        return list(self.frames)

    def measured(self) -> list[tuple[int, int | None]]:
        return list(self.levels)

    def stats(self) -> Stats:
        counts = Counts(decoded_ticks=960 * self.ticks)
        return Stats(counts, (self.ticks,) + (0,) * len(EDGES_US), 250 * self.ticks, 1, 2, 3, 3)


class Rig:
    """A port with as many mixers as it makes, and what it told."""

    def __init__(self) -> None:
        self.mixers: list[FakeMixer] = []
        self.errors: list[BaseException] = []
        self.running: list[bool] = []  # at each wake
        self.ahead_s = 0.0
        self.refuses = False
        self.port = MixingThread(self._make, clock=self.now, report=self.errors.append)

    def now(self) -> float:
        return time.monotonic() + self.ahead_s

    def send(self, *orders: Order, taken: Sequence[Taken] = ()) -> None:
        self.port.send(orders, taken, self.now())

    @property
    def mixer(self) -> FakeMixer:
        return self.mixers[-1]

    def _make(self) -> Any:
        if self.refuses:
            raise OSError("no libopus")
        self.mixers.append(FakeMixer())
        return self.mixer

    @property
    def wakes(self) -> int:
        return len(self.running)

    def wake(self) -> None:
        self.running.append(self.port.is_running)


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(mixing_thread, "BACKOFF_S", 0.001)
    interval_s = sys.getswitchinterval()
    rig = Rig()
    rig.port.start(asyncio.get_running_loop(), rig.wake)
    yield rig
    sys.setswitchinterval(interval_s)
    for mixer in rig.mixers:
        mixer.gate.set()
    rig.port.stop()


def mixing_threads() -> list[threading.Thread]:
    """Those that live."""
    return [thread for thread in threading.enumerate() if thread.name == "mixing"]


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds; the test's timeout is the limit."""
    while not condition():
        await asyncio.sleep(0.001)


async def test_orders_and_packets_arrive_in_order_on_another_thread(rig: Rig) -> None:
    described = SetSource(room=1, source=7, csrc=1, echo_group=1)
    rig.send(OPEN)
    rig.send(described, taken=[TAKEN])
    await until(lambda: len(rig.mixer.seen) == 3)
    assert rig.mixer.seen == [OPEN, described, (1, 0, [PACKET])]
    assert rig.mixer.threads == {"mixing"}


async def test_frames_and_levels_come_back_by_one_wake_for_a_tick(rig: Rig) -> None:
    mixer = rig.mixer
    mixer.frames, mixer.levels = [FRAME, FRAME], [(7, 30), (8, None)]

    def tick() -> None:
        if mixer.ticks:  # the first has told
            mixer.frames, mixer.levels = [], []

    mixer.at_tick = tick
    woken = rig.wakes
    rig.send(OPEN)
    await until(lambda: rig.wakes > woken and mixer.ticks > 3)
    assert rig.port.take() == ([FRAME, FRAME], [(7, 30), (8, None)])
    await asyncio.sleep(0)
    assert rig.wakes - woken <= 2  # the other: it has started


async def test_a_wake_that_took_nothing_is_followed_by_another(rig: Rig) -> None:
    rig.mixer.frames = [FRAME]
    rig.send(OPEN)
    woken = rig.wakes
    await until(lambda: rig.wakes > woken + 3)
    assert len(rig.port.take().frames) >= 3


async def test_a_loop_that_is_busy_finds_one_wake_for_all_that_was_told(rig: Rig) -> None:
    await until(lambda: rig.wakes == 1)  # it has started
    mixer = rig.mixer
    mixer.frames = [FRAME]
    rig.send(OPEN)
    while mixer.ticks < 10:
        time.sleep(0.001)  # the loop does something else
    mixer.gate.clear()
    ticks = mixer.ticks
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert mixer.ticks <= ticks + 1 and rig.wakes == 2


async def test_a_tick_without_anything_to_tell_wakes_nobody(rig: Rig) -> None:
    await until(lambda: rig.wakes == 1)  # it has started
    rig.send(OPEN)
    await until(lambda: rig.mixer.ticks > 3)
    await asyncio.sleep(0)
    assert rig.wakes == 1


async def test_neither_thread_keeps_the_other_waiting_for_milliseconds(rig: Rig) -> None:
    assert sys.getswitchinterval() == pytest.approx(SWITCH_S)


async def test_without_a_room_it_does_not_tick(rig: Rig) -> None:
    rig.send(OPEN)
    await until(lambda: rig.mixer.ticks > 1)
    rig.send(CloseRoom(room=1))
    await until(lambda: rig.mixer.is_idle)
    ticks = rig.mixer.ticks
    await asyncio.sleep(0.02)
    assert rig.mixer.ticks == ticks


async def test_a_bug_costs_the_mix_alone_and_it_starts_anew(rig: Rig) -> None:
    broken = rig.mixer
    broken.error = ZeroDivisionError()
    rig.send(OPEN)
    await until(lambda: rig.port.starts == 2)
    assert rig.errors == [broken.error] and rig.port.counters()["failures"] == 1
    assert rig.mixer is not broken
    await until(lambda: rig.running == [True, False, True])
    rig.send(OPEN)
    await until(lambda: rig.mixer.ticks > 1)


async def test_a_thread_that_ends_for_whatever_reason_is_a_failure(rig: Rig) -> None:
    rig.mixer.error = SystemExit()
    rig.send(OPEN)
    await until(lambda: rig.port.starts == 2)
    assert rig.port.counters()["failures"] == 1


async def test_what_breaks_again_and_again_waits_longer_each_time(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixing_thread, "BACKOFF_MAX_S", 0.004)
    loop, waits = asyncio.get_running_loop(), []
    real = loop.call_later

    def call_later(delay: float, call: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        if call == rig.port._begin:
            waits.append(delay)
        return real(delay, call, *args)

    monkeypatch.setattr(loop, "call_later", call_later)
    for failures in range(1, 5):
        rig.mixer.error = ZeroDivisionError()
        rig.send(OPEN)
        await until(lambda failures=failures: rig.port.starts > failures)  # type: ignore[misc]
    assert waits == [0.001, 0.002, 0.004, 0.004]
    rig.ahead_s = STEADY_S
    rig.mixer.error = ZeroDivisionError()
    rig.send(OPEN)
    await until(lambda: rig.port.starts > 5)
    assert waits[4:] == [0.001]


async def test_a_mixer_that_cannot_be_made_is_tried_again(rig: Rig) -> None:
    rig.refuses = True
    rig.mixer.error = ZeroDivisionError()
    rig.send(OPEN)
    await until(lambda: rig.port.counters()["failures"] >= 3)
    assert not rig.port.is_running
    rig.refuses = False
    await until(lambda: rig.port.is_running)


async def test_packets_of_a_thread_that_is_late_are_dropped_and_orders_are_not(rig: Rig) -> None:
    mixer = rig.mixer
    mixer.gate.clear()
    rig.send(OPEN)
    await until(lambda: mixer.ticks == 1)
    rig.send(taken=[TAKEN])
    rig.ahead_s = LAG_MAX_S
    described = SetSource(room=1, source=7, csrc=1, echo_group=1)
    rig.send(described, taken=[TAKEN, TAKEN])
    assert rig.port.counters()["dropped_lagging"] == 2
    mixer.gate.set()
    await until(lambda: len(mixer.seen) == 3)
    assert mixer.seen == [OPEN, (1, 0, [PACKET]), described]


async def test_a_thread_that_stands_still_is_given_up(rig: Rig) -> None:
    stuck = rig.mixer
    stuck.gate.clear()
    rig.send(OPEN)
    await until(lambda: stuck.ticks == 1)
    rig.send(taken=[TAKEN])
    rig.ahead_s = STALL_S
    rig.send(taken=[TAKEN])
    assert not rig.port.is_running and isinstance(rig.errors[0], TimeoutError)
    await until(lambda: rig.port.is_running)
    rig.send(OPEN)
    await until(lambda: rig.mixer.ticks > 1)
    woken = rig.wakes
    stuck.frames = [FRAME]
    stuck.gate.set()
    await until(lambda: len(mixing_threads()) == 1)
    assert rig.port.is_running and rig.port.counters()["failures"] == 1
    assert rig.port.take().frames == [] and rig.wakes <= woken + 1


async def test_frames_that_nobody_takes_do_not_pile_up(rig: Rig) -> None:
    rig.mixer.frames = [FRAME]
    rig.send(OPEN)
    await until(lambda: rig.mixer.ticks > OUTBOX_TICKS_MAX + 10)
    assert len(rig.port.take().frames) <= OUTBOX_TICKS_MAX + 1
    assert rig.port.counters()["dropped_frames"] >= 9


async def test_what_it_counts_goes_on_through_its_failures(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixing_thread, "STATS_EVERY_S", 0.0)
    for starts in (1, 2):
        rig.send(OPEN)
        await until(lambda starts=starts: rig.port.counters()["decoded_frames"] >= 5 * starts)  # type: ignore[misc]
        sizes = {"rooms": 1, "encoders": 2, "sources": 3, "voices": 3}
        assert {name: rig.port.sizes()[name] for name in sizes} == sizes
        before, times = rig.port.counters(), rig.port.tick_times()
        assert times.counts[0] >= 5 * starts and times.total == pytest.approx(
            250e-6 * times.counts[0]
        )
        rig.mixer.error = ZeroDivisionError()
        await until(lambda starts=starts: rig.port.starts > starts)  # type: ignore[misc]
        assert rig.port.counters()["decoded_frames"] >= before["decoded_frames"]
        assert rig.port.tick_times().counts[0] >= times.counts[0]


async def test_its_load_is_what_ticks_take_of_their_time(rig: Rig) -> None:
    mixer, loads = rig.mixer, []

    def tick() -> None:
        loads.append(rig.port.load)
        rig.ahead_s = 0.4  # the first takes the time of twenty, and counts as one

    mixer.at_tick = tick
    rig.send(OPEN)
    await until(lambda: mixer.ticks > 2)
    assert 0 <= rig.port.sizes()["load_percent"] <= 120
    assert loads[0] == 0.0 and loads[1] == pytest.approx(0.05)
    assert loads[2] == pytest.approx(0.95 * loads[1], abs=0.04)
    rig.send(CloseRoom(room=1))
    await until(lambda: rig.port.load == 0.0)


async def test_it_ends_with_the_daemon(rig: Rig) -> None:
    rig.send(OPEN)
    await until(lambda: rig.mixer.ticks > 1)
    rig.port.stop()
    assert not rig.port.is_running
    assert mixing_threads() == []
    rig.port.stop()
    rig.send(OPEN)
