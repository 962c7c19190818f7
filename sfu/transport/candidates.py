"""The server's ICE candidates, computed once at boot (RFC 8445 5.1): nothing is gathered per join.

What is announced by configuration comes first, in its order; without it, the addresses of the
host's interfaces behind the listening sockets. Pure: the caller resolves names and lists
interfaces.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

# Every answer carries them all and every client pairs each with its own; more only slows joining
# down.
CANDIDATES_MAX = 8
# RFC 8445 5.1.2.2 recommends 126 for host candidates; component 1 is all there is with rtcp-mux.
_TYPE_PREFERENCE_HOST = 126
_COMPONENT = 1
_LOCAL_PREFERENCE_MAX = 65_535

# Interfaces that containers and overlays bring and that no client can reach.
VIRTUAL_INTERFACES = (
    "br-",
    "cali",
    "cilium",
    "cni",
    "docker",
    "dummy",
    "flannel",
    "kube-",
    "lxc",
    "nodelocaldns",
    "tunl",
    "veth",
    "virbr",
    "vxlan",
)

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A numeric address and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Announcement:
    """What clients are told instead of a listening address; `port` None: the listening port."""

    host: str
    port: int | None = None
    also_internal: bool = (
        False  # tell the interfaces' addresses too, for clients on the same network
    )


@dataclass(frozen=True, slots=True)
class Interface:
    """One address of one network interface."""

    name: str
    host: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host candidate on UDP, as it stands in the answer."""

    foundation: str
    priority: int
    host: str
    port: int

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 address."""
        return ":" in self.host

    def attribute(self) -> str:
        """The value of `a=` (RFC 8839 5.1)."""
        return (
            f"candidate:{self.foundation} {_COMPONENT} udp {self.priority} "
            f"{self.host} {self.port} typ host"
        )


def candidates_for(
    listen: Sequence[Endpoint],
    announce: Sequence[Announcement] = (),
    interfaces: Sequence[Interface] = (),
) -> tuple[Candidate, ...]:
    """The candidates for these listening sockets, best first.

    ValueError when there would be none, for a host that is not numeric, and for an announced
    address whose IP version nothing listens on.
    """
    endpoints = [_announced(entry, listen) for entry in announce]
    if not announce or any(entry.also_internal for entry in announce):
        endpoints += _internal(listen, interfaces)
    endpoints = list(dict.fromkeys(endpoints))[:CANDIDATES_MAX]
    if not endpoints:
        raise ValueError("no address to offer to clients: announce one")
    hosts = list(dict.fromkeys(endpoint.host for endpoint in endpoints))
    return tuple(
        Candidate(
            foundation=str(hosts.index(endpoint.host) + 1),
            priority=_priority(_LOCAL_PREFERENCE_MAX - rank),
            host=endpoint.host,
            port=endpoint.port,
        )
        for rank, endpoint in enumerate(endpoints)
    )


def _priority(local_preference: int) -> int:
    """RFC 8445 5.1.2.1."""
    return (_TYPE_PREFERENCE_HOST << 24) + (local_preference << 8) + (256 - _COMPONENT)


def _announced(entry: Announcement, listen: Sequence[Endpoint]) -> Endpoint:
    """The endpoint that an announcement stands for."""
    ip = _parse(entry.host)
    for socket in listen:
        if _parse(socket.host).version == ip.version:
            return Endpoint(str(ip), entry.port or socket.port)
    raise ValueError(f"{ip} is announced, but nothing listens on IPv{ip.version}")


def _internal(listen: Iterable[Endpoint], interfaces: Sequence[Interface]) -> list[Endpoint]:
    """What the sockets themselves can be reached at: IPv6 and IPv4 in turns (RFC 8421)."""
    found: list[Endpoint] = []
    for socket in listen:
        ip = _parse(socket.host)
        if not ip.is_unspecified:
            found.append(Endpoint(str(ip), socket.port))
            continue
        found += [Endpoint(host, socket.port) for host in _reachable(ip.version, interfaces)]
    if any(not _parse(endpoint.host).is_loopback for endpoint in found):
        explicit = {str(_parse(socket.host)) for socket in listen}
        found = [
            endpoint
            for endpoint in found
            if endpoint.host in explicit or not _parse(endpoint.host).is_loopback
        ]
    v6 = [endpoint for endpoint in found if ":" in endpoint.host]
    v4 = [endpoint for endpoint in found if ":" not in endpoint.host]
    return [endpoint for pair in zip_longest(v6, v4) for endpoint in pair if endpoint is not None]


def _reachable(version: int, interfaces: Sequence[Interface]) -> list[str]:
    """The interface addresses of one IP version that a client may reach, loopback last."""
    hosts = [
        ip
        for interface in interfaces
        if not interface.name.startswith(VIRTUAL_INTERFACES)
        if (ip := _parse(interface.host)).version == version
        if not (ip.is_link_local or ip.is_multicast or ip.is_unspecified)
    ]
    return [str(ip) for ip in sorted(hosts, key=lambda ip: ip.is_loopback)]


def _parse(host: str) -> _Ip:
    """The address; ValueError when it is not numeric."""
    return ipaddress.ip_address(host.partition("%")[0])
