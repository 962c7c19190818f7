"""The UDP port for media: one IPv4 and/or one IPv6 socket, read and written in batches.

Every participant shares it. The sockets are non-blocking and belong to no event-loop transport:
those queue without bound when the kernel is full, here a datagram that cannot leave is dropped and
counted.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sfu.fast import Batch, Mmsg
from sfu.shell.endpoint import Endpoint

# 4 MiB hold a stall of about 0.1 s at the packet rate of a full core; the usual 208 KiB hold 5 ms.
BUFFER_BYTES = 4_194_304
# Datagrams read for one wake of the loop: after these, other descriptors get their turn.
BATCHES_PER_WAKE = 4

# Not in the socket module; values of Linux (asm-generic/socket.h, linux/in.h, linux/in6.h).
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_SO_RXQ_OVFL = 40
_IP_MTU_DISCOVER = 10
_IPV6_MTU_DISCOVER = 23
_PMTUDISC_PROBE = 3


class ListenError(Exception):
    """An address cannot be listened on; the text is one line that names the key and the address."""


class SocketBuffer(NamedTuple):
    """What the kernel granted of a buffer, in bytes; `sysctl` raises its limit."""

    endpoint: Endpoint
    sysctl: str
    asked: int
    granted: int

    @property
    def is_clamped(self) -> bool:
        """Whether the kernel gave less than was asked for."""
        return self.granted < self.asked


class UdpPort:
    """The open sockets. `receive` takes what waits, `send` gives a batch to the kernel."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        """Bind to at most one endpoint per family; raises ListenError, leaving nothing open."""
        self.buffers: list[SocketBuffer] = []
        self._sockets: list[socket.socket] = []
        try:
            for endpoint in endpoints:
                self._sockets.append(_bind(endpoint))
        except ListenError:
            self.close()
            raise
        for udp, endpoint in zip(self._sockets, self.endpoints, strict=True):
            self.buffers += _grow_buffers(udp, endpoint)
        descriptors = {udp.family: udp.fileno() for udp in self._sockets}
        self._mmsg = Mmsg(descriptors.get(socket.AF_INET, -1), descriptors.get(socket.AF_INET6, -1))

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where the sockets are bound, with the ports that the kernel chose."""
        return [Endpoint(*udp.getsockname()[:2]) for udp in self._sockets]

    @property
    def descriptors(self) -> list[int]:
        """Of the sockets."""
        return [udp.fileno() for udp in self._sockets]

    def start(self, loop: asyncio.AbstractEventLoop, readable: Callable[[int], None]) -> None:
        """Call `readable(fd)` whenever datagrams wait on a socket."""
        for udp in self._sockets:
            loop.add_reader(udp.fileno(), readable, udp.fileno())

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read no more; sending still works. Idempotent."""
        for udp in self._sockets:
            loop.remove_reader(udp.fileno())

    def receive(self, fd: int, inbox: Batch, limit: int) -> int:
        """Up to `limit` datagrams from `fd`; 0 when nothing waits. OSError when it is broken."""
        return self._mmsg.receive(fd, inbox, limit)

    def send(self, outbox: Batch) -> None:
        """Hand every datagram to the kernel once; what it refuses is counted, never queued."""
        self._mmsg.send(outbox)

    def counters(self) -> dict[str, int]:
        """`Mmsg.counters`."""
        return self._mmsg.counters()

    def sizes(self) -> dict[str, int]:
        """`buffers_clamped`: of the sockets' buffers, those smaller than was asked for."""
        return {"buffers_clamped": sum(buffer.is_clamped for buffer in self.buffers)}

    def close(self) -> None:
        """Close the sockets; idempotent."""
        for udp in self._sockets:
            udp.close()


def _bind(endpoint: Endpoint) -> socket.socket:
    family = socket.AF_INET6 if endpoint.is_ipv6 else socket.AF_INET
    udp = None
    try:
        udp = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        _set_options(udp)
        udp.bind(tuple(endpoint))
    except OSError as error:
        if udp is not None:
            udp.close()
        raise ListenError(listen_error("media.listen", endpoint, error)) from None
    return udp


def _set_options(udp: socket.socket) -> None:
    # Counts datagrams that the kernel dropped because nobody read them in time.
    udp.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
    # Says when each came: what waited here did not take longer on its way.
    udp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    # Do not fragment, and do not believe forged ICMP about the path: nothing here exceeds 1,200
    # bytes, which practically every path carries whole.
    if udp.family == socket.AF_INET6:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        udp.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
    else:
        udp.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)


def _grow_buffers(udp: socket.socket, endpoint: Endpoint) -> list[SocketBuffer]:
    """Ask for large buffers, beyond the sysctl where the capability allows; read back the grant."""
    found = []
    for option, force, sysctl in (
        (socket.SO_RCVBUF, _SO_RCVBUFFORCE, "net.core.rmem_max"),
        (socket.SO_SNDBUF, _SO_SNDBUFFORCE, "net.core.wmem_max"),
    ):
        try:
            udp.setsockopt(socket.SOL_SOCKET, force, BUFFER_BYTES)
        except PermissionError:
            udp.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        # The kernel doubles what is set for its own bookkeeping and reports that (socket(7)).
        granted = udp.getsockopt(socket.SOL_SOCKET, option) // 2
        found.append(SocketBuffer(endpoint, sysctl, BUFFER_BYTES, granted))
    return found


def listen_error(key: str, where: object, error: OSError) -> str:
    """One line about an address that cannot be listened on, with the usual way out."""
    hints = {
        errno.EADDRINUSE: "another program listens there already",
        errno.EADDRNOTAVAIL: "no interface of this machine has that address",
        errno.EACCES: "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE",
    }
    reason = hints.get(error.errno or 0) or error.strerror or str(error)
    return f"{key}: cannot listen on {where}: {reason}"
