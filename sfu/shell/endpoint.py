"""Where to listen for datagrams and HTTP, and what to announce: `host:port` as values."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple


class Endpoint(NamedTuple):
    """A numeric host and a port; port 0 lets the kernel choose."""

    host: str
    port: int

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 address."""
        return ":" in self.host

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.is_ipv6 else f"{self.host}:{self.port}"


def split_port(text: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[v6]`, `[v6]:port` or a bare v6; ValueError when the port is none."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError("write an IPv6 address with a port as [address]:port")
        port = rest[1:] if rest else None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, None
    if not host:
        raise ValueError("the host is missing")
    if port is None:
        return host, None
    if not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ValueError(f"{port!r} is not a port (0 to 65535)")
    return host, int(port)


def parse_endpoint(text: str) -> Endpoint:
    """A numeric `host:port`; ValueError says what is wrong with it."""
    host, port = split_port(text)
    if port is None:
        raise ValueError("the port is missing, as in 127.0.0.1:7800")
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"{host!r} is not a numeric IPv4 or IPv6 address") from None
    return Endpoint(str(ip), port)
