"""Telling systemd how the daemon is: ready, reloading, stopping, alive (the protocol of sd_notify).

Messages are datagrams of `NAME=value` lines to the Unix socket that the service manager names in
the environment. Without one nothing is told. A message that cannot be sent is lost: the manager's
own timeouts say the rest, and media must not wait for it.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress

# A service that is late by its whole interval is killed; half of it leaves room for one beat lost.
BEATS_PER_INTERVAL = 2


class ServiceManager:
    """What runs the daemon as a service, if anything does."""

    def __init__(
        self, environment: Mapping[str, str], send: Callable[[bytes], None] | None = None
    ) -> None:
        """`environment` may have NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        self._socket: socket.socket | None = None
        self._send = send or self._sender(environment.get("NOTIFY_SOCKET", ""))
        self._is_stopping = False
        self.watchdog_s = _watchdog_s(environment)
        self._beat_at = -math.inf

    def ready(self) -> None:
        """Everything listens; also the end of a reload."""
        if not self._is_stopping:
            self._tell("READY=1")

    def reloading(self, now: float) -> None:
        """The configuration is read again; `ready` ends it. `now` is of the monotonic clock."""
        if not self._is_stopping:
            self._tell("RELOADING=1", f"MONOTONIC_USEC={round(now * 1e6)}")

    def stopping(self, within_s: float) -> None:
        """The end has begun and takes this long at most, whatever the manager's own timeout is.

        From now on nothing else is told but that it is alive: a service that has said so and then
        reloads is in no state that a manager knows.
        """
        self._is_stopping = True
        extended = f"EXTEND_TIMEOUT_USEC={math.ceil(within_s * 1e6)}"
        self._tell("STOPPING=1", extended, "STATUS=draining")

    def beat(self, now: float) -> None:
        """The loop runs. To be called often; most calls do nothing."""
        interval = self.watchdog_s
        if interval is not None and now - self._beat_at >= interval / BEATS_PER_INTERVAL:
            self._beat_at = now
            self._tell("WATCHDOG=1")

    def close(self) -> None:
        """Tell nothing more; idempotent."""
        if self._socket is not None:
            self._socket.close()

    def _tell(self, *lines: str) -> None:
        with suppress(OSError):
            self._send("\n".join(lines).encode())

    def _sender(self, path: str) -> Callable[[bytes], None]:
        if path[:1] not in ("/", "@"):
            return lambda message: None
        address = "\0" + path[1:] if path.startswith("@") else path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        return lambda message: self._sent(message, address)

    def _sent(self, message: bytes, address: str) -> None:
        assert self._socket is not None
        self._socket.sendto(message, address)


def from_environment() -> ServiceManager:
    """The manager of this process; its variables are taken away, children are no services."""
    names = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    return ServiceManager({name: os.environ.pop(name, "") for name in names})


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """How often the manager wants to hear of this process at least; None when it does not care."""
    pid = environment.get("WATCHDOG_PID", "")
    microseconds = environment.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    if pid and pid != str(os.getpid()):
        return None
    return int(microseconds) / 1e6
