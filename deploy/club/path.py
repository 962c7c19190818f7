"""The way to an ICE-lite server: one UDP socket that sends connectivity checks (RFC 8445 7.2.2,
nominating at once because the server is ICE-lite) and repeats them as consent (RFC 7675).

The kernel tells when each datagram came: a process that reads late does not make the way longer.
Times are seconds of the event loop's clock.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aioice import stun

# A lost check costs one interval of set-up time; loopback answers the first.
CHECK_INTERVAL_S = 0.1
# RFC 7675 5.1 asks for a check every 5 s on average; the half keeps one loss harmless.
CONSENT_INTERVAL_S = 2.5
# Only DTLS is queued, and a whole handshake is under ten datagrams.
DTLS_QUEUE_MAX = 64
# Nothing that a server sends is larger; of a burst so many are read before others get their turn.
DATAGRAM_BYTES_MAX = 2_048
DATAGRAMS_PER_WAKE = 64

# Not in the socket module; the value of Linux (asm-generic/socket.h).
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")


class PeerError(Exception):
    """The connection could not be made: no candidate, no answer in time, or a failed handshake."""


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """A username fragment and its password (RFC 8445 5.3)."""

    ufrag: str
    pwd: str

    @classmethod
    def fresh(cls) -> IceCredentials:
        """Long enough for the 24 and 128 bits that the RFC asks for."""
        return cls(secrets.token_hex(4), secrets.token_hex(16))


class UdpPath:
    """The socket towards an ICE-lite server; quacks like aiortc's RTCIceTransport for its DTLS.

    Closed by its owner with `close`; idempotent. Datagrams from any address but the one whose
    check was answered are ignored.
    """

    role = "controlling"

    def __init__(
        self, local: IceCredentials, remote: IceCredentials, host: str | None = None
    ) -> None:
        self._host = host
        self._username = f"{remote.ufrag}:{local.ufrag}"
        self._key = remote.pwd.encode()
        self._tie_breaker = secrets.randbits(64)
        self._dtls: asyncio.Queue[bytes | None] = asyncio.Queue(DTLS_QUEUE_MAX)
        self._socket: socket.socket | None = None
        self._remote: tuple[str, int] | None = None
        self._pending: dict[bytes, tuple[str, int]] = {}
        self._consent: asyncio.TimerHandle | None = None
        self._answered = asyncio.Event()
        self.arrived_at = 0.0  # of the datagram that is being handled, or was last
        self.on_media: Callable[[bytes], None] | None = None
        self.on_sent: Callable[[bytes], None] | None = None

    async def connect(self, candidates: Sequence[tuple[str, int]], timeout_s: float) -> None:
        """Check all candidates until one answers. PeerError when none does in time."""
        loop = asyncio.get_running_loop()
        self._open(self._host or ("::" if ":" in candidates[0][0] else "0.0.0.0"))
        deadline = loop.time() + timeout_s
        while not self._answered.is_set():
            if loop.time() >= deadline:
                raise PeerError(f"no answer to connectivity checks from {candidates}")
            for candidate in candidates:
                self._check(candidate)
            try:
                await asyncio.wait_for(self._answered.wait(), CHECK_INTERVAL_S)
            except TimeoutError:
                continue
        self._keep_consent()

    def rebind(self) -> None:
        """Another socket, and a check from it at once, as a phone does that changes networks."""
        assert self._remote is not None, "it is connected"
        self._close_socket()
        self._open("::" if ":" in self._remote[0] else "0.0.0.0")
        self._check(self._remote)

    def send(self, data: bytes) -> None:
        """Send one datagram to the nominated address; nothing happens once closed."""
        if self._remote is not None:
            self._send_to(data, self._remote)

    def close(self) -> None:
        """Stop checks and reading; a waiting `_recv` ends with ConnectionError."""
        if self._consent is not None:
            self._consent.cancel()
        self._close_socket()
        if not self._dtls.full():
            self._dtls.put_nowait(None)

    def _open(self, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind((host, 0))
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def _close_socket(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _read(self) -> None:
        for _ in range(DATAGRAMS_PER_WAKE):
            if self._socket is None:  # what came last closed it
                return
            try:
                data, controls, _, address = self._socket.recvmsg(DATAGRAM_BYTES_MAX, 64)
            except (BlockingIOError, ConnectionRefusedError):
                return
            self.arrived_at = asyncio.get_running_loop().time() - _waited_s(controls)
            self._take(data, address)

    def _send_to(self, data: bytes, address: tuple[str, int]) -> None:
        if self._socket is None:
            return
        if self.on_sent is not None:
            self.on_sent(data)
        try:
            self._socket.sendto(data, address)
        except OSError:
            return  # lost, as datagrams are; checks are repeated

    def _check(self, candidate: tuple[str, int]) -> None:
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = self._username
        request.attributes["PRIORITY"] = 0x6E7F1EFF
        request.attributes["ICE-CONTROLLING"] = self._tie_breaker
        request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(self._key)
        # Only the latest checks can still be answered.
        if len(self._pending) > 16:
            self._pending.clear()
        self._pending[request.transaction_id] = candidate
        self._send_to(bytes(request), candidate)

    def _keep_consent(self) -> None:
        if self._remote is None or self._socket is None:
            return
        self._check(self._remote)
        loop = asyncio.get_running_loop()
        self._consent = loop.call_later(CONSENT_INTERVAL_S, self._keep_consent)

    def _receive_stun(self, data: bytes) -> None:
        try:
            message = stun.parse_message(data)
        except ValueError:
            return
        if not message.check_message_integrity(self._key):
            return
        candidate = self._pending.pop(message.transaction_id, None)
        if candidate is None or message.message_class is not stun.Class.RESPONSE:
            return
        if self._remote is None:
            self._remote = candidate
            self._answered.set()

    def _take(self, data: bytes, address: tuple[str, int]) -> None:
        first = data[0] if data else 255
        if first < 4:
            self._receive_stun(data)
        elif address[:2] != self._remote:
            return
        elif first > 127:
            if self.on_media is not None:
                self.on_media(data)
        elif not self._dtls.full():
            self._dtls.put_nowait(data)

    async def _recv(self) -> bytes:
        """aiortc's name for "the next datagram"."""
        data = await self._dtls.get()
        if data is None:
            raise ConnectionError
        return data

    async def _send(self, data: bytes) -> None:
        """aiortc's name for "send this datagram"."""
        self.send(data)


def _waited_s(controls: Sequence[tuple[int, int, bytes]]) -> float:
    """Since the kernel had it; 0 where it does not say, or its clock was set meanwhile."""
    for level, kind, data in controls:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            waited_s: float = time.time() - seconds - nanoseconds / 1e9
            return max(0.0, waited_s)
    return 0.0
