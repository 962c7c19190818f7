"""What the server costs beside forwarding: `python -m bench.server_cost [idle|rooms|joins|storm]`.

    idle    listeners in a silent room: connectivity checks, reports, timers
    rooms   many small rooms, in each one talks at a time: ticks, slots, reports
    joins   real joins over OpenSSL: CPU and memory of each
    storm   handshakes of everybody at once: how long media waits behind them

All in one process and in virtual time (`bench.inprocess` tells what is left out). The figures are
CPU time, which a busy machine disturbs less than wall time, but not little: compare runs that
alternate.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import heapq
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from bench.handshake import Handshake, Handshakes
from bench.inprocess import Costs, Hall, Visitor
from control.commands import RoomCreate
from control.types import Role
from sfu.shell.dtls_openssl import OpensslDtls

# Chromium: a check every 2.5 s, a report on each m-line every 5 s varied by half.
CHECK_EVERY_S = 2.5
REPORT_EVERY_S = 5.0
LINES = 3
FRAME_S = 0.02
PAYLOAD = b"\x78" + bytes(79)
# What comes within this long is taken in one wake: what the daemon does without media, and about
# what it does under load.
WAKE_S = 0.002
WARM_UP_S = 6.0


class Signalling:
    """When which client sends a check or a report, for ever."""

    def __init__(self, visitors: Sequence[Visitor], begin: float, seed: int) -> None:
        self._random = random.Random(seed)
        self._visitors = visitors
        self._due: list[tuple[float, int, int]] = []  # when, whose, m-line or -1 for a check
        for index in range(len(visitors)):
            self._due.append((begin + self._random.random() * CHECK_EVERY_S, index, -1))
            for line in range(LINES):
                self._due.append((begin + self._random.random() * REPORT_EVERY_S, index, line))
        heapq.heapify(self._due)

    def take(self, until: float) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]:
        """Checks and reports up to a time."""
        checks, reports = [], []
        while self._due[0][0] <= until:
            at, index, line = self._due[0]
            visitor = self._visitors[index]
            if line < 0:
                checks.append((visitor.check(), visitor.address))
                following = at + CHECK_EVERY_S
            else:
                reports.append((visitor.report(line), visitor.address))
                following = at + REPORT_EVERY_S * (0.5 + self._random.random())
            heapq.heapreplace(self._due, (following, index, line))
        return checks, reports


class Conversation:
    """In each room two people, of whom one talks at a time; who it is changes every few seconds."""

    def __init__(self, pairs: Sequence[tuple[Visitor, Visitor]], begin: float, seed: int) -> None:
        self._random = random.Random(seed)
        self._pairs = pairs
        self._turns = [(0, begin)] * len(pairs)
        self._next = [begin + self._random.random() * FRAME_S for _ in pairs]

    def take(self, until: float) -> list[tuple[bytes, bytes]]:
        """The packets up to a time."""
        found = []
        for room, pair in enumerate(self._pairs):
            while (at := self._next[room]) <= until:
                self._next[room] = at + FRAME_S
                who, ends = self._turns[room]
                if at >= ends:
                    who = 1 - who
                    self._turns[room] = who, at + 1.0 + 4.0 * self._random.random()
                level = 30 + self._random.randrange(6)
                packet = pair[who].packet(PAYLOAD, timestamp=round(at * 48_000), level=level)
                found.append((packet, pair[who].address))
        return found


def run(
    hall: Hall, seconds: float, signalling: Signalling, conversation: Conversation | None
) -> Costs:
    """Let it warm up, then measure `seconds`."""
    begin = hall.now
    is_warm = False
    while hall.now < begin + WARM_UP_S + seconds:
        if not is_warm and hall.now >= begin + WARM_UP_S:
            is_warm, hall.costs = True, Costs()
        hall.run_timers(hall.now + WAKE_S)
        if conversation is not None:
            hall.feed(conversation.take(hall.now), "media")
        checks, reports = signalling.take(hall.now)
        hall.feed(checks + reports, "checks and reports")
    return hall.costs


def idle(arguments: argparse.Namespace) -> Iterator[str]:
    """Listeners in a silent room."""
    hall = Hall()
    hall.execute(RoomCreate(room="r"))
    visitors = []
    for number in range(arguments.listeners):
        visitors.append(hall.invite(number, "r", Role.LISTENER, lines=LINES))
        hall.connect(visitors[-1])
    costs = run(hall, arguments.seconds, Signalling(visitors, hall.now, arguments.seed), None)
    yield f"{arguments.listeners} idle listeners, per second"
    yield from _shares(costs, arguments.seconds)


def rooms(arguments: argparse.Namespace) -> Iterator[str]:
    """Many small rooms of two talkers and four listeners."""
    hall = Hall()
    visitors: list[Visitor] = []
    pairs = []
    for room in range(arguments.rooms):
        hall.execute(RoomCreate(room=f"r{room}"))
        inside = []
        for index in range(6):
            role = Role.SPEAKER if index < 2 else Role.LISTENER
            inside.append(hall.invite(len(visitors) + index, f"r{room}", role, lines=LINES))
            hall.connect(inside[-1])
        pairs.append((inside[0], inside[1]))
        visitors += inside
    signalling = Signalling(visitors, hall.now, arguments.seed)
    conversation = Conversation(pairs, hall.now, arguments.seed)
    costs = run(hall, arguments.seconds, signalling, conversation)
    yield f"{arguments.rooms} rooms of 2 talkers and 4 listeners, per second (without sending)"
    yield from _shares(costs, arguments.seconds)


class Doorway:
    """Real handshakes against the worker."""

    def __init__(self) -> None:
        self.hall = Hall(dtls=OpensslDtls())
        self.hall.on_sent = self._on_sent
        self.hall.execute(RoomCreate(room="r"))
        self._handshakes = Handshakes()
        self._answers: dict[bytes, list[bytes]] = {}

    def _on_sent(self, data: bytes, address: bytes) -> None:
        if 20 <= data[0] <= 63:
            self._answers.setdefault(address, []).append(data)

    def arrive(self, number: int) -> tuple[Visitor, Handshake, list[bytes]]:
        """Join, check, and begin to shake hands: what the client sends first."""
        hall, mine = self.hall, self._handshakes
        promised = mine.fingerprint
        visitor = hall.invite(number, "r", Role.LISTENER, lines=LINES, fingerprint=promised)
        hall.feed([(visitor.check(), visitor.address)], "join check")
        remote = visitor.remote
        handshake = mine.begin(remote.fingerprint_algorithm, remote.fingerprint)
        return visitor, handshake, handshake.start()

    def answer(self, visitor: Visitor, handshake: Handshake) -> list[bytes]:
        """What the client sends next."""
        answers = self._answers.pop(visitor.address, [])
        return [data for one in answers for data in handshake.receive(one)]

    def join(self, number: int) -> None:
        """The whole way, alone."""
        visitor, handshake, flight = self.arrive(number)
        while flight:
            for datagram in flight:
                self.hall.feed([(datagram, visitor.address)], "join handshake")
                while self.hall.worker.sizes()["dtls_waiting"]:
                    self.hall.turn("join handshake")
            flight = self.answer(visitor, handshake)
        assert handshake.sessions is not None, "the handshake ends"


def joins(arguments: argparse.Namespace) -> Iterator[str]:
    """Real joins, one after the other; the clients' own memory is given back."""
    doorway = Doorway()
    for number in range(100):
        doorway.join(number)
    doorway.hall.costs = Costs()
    held_kib = [_anonymous_kib()]
    half = arguments.joins // 2
    for number in range(100, 100 + 2 * half):
        doorway.join(number)
        if number in (99 + half, 99 + 2 * half):
            held_kib.append(_anonymous_kib())
    doorway.hall.run_timers(doorway.hall.now + 1.0)
    costs = doorway.hall.costs
    first_kib, second_kib = ((b - a) / half for a, b in pairwise(held_kib))
    yield f"{arguments.joins} joins of {LINES} m-lines over OpenSSL"
    for name in ("join command", "join check", "join handshake"):
        yield f"  {name:20}{costs.seconds[name] / arguments.joins * 1e3:9.3f} ms CPU"
    total_s = sum(costs.seconds[name] for name in costs.seconds if name.startswith("join"))
    yield f"  {'together':20}{total_s / arguments.joins * 1e3:9.3f} ms CPU"
    # The first half may fill what was free before: the second is the one to believe.
    yield f"  {'memory, 1st half':20}{first_kib:9.1f} KiB a listener"
    yield f"  {'memory, 2nd half':20}{second_kib:9.1f} KiB a listener"


