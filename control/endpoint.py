"""Where a daemon listens: `host:port`, `[v6]:port` or `unix:/path`, as text and as a value."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

DEFAULT_PORT = 7700


@dataclass(frozen=True)
class TcpEndpoint:
    """A TCP address; `host` may be a name."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it. Of names only `localhost` is taken to be so."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True)
class UnixEndpoint:
    """A Unix stream socket at `path`."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"

    @property
    def is_local(self) -> bool:
        """Always: file permissions say who may connect."""
        return True


Endpoint = TcpEndpoint | UnixEndpoint


def parse_endpoint(text: str, *, default_port: int = DEFAULT_PORT) -> Endpoint:
    """Read an address as people write it. Raises ValueError with the reason."""
    if text.startswith("unix:"):
        if len(text) == len("unix:"):
            raise ValueError(f"no path in {text!r}")
        return UnixEndpoint(text.removeprefix("unix:"))
    host, port = _split_port(text)
    if not host:
        raise ValueError(f"no host in {text!r}")
    if not port:
        return TcpEndpoint(host, default_port)
    if not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise ValueError(f"not a port number in {text!r}: {port!r}")
    return TcpEndpoint(host, int(port))


def _split_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f"not an address: {text!r}")
        return host, rest[1:]
    if text.count(":") > 1:
        return text, ""  # a bare IPv6 address
    host, _, port = text.partition(":")
    return host, port
