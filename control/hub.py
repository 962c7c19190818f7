"""What the connections of one server share, and the limits that they are held to."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from control.auth import Keyring
from control.controllers import Controllers
from control.dispatch import Dispatcher, Log
from control.feed import Feed
from control.lockout import LOCKED_S, Lockout
from control.replay import Replays
from control.session import Greeting

if TYPE_CHECKING:
    from control.connection import Connection


@dataclass(frozen=True)
class ServerLimits:
    """What a server lets its clients use. `hello` tells them."""

    # A backend needs one connection per process.
    connections: int = 1_024
    # Enough for a fleet that restarts at once; strangers stay only `authenticate_within_s`.
    unauthenticated: int = 64
    authenticate_within_s: float = 5.0
    # Unread output of one connection: some ten thousand events.
    backlog_bytes: int = 4_194_304
    # Commands of one connection that wait for their answers.
    in_flight: int = 256
    # What the ring of past events holds, for those who come back: half a minute of a thousand busy
    # rooms, hours of a few.
    replay_events: int = 50_000
    replay_bytes: int = 16_777_216


@dataclass
class Hub:
    """What the connections of one server share."""

    greeting: Greeting
    keys: Keyring
    limits: ServerLimits
    feed: Feed
    dispatcher: Dispatcher
    counters: Counter[str]
    log: Log
    entropy: Callable[[int], bytes]
    on_lost: Callable[[], None]
    controllers: Controllers
    lockout: Lockout
    tls: ssl.SSLContext | None = None
    is_closing: bool = False
    numbers: Iterator[int] = field(default_factory=lambda: count(1))  # of connections
    replays: Replays = field(default_factory=Replays)
    open: set[Connection] = field(default_factory=set)
    strangers: set[Connection] = field(default_factory=set)
    # Those of a TLS handshake that is not done: strangers that have no session yet.
    shaking: set[asyncio.Task[None]] = field(default_factory=set)

    def exceeded(self) -> str | None:
        """The limit that one more connection would pass."""
        if len(self.open) + len(self.shaking) >= self.limits.connections:
            return "connections"
        if len(self.strangers) + len(self.shaking) >= self.limits.unauthenticated:
            return "unauthenticated"
        return None

    @property
    def is_overrun(self) -> bool:
        """Whether even those who are only told of a limit, and then hang up, are too many."""
        return len(self.open) >= self.limits.connections + self.limits.unauthenticated

    def note_wrong_proof(self, origin: str | None, now: float) -> None:
        """A mac was wrong. Often enough, and nobody of that address gets in for a while."""
        self.counters["wrong_macs"] += 1
        if origin is None or not self.lockout.fail(origin, now):
            return
        self.counters["lockouts"] += 1
        self.log("control_locked_out", address=origin, for_s=LOCKED_S)
        for connection in tuple(self.strangers):
            connection.close_if_locked_out(now)
