"""Clients that are driven and measured together."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from bench.clients import Client
from bench.handshake import Handshakes
from bench.timers import Timers
from sfu.fast import Swarm

if TYPE_CHECKING:
    from bench.targets import Role

# About a millisecond of reading; then what is due is sent before the rest is read.
SLICE_DATAGRAMS = 512


@dataclass(frozen=True)
class Kit:
    """What all clients of a load share."""

    handshakes: Handshakes
    draw: Random
    is_ipv6: bool = False


class Crowd:
    """Clients that are measured together, in one swarm."""

    def __init__(self, kit: Kit, *, decrypt_every: int = 1) -> None:
        self.kit = kit
        self.swarm = Swarm(decrypt_every)
        self.timers = Timers()
        self.clients: dict[int, Client] = {}
        self.counts: Counter[str] = Counter()
        self.joining = 0
        self.connected = 0

    def pump(self) -> None:
        """Do everything that is due, and take everything that has come."""
        swarm, clients = self.swarm, self.clients
        read = swarm.totals()["datagrams"]
        while True:
            swarm.tick(time.time_ns())
            for aside in swarm.poll(SLICE_DATAGRAMS):
                client = clients.get(aside.client)
                if client is not None:
                    client.take(aside, time.time_ns())
            before, read = read, swarm.totals()["datagrams"]
            if read - before < SLICE_DATAGRAMS:
                break
        self.timers.run(time.time_ns())
        swarm.tick(time.time_ns())

    def client(self, name: str, role: Role) -> Client:
        """A new client, which has done nothing yet."""
        return Client(self, name, role)

    def close(self) -> None:
        """Let everybody vanish. Idempotent."""
        for client in list(self.clients.values()):
            client.vanish()
        self.swarm.close()
