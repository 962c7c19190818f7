"""A worker without a network, and clients that cost next to nothing: what the server alone costs.

What clients send is made outside the measured spans, time is virtual, and only the CPU time that
passes inside the worker counts. So a second of five thousand participants is measured in less than
a second. Not in it: the loop, its system calls and the control connection.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pylibsrtp import Policy, Session

from bench.connectivity import Checks
from bench.descriptions import (
    LEVEL_EXTENSION,
    OPUS_PAYLOAD_TYPE,
    Local,
    Remote,
    build_offer,
    parse,
)
from control.commands import AnyCommand, ParticipantJoin
from control.types import Role
from sfu.fast import Batch
from sfu.transport.address import pack_address
from sfu.transport.candidates import Candidate
from sfu.transport.dtls import DtlsEndpoint, DtlsFactory, DtlsState, SrtpKeys, SrtpProfile
from sfu.worker import Worker, WorkerSettings

CANDIDATE = Candidate(foundation="1", priority=1, host="192.0.2.1", port=7800)
CLIENT_PWD = "p" * 24
DATAGRAMS_PER_WAKE = 256
DATAGRAM_ROOM_BYTES = 2_048
# The first byte of a DTLS record is all that an instant handshake takes.
INSTANT_HELLO = bytes((22,)) + bytes(40)
# All clients of a measurement come at the same virtual moment.
NO_LIMIT = 1_000_000
_KEY_BYTES = 28  # AES-128-GCM: key and salt


class InstantDtls:
    """A `DtlsFactory` whose endpoints are done with the first datagram: for what is no handshake.

    The keys of an endpoint follow from the fingerprint that its peer promised.
    """

    fingerprint = ":".join(["AB"] * 32)

    def accept(self, peer_fingerprints: tuple[tuple[str, str], ...]) -> DtlsEndpoint:
        """An endpoint for a peer that promised one of these."""
        return _InstantEndpoint(peer_fingerprints[0][1])


class _InstantEndpoint:
    __slots__ = ("_fingerprint", "_state")

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        self._state = DtlsState.NEW

    @property
    def state(self) -> DtlsState:
        return self._state

    def receive(self, datagram: bytes, now: float) -> None:
        self._state = DtlsState.CONNECTED

    def handle_timer(self, now: float) -> None:
        raise AssertionError("nothing is ever due")

    def next_deadline(self) -> float | None:
        return None

    def datagrams_to_send(self) -> list[bytes]:
        return []

    def srtp_keys(self) -> SrtpKeys:
        receive, send = _instant_keys(self._fingerprint)
        return SrtpKeys(SrtpProfile.AEAD_AES_128_GCM, receive, send)

    def close(self) -> None:
        self._state = DtlsState.CLOSED


def _instant_keys(fingerprint: str) -> tuple[bytes, bytes]:
    """From the client, and to it."""
    material = hashlib.sha512(fingerprint.encode()).digest()
    return material[:_KEY_BYTES], material[_KEY_BYTES : 2 * _KEY_BYTES]


@dataclass
class Costs:
    """CPU seconds and calls by name."""

    seconds: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    longest_s: dict[str, float] = field(default_factory=dict)

    @property
    def total_s(self) -> float:
        """All CPU seconds."""
        return float(sum(self.seconds.values()))

    @contextmanager
    def book(self, name: str) -> Iterator[None]:
        """Count what passes inside."""
        started = time.process_time_ns()
        try:
            yield
        finally:
            spent_s = (time.process_time_ns() - started) / 1e9
            self.seconds[name] += spent_s  # type: ignore[assignment]  # Counter is typed for int
            self.calls[name] += 1
            self.longest_s[name] = max(spent_s, self.longest_s.get(name, 0.0))


@dataclass(slots=True)
class Visitor:
    """One client: where it is and what it sends."""

    participant: str
    address: bytes
    remote: Remote
    checks: Checks
    ssrc: int
    fingerprint: str
    _send: Session | None = None
    _sequence: int = 0
    _checked: int = 0

    def check(self) -> bytes:
        """Another connectivity check."""
        self._checked += 1
        return self.checks.request(self._checked.to_bytes(12, "big"))

    def report(self, line: int) -> bytes:
        """A protected receiver report without blocks, as clients send one for each m-line."""
        ssrc = (1_000_000 + 8 * self.ssrc + line).to_bytes(4, "big")
        cname = b"\x01\x10" + b"c" * 16 + bytes(2)
        return self._session().protect_rtcp(
            b"\x80\xc9\x00\x01" + ssrc + b"\x81\xca\x00\x06" + ssrc + cname
        )

    def packet(self, payload: bytes, *, timestamp: int, level: int) -> bytes:
        """A protected voice packet; `level` is 0 to 127 -dBov."""
        self._sequence += 1
        header = bytes((0x90, OPUS_PAYLOAD_TYPE)) + (self._sequence & 0xFFFF).to_bytes(2, "big")
        header += (timestamp & 0xFFFFFFFF).to_bytes(4, "big") + self.ssrc.to_bytes(4, "big")
        extension = bytes((0xBE, 0xDE, 0, 1, LEVEL_EXTENSION << 4, 0x80 | level, 0, 0))
        return self._session().protect(header + extension + payload)

    def _session(self) -> Session:
        if self._send is None:
            policy = Policy(
                key=_instant_keys(self.fingerprint)[0],
                ssrc_type=Policy.SSRC_ANY_OUTBOUND,
                srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
            )
            self._send = Session(policy)
        return self._send


class Hall:
    """A worker, its clients and the meter between them. `now` is virtual seconds."""

    def __init__(self, *, dtls: DtlsFactory | None = None, seed: int = 1, **settings: Any) -> None:
        self.now = 1_000.0
        self.costs = Costs()
        self.on_sent: Callable[[bytes, bytes], None] | None = None
        self.worker = Worker(
            WorkerSettings(node="bench", version="0", **{"max_joins_per_s": NO_LIMIT} | settings),
            dtls=InstantDtls() if dtls is None else dtls,
            candidates=[CANDIDATE],
            entropy=random.Random(seed).randbytes,
            epoch="bench",
            wall_at_zero=1_700_000_000.0,
        )
        size_bytes = DATAGRAMS_PER_WAKE * DATAGRAM_ROOM_BYTES
        self._inbox = Batch(DATAGRAMS_PER_WAKE, size_bytes)
        self._outbox = Batch(DATAGRAMS_PER_WAKE, size_bytes)

    def execute(self, command: AnyCommand, name: str = "command") -> Any:
        """Run a command, and take everything that comes of it."""
        with self.costs.book(name):
            result = self.worker.execute(command, self.now)
            self._flush()
        return result

    def feed(
        self, datagrams: Sequence[tuple[bytes, bytes]], name: str, *, waited_s: float = 0.0
    ) -> None:
        """Datagrams in, a wake of the daemon for each batch, everything out.

        `waited_s`: so long they have been in the socket.
        """
        for begin in range(0, len(datagrams), DATAGRAMS_PER_WAKE):
            self._inbox.clear()
            for data, address in datagrams[begin : begin + DATAGRAMS_PER_WAKE]:
                assert self._inbox.append(data, address), "there is room for the largest"
            self._inbox.waited_s = waited_s
            with self.costs.book(name):
                self.worker.receive(self._inbox, self.now)
                self._flush()

    def run_timers(self, until: float, name: str = "timers") -> None:
        """Let time pass, from deadline to deadline."""
        while (deadline := self.worker.next_deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.turn(name)
        self.now = max(self.now, until)

    def turn(self, name: str) -> None:
        """One call of the timer."""
        with self.costs.book(name):
            self.worker.handle_timer(self.now)
            self._flush()

    def _flush(self) -> None:
        """What the daemon's cycle does after each input, less the sending."""
        worker, outbox = self.worker, self._outbox
        is_more = True
        while is_more:
            outbox.clear()
            is_more = worker.drain(outbox)
            if self.on_sent is not None:
                for data, address in outbox:
                    self.on_sent(data, address)
        worker.events()
        worker.next_deadline()

    # Clients

    def invite(
        self,
        number: int,
        room: str,
        role: Role,
        *,
        lines: int = 3,
        fingerprint: str = "",
        name: str = "join command",
    ) -> Visitor:
        """Let a client join; nothing has come from it yet. Each `number` is another client."""
        if not fingerprint:
            fingerprint = hashlib.sha256(number.to_bytes(4, "big")).digest().hex(":").upper()
        local = Local(f"client{number:06}", CLIENT_PWD, fingerprint, number + 1, number)
        offer = build_offer(local, sends=role.is_on_stage, receives=lines, count=lines)
        command = ParticipantJoin(room=room, participant=f"p{number}", role=role, offer=offer)
        remote = parse(self.execute(command, name).answer)
        return Visitor(
            participant=command.participant,
            address=pack_address(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5_000),
            remote=remote,
            checks=Checks(local.ufrag, remote.ufrag, remote.pwd, bytes(8)),
            ssrc=local.ssrc,
            fingerprint=fingerprint,
        )

    def connect(self, visitor: Visitor) -> None:
        """The connectivity check and the instant handshake."""
        self.feed([(visitor.check(), visitor.address)], "join check")
        self.feed([(INSTANT_HELLO, visitor.address)], "join handshake")
        while self.worker.sizes()["dtls_waiting"]:
            self.turn("join handshake")
