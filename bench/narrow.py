"""Clients behind narrow lines: a relay in user space between each client and the server.

What the server sends waits in a `Bottleneck` before it reaches the client's own socket, so a narrow
client measures, reports and asks like any other. What passes is noted by its transport-wide
sequence number and reported to the server as often as browsers do. The way to the server is wide.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING, ClassVar

from bench.bottleneck import Bottleneck
from bench.clients import MS, Client
from bench.crowd import Crowd
from bench.feedback import Arrivals, sequence_of
from bench.lifecycle import State
from bench.sampling import HEADERS_BYTES, HEADERS_IPV6_BYTES
from bench.sockets import open_socket

if TYPE_CHECKING:
    from pylibsrtp import Session

    from bench.crowd import Kit
    from bench.targets import Role

# libwebrtc's limits for the time between two reports, and the share of the line that they may take.
FEEDBACK_NS_MIN, FEEDBACK_NS_MAX = 50 * MS, 250 * MS
FEEDBACK_SHARE = 0.05
_FEEDBACK_BYTES = 68
_DATAGRAM_BYTES_MAX = 2_048


class NarrowCrowd(Crowd):
    """Every client joins behind the line that `line_of` has for its name."""

    def __init__(self, kit: Kit, line_of: dict[str, Bottleneck]) -> None:
        super().__init__(kit)
        self._line_of = line_of
        self.relayed: list[NarrowClient] = []

    def client(self, name: str, role: Role) -> NarrowClient:
        """A new client, which has done nothing yet. KeyError without a line for it."""
        client = NarrowClient(self, name, role, self._line_of[name])
        self.relayed.append(client)
        return client

    def pump(self) -> None:
        """What is due on the lines, then as everywhere."""
        now_ns = time.time_ns()
        for client in self.relayed:
            client.relay(now_ns)
        super().pump()


class NarrowClient(Client):
    """One of them."""

    __slots__ = ("_arrivals", "_extension", "_inner", "_outer", "_reported", "_sized", "line")

    adapts: ClassVar[bool] = True

    def __init__(self, crowd: Crowd, name: str, role: Role, line: Bottleneck) -> None:
        super().__init__(crowd, name, role)
        self.line = line
        self._arrivals = Arrivals()
        self._extension = 0
        self._inner: socket.socket | None = None  # towards the client
        self._outer: socket.socket | None = None  # towards the server
        self._sized = HEADERS_IPV6_BYTES if crowd.kit.is_ipv6 else HEADERS_BYTES
        self._reported = (0, 0)  # bytes that had passed, and when

    def connect(self) -> None:
        """As every client, by way of the line."""
        super().connect()
        assert self._inner is not None and self._socket is not None and self._remote is not None
        self._inner.connect(self._socket.getsockname())
        self._extension = max(line.transport_cc_extension for line in self._remote.lines)

    def relay(self, now_ns: int) -> None:
        """Carry what has come, either way."""
        inner, outer = self._inner, self._outer
        if inner is None or outer is None:
            return
        for datagram in _read(inner):
            with contextlib.suppress(OSError):
                outer.send(datagram)
        for datagram in _read(outer):
            self.line.put(datagram, len(datagram) + self._sized, now_ns)
        for passed_ns, datagram in self.line.take(now_ns):
            self._passed(datagram, passed_ns)
            with contextlib.suppress(OSError):
                inner.send(datagram)

    def _passed(self, datagram: bytes, at_ns: int) -> None:
        """It has come out of the line."""
        sequence = sequence_of(datagram, self._extension) if self._extension else None
        if sequence is not None:
            self._arrivals.note(sequence, at_ns)

    def _reach(self, server: tuple[str, int]) -> tuple[str, int]:
        is_ipv6 = self._crowd.kit.is_ipv6
        self._outer = open_socket(server, is_ipv6)
        self._inner = socket.socket(
            socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM
        )
        self._inner.setblocking(False)
        self._inner.bind(("::1" if is_ipv6 else "127.0.0.1", 0))
        host, port = self._inner.getsockname()[:2]
        return str(host), int(port)

    def _open_media(self, sessions: tuple[Session, Session], now_ns: int) -> None:
        super()._open_media(sessions, now_ns)
        if self._extension:
            self._reported = (self.line.passed_bytes, now_ns)
            self._crowd.timers.at(now_ns + FEEDBACK_NS_MIN, self._feed_back)

    def _feed_back(self, now_ns: int) -> None:
        if self.state is not State.CONNECTED or self._send is None or self._remote is None:
            return
        ssrcs = self._remote.lines[0].ssrcs
        plain = self._arrivals.report(self._local.ssrc, ssrcs[0] if ssrcs else 0)
        if plain:
            self._send_all((self._send.protect_rtcp(plain),))
        passed_bytes, at_ns = self._reported
        self._reported = (self.line.passed_bytes, now_ns)
        wait_ns = feedback_wait_ns(self.line.passed_bytes - passed_bytes, now_ns - at_ns)
        self._crowd.timers.at(now_ns + wait_ns, self._feed_back)

    def _end(self, state: State) -> None:
        was_open = self.is_open
        super()._end(state)
        if was_open:
            for one in (self._inner, self._outer):
                if one is not None:
                    one.close()
            self._inner = self._outer = None


def feedback_wait_ns(received_bytes: int, within_ns: int) -> int:
    """Until the next report: so long that reports take their share of what comes."""
    if received_bytes <= 0:
        return FEEDBACK_NS_MAX
    wait_ns = round(_FEEDBACK_BYTES * within_ns / (FEEDBACK_SHARE * received_bytes))
    return max(FEEDBACK_NS_MIN, min(wait_ns, FEEDBACK_NS_MAX))


def _read(one: socket.socket) -> list[bytes]:
    """Everything that waits in a socket; nothing when the other side refuses."""
    datagrams: list[bytes] = []
    with contextlib.suppress(OSError):
        while True:
            datagrams.append(one.recv(_DATAGRAM_BYTES_MAX))
    return datagrams