def storm(arguments: argparse.Namespace) -> Iterator[str]:
    """Everybody's hello in one wake: the longest that media would wait, and the whole time."""
    doorway = Doorway()
    hall = doorway.hall
    arrivals = [doorway.arrive(number) for number in range(arguments.joins)]
    flights = [(visitor, flight) for visitor, _, flight in arrivals]
    hall.costs = Costs()
    while flights:
        sent = [(datagram, visitor.address) for visitor, flight in flights for datagram in flight]
        hall.feed(sent, "reading")
        while hall.worker.sizes()["dtls_waiting"]:
            hall.turn("handshakes")
        flights = [
            (visitor, flight)
            for visitor, handshake, _ in arrivals
            if (flight := doorway.answer(visitor, handshake))
        ]
    refused = hall.worker.counters()["dropped_dtls_backlog"]
    yield f"{arguments.joins} handshakes at once ({refused} datagrams found no room)"
    for name in ("reading", "handshakes"):
        longest_ms = hall.costs.longest_s[name] * 1e3
        yield f"  {name:20}{hall.costs.seconds[name] * 1e3:9.1f} ms CPU, longest {longest_ms:.2f}"
    yield f"  {'done':20}{sum(one.sessions is not None for _, one, _ in arrivals):9d}"


def _shares(costs: Costs, seconds: float) -> Iterator[str]:
    yield f"  {'':20}{'turns':>9}{'us each':>10}{'% of a core':>13}"
    for name in sorted(costs.seconds, key=lambda one: -costs.seconds[one]):
        calls, spent_s = costs.calls[name], costs.seconds[name]
        each_us, share = spent_s / calls * 1e6, 100 * spent_s / seconds
        yield f"  {name:20}{calls / seconds:9.0f}{each_us:10.1f}{share:13.2f}"
    yield f"  {'together':20}{'':19}{100 * costs.total_s / seconds:13.2f}"


