"""What clients are told to connect to, worked out at boot: names resolved, interfaces listed."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence

import ifaddr

from sfu.shell.config import Config, ConfigError
from sfu.shell.endpoint import Endpoint
from sfu.transport import candidates
from sfu.transport.candidates import Announcement, Candidate, Interface


class NotThereYetError(ConfigError):
    """What is to be announced is not known now, and may be in a moment: a machine that boots."""


def compute_candidates(
    config: Config,
    listening: Sequence[Endpoint],
    *,
    resolve: Callable[[str], list[str]] | None = None,
    interfaces: Callable[[], list[Interface]] | None = None,
) -> tuple[Candidate, ...]:
    """The candidates of every answer, best first; ConfigError when clients would get none.

    NotThereYetError when a name is not resolved, or no interface has an address.

    `listening` is where the sockets are bound; a port of 0 there stands for one not chosen yet.
    """
    families = {6 if endpoint.is_ipv6 else 4 for endpoint in listening}
    announce = [
        Announcement(address, port, config.media.announce_internal)
        for host, port in config.announced
        for address in _addresses(host, families, resolve or _resolve)
    ]
    try:
        return candidates.candidates_for(
            [candidates.Endpoint(*endpoint) for endpoint in listening],
            announce,
            (interfaces or list_interfaces)(),
        )
    except ValueError as error:
        # Without announcements it is the interfaces that have none, and they may get one.
        kind = ConfigError if announce else NotThereYetError
        raise kind(f"media.announce: {error}") from None


def list_interfaces() -> list[Interface]:
    """Every address of every interface of this machine."""
    return [
        Interface(adapter.name, ip.ip if isinstance(ip.ip, str) else ip.ip[0])
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    ]


def _addresses(
    host: str, families: Iterable[int], resolve: Callable[[str], list[str]]
) -> list[str]:
    """Numeric addresses of `host`; of a name only those of a family that is listened on."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    try:
        found = resolve(host)
    except OSError as error:
        text = f"media.announce: cannot resolve {host}: {error.strerror}"
        raise NotThereYetError(text) from None
    usable = [address for address in found if ipaddress.ip_address(address).version in families]
    if not usable:
        raise ConfigError(
            f"media.announce: {host} is {', '.join(found)}, a family that is not listened on"
        )
    return usable


def _resolve(host: str) -> list[str]:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers))
