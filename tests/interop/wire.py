"""The daemon and its clients in two network namespaces, with a wire between them that can be bad.

    with Wire.laid() as wire, running_on(wire) as daemon, wire.at_the_clients(): ...

The kernel does the damage: nftables drops what arrives at the clients, at random or in bursts; tbf
holds back and then drops what leaves the daemon. All of it goes with the namespaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.namespaces import Pair, inside, joined_namespaces
from tests.interop.daemon import Daemon, Ports, running

INTERFACE = "veth0"
TABLE = "bad_weather"
# numgen draws below this; a loss of 0.1 % can be told.
PARTS = 1000
# No datagram of a handshake is larger, headers included.
LARGE_BYTES = 1_600


def need(*commands: str) -> None:
    """Skip the test where namespaces cannot be made or one of these commands is missing."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    packages = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables"}
    for command in ("ip", *commands):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed (Debian: apt-get install {packages[command]})")


@dataclass(frozen=True)
class Dropped:
    """What nftables did to the packets that it was told about."""

    seen: int
    dropped: int

    @property
    def ratio(self) -> float:
        """The part of them that it dropped."""
        return self.dropped / max(1, self.seen)


class Wire:
    """Two namespaces with a way between them."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    @classmethod
    @contextlib.contextmanager
    def laid(cls) -> Iterator[Wire]:
        """Make it for the length of a `with`. Call `need` first."""
        with joined_namespaces() as pair:
            # Browsers send only from the address that the default route would take.
            _run("ip", "-n", pair.load, "route", "add", "default", "via", pair.server_ipv4)
            yield cls(pair)

    @contextlib.contextmanager
    def daemon(self, *settings: str) -> Iterator[Daemon]:
        """A daemon at the far end, steered over a Unix socket, which no bad wire touches."""
        with tempfile.TemporaryDirectory(prefix="wire-") as folder:
            with inside(self.pair.server):
                free = Ports.free(self.pair.server_ipv4, Path(folder) / "control.sock")
            with contextlib.ExitStack() as stack:
                with inside(self.pair.server):
                    started = stack.enter_context(running(*settings, ports=free))
                yield started

    @contextlib.contextmanager
    def at_the_clients(self) -> Iterator[None]:
        """Sockets and processes of this thread are the clients'."""
        with inside(self.pair.load):
            yield

    @contextlib.contextmanager
    def at_the_daemon(self) -> Iterator[None]:
        """Sockets of this thread are beside the daemon: what they get does not pass the wire."""
        with inside(self.pair.server):
            yield

    @contextlib.contextmanager
    def loss(self, ratio: float, burst_ms: int = 0) -> Iterator[None]:
        """Drop so much of the UDP that arrives at the clients: each packet by chance, or everything
        that goes to one of them for `burst_ms` at times that chance sets for each.
        """
        # With bursts, chance is asked once for each packet that comes outside one; packets come
        # every 20 ms, so a burst takes burst_ms / 20 of them, the one that began it included.
        packets = max(1.0, burst_ms / 20)
        below = round(PARTS * (ratio if not burst_ms else ratio / (ratio + packets * (1 - ratio))))
        begins = f"add @burst {{ udp dport timeout {burst_ms}ms }}" if burst_ms else ""
        during = "udp dport @burst counter name dropped drop" if burst_ms else ""
        rules = f"""
        table inet {TABLE} {{
            counter seen {{ }}
            counter dropped {{ }}
            set burst {{ type inet_service; flags dynamic,timeout; size 16; }}
            chain arrivals {{
                type filter hook prerouting priority -300;
                meta l4proto != udp accept
                counter name seen
                {during}
                numgen random mod {PARTS} < {below} {begins} counter name dropped drop
            }}
        }}"""
        _run("ip", "netns", "exec", self.pair.load, "nft", "-f", "-", text=rules)
        try:
            yield
        finally:
            _run("ip", "netns", "exec", self.pair.load, "nft", "delete", "table", "inet", TABLE)

    def dropped(self) -> Dropped:
        """What `loss` did so far."""
        text = _run("ip", "netns", "exec", self.pair.load, "nft", "-j", "list", "counters")
        found: dict[str, int] = {
            entry["counter"]["name"]: entry["counter"]["packets"]
            for entry in json.loads(text)["nftables"]
            if "counter" in entry
        }
        return Dropped(**found)

    @contextlib.contextmanager
    def rate(self, bits_per_s: int, queue_ms: int) -> Iterator[None]:
        """Let no more than this leave the daemon's end, with a queue of so many milliseconds."""
        shape = ("rate", f"{bits_per_s}bit", "burst", "3000", "latency", f"{queue_ms}ms")
        device = ("dev", INTERFACE, "root")
        _run("tc", "-n", self.pair.server, "qdisc", "add", *device, "tbf", *shape)
        try:
            yield
        finally:
            _run("tc", "-n", self.pair.server, "qdisc", "del", *device)

    @contextlib.contextmanager
    def lines(self, rates_bps: Sequence[int], queue_ms: int) -> Iterator[list[Line]]:
        """An address at the clients' end for each of these, reached from the daemon's end by a wire
        of its own that carries no more than that, with a queue of so many milliseconds or of one
        large datagram. What these clients send takes the common way.
        """
        lines = [Line(self.pair, number) for number in range(1, 1 + len(rates_bps))]
        with contextlib.ExitStack() as stack:
            for line, rate_bps in zip(lines, rates_bps, strict=True):
                line.lay()
                stack.callback(line.remove)
                line.narrow(rate_bps, queue_ms)
            yield lines

    def queue(self) -> dict[str, Any]:
        """What tc tells of the queue of `rate`: `drops`, `packets`, `backlog` and others."""
        text = _run("tc", "-n", self.pair.server, "-j", "-s", "qdisc", "show", "dev", INTERFACE)
        found: dict[str, Any] = json.loads(text)[0]
        return found


class Line:
    """One of `Wire.lines`: what goes to `host` passes a queue of its own."""

    def __init__(self, pair: Pair, number: int) -> None:
        self.host = f"198.18.1.{number}"
        self._pair = pair
        self._interface = f"line{number}"

    def lay(self) -> None:
        """Make it; `remove` it at the end."""
        server, load, name = self._pair.server, self._pair.load, self._interface
        _run("ip", "-n", server, "link", "add", name, "type", "veth", "peer", name, "netns", load)
        _run("ip", "-n", load, "address", "add", f"{self.host}/32", "dev", name)
        for end in (server, load):
            _run("ip", "-n", end, "link", "set", name, "up")
        _run("ip", "-n", server, "route", "add", f"{self.host}/32", "dev", name)

    def remove(self) -> None:
        """Its address and its queue go along."""
        _run("ip", "-n", self._pair.server, "link", "delete", self._interface)

    def narrow(self, rate_bps: int, queue_ms: int) -> None:
        """It carries so much from now on."""
        limit = max(LARGE_BYTES, rate_bps * queue_ms // 8_000)
        shape = ("rate", f"{rate_bps}bit", "burst", str(LARGE_BYTES), "limit", str(limit))
        device = ("dev", self._interface, "root")
        _run("tc", "-n", self._pair.server, "qdisc", "replace", *device, "tbf", *shape)

    def dropped(self) -> int:
        """How many packets found the queue full so far."""
        device = ("dev", self._interface)
        text = _run("tc", "-n", self._pair.server, "-j", "-s", "qdisc", "show", *device)
        return int(json.loads(text)[0]["drops"])


def _run(*words: str, text: str | None = None) -> str:
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout
