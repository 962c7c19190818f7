"""The control server: listens, admits connections, runs commands through a handler, numbers events.

It runs on asyncio or uvloop, on one loop. Without keys everybody who can connect may do everything,
so then it listens on loopback or a Unix socket only. Nothing that a client sends or fails to read
reaches another client: every connection has its own limits, in `ServerLimits`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import socket
import ssl
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from types import TracebackType
from typing import Any, Final, Self

from control.auth import Key, Keyring
from control.connection import CLOSE_GRACE_S, Connection
from control.controllers import Controlled, Controllers
from control.dispatch import Capacity, Dispatcher, Handler, Log
from control.endpoint import Endpoint, TcpEndpoint, UnixEndpoint, parse_endpoint
from control.entrance import TlsListener
from control.errors import ErrorCode
from control.events import EventBody
from control.feed import Feed
from control.frames import DEPTH_MAX, FRAME_BYTES_MAX, FRAME_BYTES_MAX_UNAUTHENTICATED
from control.hub import Hub, ServerLimits
from control.idempotency import HELD_S
from control.lockout import Lockout
from control.ring import Ring
from control.session import Greeting

__all__ = ["Handler", "Log", "Server", "ServerLimits", "UnsafeListenError"]

# Those that exist from the start, so that a dashboard sees a zero and not a gap.
_COUNTERS: Final = (
    "authentication_timeouts",
    "bugs",
    "connections",
    "connections_locked_out",
    "connections_refused",
    "cutoffs",
    "events",
    "events_replayed",
    "events_sent",
    "handshakes_failed",
    "idempotent_repeats",
    "lockouts",
    "protocol_errors",
    "replays",
    "requests",
    "responses_ok",
    "wrong_macs",
    *(f"errors_{code.value}" for code in ErrorCode),
)
# Connections the kernel holds for us while the loop is busy.
_BACKLOG: Final = 128
# A peer that vanished without a word is noticed after a minute and a half.
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class UnsafeListenError(ValueError):
    """Without keys a server may not be reachable from other machines."""


def _log_to_stdlib(event: str, /, **fields: Any) -> None:
    exc_info = fields.pop("exc_info", None)
    logging.getLogger("control").warning("%s %s", event, fields, exc_info=exc_info)


class Server:
    """Serves `handler` to any number of clients.

    `epoch` names this life of the daemon's state and goes with every event; `node` and `version`
    are told in `hello`. `entropy` gives challenges, `wall_ms` unix milliseconds for events. `log`
    gets an event name and fields. `on_controlled` is told which rooms ready connections may change,
    whenever that changes. Under TLS a client certificate that `tls` verifies and that bears a key's
    id is as good as its mac. Use as `async with`, or `start` and `close`.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        epoch: str,
        node: str = "",
        version: str = "",
        keys: Iterable[Key] = (),
        limits: ServerLimits | None = None,
        tls: ssl.SSLContext | None = None,
        lockout: Lockout | None = None,
        log: Log = _log_to_stdlib,
        on_controlled: Callable[[Controlled], None] = lambda controlled: None,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        limits = limits or ServerLimits()
        counters: Counter[str] = Counter(dict.fromkeys(_COUNTERS, 0))
        ring = Ring(limits.replay_events, limits.replay_bytes)
        self._feed = Feed(epoch, wall_ms, ring)
        self._dispatcher = Dispatcher(handler, self._feed, counters, log, self._capacity)
        self._listeners: list[asyncio.Server | TlsListener] = []
        self._paths: list[str] = []
        self._endpoints: list[Endpoint] = []
        self._all_lost: asyncio.Event = asyncio.Event()
        self._hub = Hub(
            greeting=Greeting(server=version, node=node, epoch=epoch, limits=_told(limits)),
            keys=Keyring(keys),
            limits=limits,
            feed=self._feed,
            dispatcher=self._dispatcher,
            counters=counters,
            log=log,
            entropy=entropy,
            on_lost=self._on_connection_lost,
            controllers=Controllers(on_controlled),
            lockout=Lockout() if lockout is None else lockout,
            tls=tls,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where it listens, with the real port where 0 was asked for."""
        return tuple(self._endpoints)

    @property
    def seq(self) -> int:
        """The number of the last event."""
        return self._feed.seq

    async def start(self, address: str) -> Endpoint:
        """Listen on `host:port` or `unix:/path`; may be called for several addresses.

        Raises UnsafeListenError beyond this machine without keys, ValueError for a bad address,
        OSError when it cannot be listened on.
        """
        endpoint = parse_endpoint(address)
        _check_safe(endpoint, bool(self._hub.keys))
        sockets = await _bind(endpoint)
        try:
            for sock in sockets:
                self._listeners.append(await self._serve(sock))
        except OSError:
            for sock in sockets:
                sock.close()
            raise
        if isinstance(endpoint, UnixEndpoint):
            self._paths.append(endpoint.path)
        else:
            endpoint = TcpEndpoint(endpoint.host, sockets[0].getsockname()[1])
        self._endpoints.append(endpoint)
        return endpoint

    def replace_keys(self, keys: Iterable[Key]) -> None:
        """Know these keys from now on. Sessions of a key that is still there go on, with its scopes
        of now; the others are closed as `unauthenticated`.

        Raises UnsafeListenError or ValueError, and nothing has changed.
        """
        keys = list(keys)
        for endpoint in self._endpoints:
            _check_safe(endpoint, bool(keys))
        self._hub.keys.replace(keys)
        for connection in tuple(self._hub.open):
            connection.follow_keys()

    def replace_tls(self, tls: ssl.SSLContext) -> None:
        """Serve new connections with this context; those that stand are left alone. Only for a
        server that was made with one."""
        assert self._hub.tls is not None, "its listeners take plain connections"
        self._hub.tls = tls

    def publish(self, room: str | None, body: EventBody) -> None:
        """Number an event and queue it for whoever subscribed and may see the room. Never waits."""
        self._hub.counters["events"] += 1
        self._feed.publish(room, body)

    def _capacity(self) -> dict[str, Capacity]:
        """What this server limits by number, as `server.info` tells it."""
        limits = self._hub.limits
        return {
            "connections": Capacity(limits.connections, len(self._hub.open)),
            "unauthenticated": Capacity(
                limits.unauthenticated, len(self._hub.strangers) + len(self._hub.shaking)
            ),
        }

    @property
    def replay_events(self) -> int:
        """How many past events are held for those who come back."""
        return self._feed.ring.held_events

    @property
    def replay_bytes(self) -> int:
        """How large these are."""
        return self._feed.ring.held_bytes

    def counters(self) -> dict[str, int]:
        """Counters since start and, by the names `*_open`, what is open now."""
        open_now = {
            "connections_open": len(self._hub.open),
            "unauthenticated_open": len(self._hub.strangers) + len(self._hub.shaking),
        }
        return {**self._hub.counters, **open_now}

    async def close(
        self,
        *,
        code: ErrorCode = ErrorCode.UNAVAILABLE,
        message: str = "the daemon is stopping",
        within_s: float = CLOSE_GRACE_S,
    ) -> None:
        """Stop listening, tell everybody why, and be gone after `within_s` at the latest."""
        self._hub.is_closing = True
        for listener in self._listeners:
            listener.close()
            if isinstance(listener, TlsListener):
                await listener.wait_closed()
        self._listeners.clear()
        for connection in tuple(self._hub.open):
            connection.close(code, message)
        await self._wait_until_lost(within_s)
        for connection in tuple(self._hub.open):
            connection.abort()
        self._dispatcher.close()
        for path in self._paths:
            _unlink(path)
        self._paths.clear()

    async def _wait_until_lost(self, within_s: float) -> None:
        self._all_lost.clear()
        if self._hub.open:
            try:
                async with asyncio.timeout(within_s):
                    await self._all_lost.wait()
            except TimeoutError:
                pass  # whoever has not hung up by now is hung up on

    def _on_connection_lost(self) -> None:
        if not self._hub.open:
            self._all_lost.set()

    async def _serve(self, sock: socket.socket) -> asyncio.Server | TlsListener:
        if self._hub.tls is not None:
            sock.listen(_BACKLOG)
            return TlsListener(self._hub, sock)
        loop = asyncio.get_running_loop()
        kind = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
        return await kind(lambda: Connection(self._hub), sock=sock, backlog=_BACKLOG)


def _check_safe(endpoint: Endpoint, has_keys: bool) -> None:
    if not endpoint.is_local and not has_keys:
        raise UnsafeListenError(
            f"control.listen is {endpoint}: without keys only loopback or a Unix socket will do"
        )


def _told(limits: ServerLimits) -> dict[str, int]:
    """The limits as `hello` tells them."""
    numbers = asdict(limits)
    within_s = numbers.pop("authenticate_within_s")
    return {
        **numbers,
        "authenticate_within_ms": round(within_s * 1_000),
        "frame_bytes": FRAME_BYTES_MAX,
        "frame_bytes_unauthenticated": FRAME_BYTES_MAX_UNAUTHENTICATED,
        "depth": DEPTH_MAX,
        "key_held_s": round(HELD_S),
    }


async def _bind(endpoint: Endpoint) -> list[socket.socket]:
    """Bound sockets, one for each address of the name. All or none."""
    if isinstance(endpoint, UnixEndpoint):
        return [_bind_unix(endpoint.path)]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    port = endpoint.port
    try:
        for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
            sockets.append(_bind_tcp(family, (address[0], port, *address[2:])))
            port = sockets[0].getsockname()[1]
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind_tcp(family: int, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Accepted connections inherit these.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        sock.bind(address)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _bind_unix(path: str) -> socket.socket:
    """Only this user may connect. A socket file that nobody listens on any more is replaced."""
    if _is_socket(path):
        _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old = os.umask(0o177)
    try:
        sock.bind(path)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(old)
    return sock


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _remove_stale(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        if probe.connect_ex(path) == errno.ECONNREFUSED:
            _unlink(path)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # somebody was faster
