"""The engine: one server, many clients, a network between them, and virtual time.

It drives the server as the shell does: one input (datagrams that came together, a timer, a
command), then the outbox until it is empty, then the events; nothing else happens in between. Time
moves to the earliest of the server's deadline and the next action of network and clients; nothing
sleeps. Every datagram and event goes into a hash, so that two runs can be compared.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Callable
from struct import Struct
from typing import Any, Protocol

from control.commands import AnyCommand
from sfu.fast import Batch
from tests.sim.client import SimClient
from tests.sim.clock import Clock
from tests.sim.downlink import Heard
from tests.sim.truth import Truth, Violation

# The shell wakes for what has come meanwhile; so datagrams of one millisecond come together.
ARRIVALS_PER_S = 1_000
# A fan-out to every client of a scenario through an outbox of four datagrams takes a few hundred.
DRAIN_STEPS_MAX = 5_000
# A handshake of every client at once, a few datagrams in a turn, is a few hundred.
TURNS_MAX = 1_000
INBOX_DATAGRAMS = 64
DATAGRAM_BYTES = 2_048
# Whoever is nobody's client, in the trace.
STRANGER = 0xFFFF
# What a stranger may have seen on the wire.
RECENT_DATAGRAMS = 64

_STAMP = Struct("!cdH")


class Server(Protocol):
    """What is driven: the worker, or a stand-in of a test."""

    def receive(self, inbox: Batch, now: float) -> None: ...
    def handle_timer(self, now: float) -> None: ...
    def execute(self, command: AnyCommand, now: float) -> Any: ...
    def drain(self, outbox: Batch) -> bool: ...
    def events(self) -> list[Any]: ...
    def next_deadline(self) -> float | None: ...


class World:
    """Everything that happens in one simulation."""

    def __init__(
        self,
        server: Server,
        *,
        outbox_datagrams: int = 64,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.clock = Clock()
        self.truth = Truth()
        self.server = server
        self.clients: list[SimClient] = []
        self.largest_drain = 0
        self.goodbyes: list[tuple[float, SimClient]] = []
        self.recent: deque[tuple[bytes, bytes]] = deque(maxlen=RECENT_DATAGRAMS)
        self._owners: dict[bytes, SimClient] = {}
        self._claims: dict[bytes, SimClient] = {}
        self._inbox = Batch(INBOX_DATAGRAMS, INBOX_DATAGRAMS * DATAGRAM_BYTES)
        self._outbox = Batch(outbox_datagrams, outbox_datagrams * DATAGRAM_BYTES)
        # Addresses whose first check is in the inbox.
        self._fresh: set[bytes] = set()
        self._deadline: float | None = None
        self._turns = 0
        self._trace = hashlib.blake2b(digest_size=16)
        self._log = log

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return self.clock.now

    @property
    def trace_hash(self) -> str:
        """Of everything that went into and came out of the server so far."""
        return self._trace.hexdigest()

    # Inputs

    def inject(self, data: bytes, address: bytes) -> None:
        """A stranger sends a datagram that seems to come from `address`; it arrives at once."""
        tick = math.ceil(self.clock.now * ARRIVALS_PER_S) / ARRIVALS_PER_S
        self.clock.at(tick, self._arrive, (data, None, address, -1))

    def call(self, action: Callable[[float], None]) -> None:
        """Let something else than a command happen to the server."""
        action(self.clock.now)
        self._settle(self.clock.now)

    def upload(self, client: SimClient, data: bytes, packet: int) -> None:
        """A client sends; the network decides when it arrives."""
        now = self.clock.now
        self.recent.append((data, client.address))
        for arrival in client.up.transit(len(data), now, client.header_bytes):
            tick = math.ceil(arrival * ARRIVALS_PER_S) / ARRIVALS_PER_S
            self.clock.at(tick, self._arrive, (data, client, client.address, packet))

    def execute(self, command: AnyCommand) -> Any:
        """Let the server execute a command now; ControlError passes through."""
        now = self.clock.now
        self._note(repr(command))
        try:
            return self.server.execute(command, now)
        finally:
            self._settle(now)

    def run_until(self, time: float) -> None:
        """Let everything happen that is due up to `time`, inclusive."""
        clock = self.clock
        while True:
            action_at = clock.next_time()
            deadline = self._deadline
            if deadline is not None and (action_at is None or deadline <= action_at):
                if deadline > time:
                    break
                clock.advance(max(deadline, clock.now))
                self.server.handle_timer(clock.now)
                self._settle(clock.now)
            elif action_at is None or action_at > time:
                break
            else:
                _, _, action, argument = clock.pop()
                action(argument, clock.now)
        clock.advance(time)

    def _arrive(self, first: Any, now: float) -> None:
        """Hand over all that has come by now, in as many inboxes as it takes."""
        for data, client, address, packet in [first, *self.clock.pop_same(self._arrive)]:
            self._note_datagram(b"<", client, data)
            if not self._inbox.append(data, address):
                self._receive(now)
                assert self._inbox.append(data, address)
            if client is not None:
                member = self.truth.members[client.index]
                if data[0] < 4 and address not in member.validated:
                    self._fresh.add(address)
                is_fresh = address in self._fresh
                member.note_arrival(data, address, packet, now, is_fresh=is_fresh)
                if member.validated.get(address) == now:
                    self._claims[address] = client
        self._receive(now)

    def _receive(self, now: float) -> None:
        self.server.receive(self._inbox, now)
        self._settle(now)
        self._inbox.clear()
        self._fresh.clear()

    def _note(self, text: str) -> None:
        self._trace.update(text.encode())
        if self._log is not None:
            self._log(f"{self.clock.now:9.3f} {text}")

    def _note_datagram(self, way: bytes, client: SimClient | None, data: bytes) -> None:
        index = STRANGER if client is None else client.index
        self._trace.update(_STAMP.pack(way, self.clock.now, index))
        self._trace.update(data)
        if self._log is not None:
            name = "?" if client is None else client.name
            head = data[:12].hex()
            self._log(f"{self.clock.now:9.3f} {way.decode()} {name:8} {len(data):4} {head}")

    # Outputs

    def _settle(self, now: float) -> None:
        """Drain what the input brought about: datagrams, then events, then the next deadline."""
        steps = 0
        goodbyes = len(self.goodbyes)
        more = True
        while more:
            more = self.server.drain(self._outbox)
            for data, address in self._outbox:
                self._depart(data, address, now)
            self._outbox.clear()
            steps += 1
            if steps > DRAIN_STEPS_MAX:
                raise Violation("drain", f"no end after {steps} steps")
        self.largest_drain = max(self.largest_drain, steps)
        for event in self.server.events():
            self._note(repr(event))
            self.truth.apply(event, now)
        self._check_goodbyes(goodbyes)
        self._deadline = self.server.next_deadline()
        self._check_progress(now)

    def _check_progress(self, now: float) -> None:
        """The server may do its work in turns, but not for ever."""
        is_left = self._deadline is not None and self._deadline <= now
        self._turns = self._turns + 1 if is_left else 0
        if self._turns > TURNS_MAX:
            raise Violation("deadline", f"still not after {now}, {TURNS_MAX} turns later")

    def _depart(self, data: bytes, address: bytes, now: float) -> None:
        if data[0] < 4 and address in self._claims:
            # With this answer the address is that client's, whoever had it before.
            self._owners[address] = self._claims.pop(address)
        client = self._owners.get(address)
        if client is None:
            raise Violation("addresses", f"a datagram to {address.hex()}, which is nobody's")
        self._note_datagram(b">", client, data)
        if not self.truth.members[client.index].is_present:
            raise Violation("after the end", f"{data[:2].hex()} for {client.name}, who has left")
        reports = len(client.downlink.reports)
        heard = client.observe(data, now)
        if len(client.downlink.reports) > reports and client.downlink.reports[-1][1].goodbyes:
            self.goodbyes.append((now, client))
        if address != client.address:
            return  # whatever is sent to where it was is lost
        is_copy = False
        for arrival in client.down.transit(len(data), now, client.header_bytes):
            self.clock.at(arrival, self._deliver, (client, data, heard, is_copy))
            is_copy = True

    def _deliver(self, what: tuple[SimClient, bytes, Heard | None, bool], now: float) -> None:
        client, data, heard, is_copy = what
        client.receive(data, heard, now, is_copy=is_copy)

    def _check_goodbyes(self, begin: int) -> None:
        for _, client in self.goodbyes[begin:]:
            if self.truth.members[client.index].is_present:
                raise Violation("goodbye", f"BYE to {client.name}, who has not left")
