"""What subscribers of events cost the daemon: `python -m bench.subscribers [--subscribers 500]`.

    calm    nobody but the load tester's own connection
    idle    so many connections subscribed to a room where nothing happens; each pings as often as
            the client library does
    busy    the same connections subscribed to one room where `--rate` events a second happen

A daemon of its own runs on a core of its own; no media. Figures are its CPU time. Daemon and load
have a core each, where there are two.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import msgspec
import uvloop

from bench.figures import describe
from bench.results import Figures
from bench.running import choose_cores, raise_file_limit
from bench.targets import Place, TargetError
from bench.targets.processes import read_usage
from bench.targets.rostrum import Rostrum
from control import ConnectionLost, ControlError, ProtocolError
from control.client import PING_INTERVAL_S
from control.commands import EventsSubscribe, Ping
from control.endpoint import TcpEndpoint
from control.events import EventsGap, RoomUpdated
from control.link import Link

EXIT_UNABLE = 2
QUIET, BUSY = "quiet", "busy"
# A daemon takes 64 strangers at once.
GREETINGS_AT_ONCE = 32
# Connections that were just made cost something for a moment.
SETTLE_S = 1.0


class _Head(msgspec.Struct):
    """What is read of a frame; responses have no name."""

    m: str = ""


_decode = msgspec.msgpack.Decoder(_Head).decode


@dataclass
class Received:
    """What all subscribers got in one phase."""

    events: int = 0
    gaps: int = 0

    def note(self, name: str) -> None:
        """One frame; those without a name are responses."""
        self.events += name == RoomUpdated.method
        self.gaps += name == EventsGap.method


class Subscriber(Link):
    """A connection that only counts events, once `received` is set."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self.received: Received | None = None

    def data_received(self, data: bytes) -> None:
        """Count."""
        if self.received is None:
            super().data_received(data)
            return
        self._decoder.receive_data(data)
        try:
            while (payload := self._decoder.next_payload()) is not None:
                self.received.note(_decode(payload).m)
        except (ProtocolError, msgspec.MsgspecError) as error:
            self.abort(f"the daemon broke the protocol: {error}")


class House:
    """A daemon and its subscribers."""

    def __init__(self, target: Rostrum, seconds: float) -> None:
        self._target = target
        self._seconds = seconds
        self.subscribers: list[Subscriber] = []

    async def open(self, number: int) -> None:
        """So many connections, subscribed to a room where nothing happens."""
        places = asyncio.Semaphore(GREETINGS_AT_ONCE)
        self.subscribers = list(
            await asyncio.gather(*(self._open_one(places) for _ in range(number)))
        )
        await self.subscribe(QUIET)

    async def subscribe(self, room: str) -> None:
        """All of them, instead of what they had."""
        command = EventsSubscribe(rooms=[room])
        await asyncio.gather(*(one.call(command) for one in self.subscribers))

    async def cpu_percent(self, *work: asyncio.Task[None]) -> float:
        """Of one core, while the work goes on."""
        try:
            await asyncio.sleep(SETTLE_S)
            begun, before_s = time.perf_counter(), self._cpu_s()
            await asyncio.sleep(self._seconds)
            used_s, passed_s = self._cpu_s() - before_s, time.perf_counter() - begun
            for one in work:
                if one.done():
                    one.result()
        finally:
            for one in work:
                one.cancel()
            await asyncio.gather(*work, return_exceptions=True)
        if any(one.lost.done() for one in self.subscribers):
            raise TargetError("rostrum: it hung up on a subscriber")
        return 100 * used_s / passed_s

    async def ping(self) -> None:
        """Each in its turn, spread over the interval."""
        while True:
            for one in self.subscribers:
                await asyncio.sleep(PING_INTERVAL_S / len(self.subscribers))
                await one.call(Ping())

    async def make_events(self, rate: float) -> None:
        """In the busy room, for ever."""
        due = time.perf_counter()
        for number in count():
            await self._target.client.room_update(room=BUSY, metadata={"number": number})
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    def close(self) -> None:
        """Hang up."""
        for one in self.subscribers:
            one.close()

    def _cpu_s(self) -> float:
        return read_usage(self._target.pids()).cpu_s

    async def _open_one(self, places: asyncio.Semaphore) -> Subscriber:
        endpoint = self._target.client.endpoint
        assert isinstance(endpoint, TcpEndpoint)
        loop = asyncio.get_running_loop()
        async with places:
            _, one = await loop.create_connection(Subscriber, endpoint.host, endpoint.port)
            await one.greet("sfu-bench", self._target.key)
        return one


async def measure(subscribers: int, rate: float, seconds: float, cpu: int | None = None) -> Figures:
    """The figures by name; the daemon runs on `cpu`. TargetError, ControlError, ConnectionLost."""
    place = Place(cpu=cpu)
    async with Rostrum(place) as target:
        await target.create_room(BUSY, slots=3, speakers=1)
        house = House(target, seconds)
        calm = await house.cpu_percent()
        await house.open(subscribers)
        try:
            idle = await house.cpu_percent(asyncio.create_task(house.ping()))
            busy = await _measure_busy(house, rate)
        finally:
            house.close()
    return {"idle_subscribers_cpu_percent": idle - calm, **busy}


async def _measure_busy(house: House, rate: float) -> Figures:
    alone = await house.cpu_percent(asyncio.create_task(house.make_events(rate)))
    await house.subscribe(BUSY)
    received = Received()
    for one in house.subscribers:
        one.received = received
    began = time.perf_counter()
    busy = await house.cpu_percent(asyncio.create_task(house.make_events(rate)))
    per_s = received.events / (time.perf_counter() - began)
    return {
        "events_cpu_percent": alone,
        "busy_subscribers_cpu_percent": busy - alone,
        "events_received_per_s": per_s,
        "events_missed": float(received.gaps),
        "cpu_us_per_event_received": 1e4 * (busy - alone) / per_s if per_s else 0.0,
    }


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="bench.subscribers", description="What subscribers of events cost the daemon."
    )
    parser.add_argument("--subscribers", type=int, default=500)
    parser.add_argument("--rate", type=float, default=20.0, help="events a second in one room")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase")
    parser.add_argument("--require", type=float, help="idle ones at most so many %% of a core")
    arguments = parser.parse_args(words)
    raise_file_limit()
    cores = choose_cores()
    if cores.load:
        os.sched_setaffinity(0, cores.load)
    cpu = cores.server[0] if cores.server else None
    work = measure(arguments.subscribers, arguments.rate, arguments.seconds, cpu)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(work)
    except (TargetError, ControlError, ConnectionLost, OSError) as error:
        print(f"bench.subscribers: {error}", file=sys.stderr)
        return EXIT_UNABLE
    for name, value in figures.items():
        told = describe(name)
        print(f"{told.label:<45} {told.text(value)}")
    idle = figures["idle_subscribers_cpu_percent"]
    return int(arguments.require is not None and idle > arguments.require)


if __name__ == "__main__":
    sys.exit(main())
