"""Two network namespaces joined by a veth pair: the server in one, the load in the other.

Some servers refuse loopback addresses, and loopback is not what packets take in earnest. Here they
cross two network stacks and a (virtual) wire, with no firewall, route or neighbour of the machine.

    with joined_namespaces() as pair, inside(pair.load):
        server = Janus(Place(address=pair.server_ipv4, namespace=pair.server))
        asyncio.run(...)                                   # sockets made here are the load's

The addresses are those set aside for benchmarks (RFC 2544, RFC 5180), so they collide with nothing.
A small child process waits for the end of this one, however it comes (also by SIGKILL), and removes
what was made. Needs root.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.targets import TargetError

_CLONE_NEWNET: Final = 0x4000_0000
_NAMED: Final = Path("/run/netns")
_INTERFACE: Final = "veth0"
_DISABLE_IPV6: Final = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
# Removing a namespace waits for a grace period of the kernel; this is far above it.
_REMOVE_WITHIN_S: Final = 10.0
# The first line is a newline from us or the end of the pipe when this process is no more.
_KEEPER: Final = 'read _; for name in "$@"; do ip netns delete "$name"; done'


class NamespaceError(TargetError):
    """Namespaces cannot be made here; the text is one line that says why."""


@dataclass(frozen=True)
class Pair:
    """The names of two namespaces, as `ip netns` knows them, and the addresses in them."""

    server: str
    load: str
    server_ipv4: str = "198.18.0.1"
    load_ipv4: str = "198.18.0.2"
    server_ipv6: str = "2001:2::1"
    load_ipv6: str = "2001:2::2"


@contextmanager
def joined_namespaces() -> Iterator[Pair]:
    """Make two namespaces and the link between them, with IPv4 and IPv6; remove them at the end.

    Raises NamespaceError. Processes that are still inside at the end keep their namespace alive,
    without a name, until they end.
    """
    if os.geteuid() != 0:
        raise NamespaceError("network namespaces need root: run the load tester with sudo")
    stem = f"sfu-bench-{os.getpid()}-{secrets.token_hex(3)}"
    pair = Pair(server=f"{stem}-server", load=f"{stem}-load")
    keeper = _start_keeper(pair)
    try:
        _make(pair)
        yield pair
    finally:
        keeper.communicate(b"\n", timeout=_REMOVE_WITHIN_S)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Take the calling thread, and threads and processes it starts, into a namespace and back.

    Sockets belong to the namespace they were made in, so a whole event loop should run inside.
    """
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        with (_NAMED / name).open("rb") as there:
            _set_namespace(there.fileno())
        try:
            yield
        finally:
            _set_namespace(before.fileno())


def _start_keeper(pair: Pair) -> subprocess.Popen[bytes]:
    """In a session of its own, so that a Ctrl-C at the terminal does not end it first."""
    return subprocess.Popen(
        ["sh", "-c", _KEEPER, "sh", pair.load, pair.server],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _make(pair: Pair) -> None:
    for name in (pair.server, pair.load):
        _ip("netns", "add", name)
        _enable_ipv6(name)
    link = ("link", "add", _INTERFACE, "type", "veth", "peer", "name", _INTERFACE)
    _ip("-n", pair.server, *link, "netns", pair.load)
    _address(pair.server, pair.server_ipv4, pair.server_ipv6)
    _address(pair.load, pair.load_ipv4, pair.load_ipv6)


def _address(name: str, ipv4: str, ipv6: str) -> None:
    _ip("-n", name, "address", "add", f"{ipv4}/30", "dev", _INTERFACE)
    # Nobody else is on this wire: the address is usable at once, without asking whether it is free.
    _ip("-n", name, "address", "add", f"{ipv6}/64", "dev", _INTERFACE, "nodad")
    for interface in ("lo", _INTERFACE):
        _ip("-n", name, "link", "set", interface, "up")


def _enable_ipv6(name: str) -> None:
    """A machine may switch IPv6 off in every new namespace."""
    with inside(name):
        if _DISABLE_IPV6.exists() and _DISABLE_IPV6.read_text().strip() != "0":
            _DISABLE_IPV6.write_text("0")


def _ip(*arguments: str) -> None:
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        raise NamespaceError("network namespaces need the `ip` command: install iproute2") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise NamespaceError(f"cannot make network namespaces: ip {' '.join(arguments)}: {said}")


def _set_namespace(descriptor: int) -> None:
    """setns(2); `os.setns` came with Python 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise NamespaceError(f"cannot enter a network namespace: {os.strerror(number)}")