def _anonymous_kib() -> int:
    """What the process really holds, without what its allocator keeps for later."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:
        pass  # another C library
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0])


_OPTIONS = ("listeners", "rooms", "joins", "seconds", "seed")
_PARTS: dict[str, Callable[[argparse.Namespace], Iterator[str]]] = {
    "idle": idle,
    "rooms": rooms,
    "joins": joins,
    "storm": storm,
}


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.server_cost", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("parts", nargs="*", metavar="PART", help="all when none is named")
    parser.add_argument("--listeners", type=int, default=5_000, metavar="N")
    parser.add_argument("--rooms", type=int, default=1_000, metavar="N")
    parser.add_argument("--joins", type=int, default=1_000, metavar="N")
    parser.add_argument("--seconds", type=float, default=5.0, help="virtual, after the warm-up")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(words)
    for part in arguments.parts:
        if part not in _PARTS:
            parser.error(f"{part} is none of {', '.join(_PARTS)}")
    if min(arguments.listeners, arguments.rooms, arguments.joins, arguments.seconds) < 1:
        parser.error("numbers are 1 or more")
    parts = arguments.parts or list(_PARTS)
    if len(parts) == 1:
        for line in _PARTS[parts[0]](arguments):
            print(line, flush=True)
        return 0
    # A process for each: what one part has freed would be memory that the next gets for nothing.
    options = [f"--{name}={getattr(arguments, name)}" for name in _OPTIONS]
    command = [sys.executable, "-m", "bench.server_cost"]
    return max(subprocess.run([*command, part, *options]).returncode for part in parts)


if __name__ == "__main__":
    sys.exit(main())
