"""Virtual clients of a swarm with the far end of their sockets, for its tests."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from sfu.fast import Aside, Swarm
from tests.fast.peer import FRAME_TICKS, Heard, Peer, rtp, srtp_session, take_apart

HOST = "127.0.0.1"
WAIT_S = 5.0
TOC_20_MS = 0x7B  # one stream of 20 ms frames, their number written (RFC 6716 3.2.5)
SSRC = 0x77


def step(frame: bytes = b"\x11" * 40) -> bytes:
    """An Opus packet of one 20 ms frame with room for the send time in its padding."""
    return bytes([TOC_20_MS, 0x41, 8]) + frame + bytes(8)


def timed(sent_ns: int) -> bytes:
    """A payload that was sent at `sent_ns`."""
    return step()[:-8] + (sent_ns % 2**64).to_bytes(8, "big")


class Far:
    """The server's end of one client: a connected socket and the other halves of its keys."""

    def __init__(self, swarm: Swarm, number: int, near: socket.socket, far: socket.socket) -> None:
        self.swarm = swarm
        self.number = number
        self.near = near
        self.socket = far
        self.id = swarm.add_client(near.fileno())
        self._down = srtp_session(number, "down", protects=True)
        self._up = srtp_session(number, "up", protects=False)

    def give_keys(self, number: int | None = None) -> None:
        """The right keys, or those of client `number`."""
        number = self.number if number is None else number
        self.swarm.set_keys(
            self.id,
            srtp_session(number, "down", protects=False),
            srtp_session(number, "up", protects=True),
        )

    def protected(self, sequence: int, payload: bytes = b"", **fields: Any) -> bytes:
        """A media packet as the server would send it, 20 ms for each sequence number."""
        fields.setdefault("ssrc", SSRC)
        timestamp = fields.pop("timestamp", sequence * FRAME_TICKS)
        plain = rtp(sequence, timestamp, payload or timed(0), **fields)
        return bytes(self._down.protect(plain))

    def send(self, sequence: int, payload: bytes = b"", **fields: Any) -> None:
        """Send one media packet to the client."""
        self.socket.send(self.protected(sequence, payload, **fields))

    def heard(self) -> list[Heard]:
        """What the client has sent since the last call, decrypted."""
        packets = []
        while select.select([self.socket], [], [], 0)[0]:
            packets.append(take_apart(self._up.unprotect(self.socket.recv(2048))))
        return packets


class Hall:
    """A swarm and the far ends of its clients."""

    def __init__(self, stack: ExitStack, decrypt_every: int, visit_every_ms: int) -> None:
        self._stack = stack
        self.swarm = stack.enter_context(Swarm(decrypt_every, visit_every_ms=visit_every_ms))

    def client(self, number: int = 1, *, keys: bool = True, buffer_bytes: int = 0) -> Far:
        """A further client."""
        near, far = self._udp(), self._udp()
        near.connect(far.getsockname())
        far.connect(near.getsockname())
        if buffer_bytes:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        added = Far(self.swarm, number, near, far)
        if keys:
            added.give_keys()
        return added

    def _udp(self) -> socket.socket:
        made = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        made.bind((HOST, 0))
        made.setblocking(False)
        return made

    def poll(self, datagrams: int) -> list[Aside]:
        """Poll until the swarm has read `datagrams` more."""
        wanted = self.swarm.totals()["datagrams"] + datagrams
        until = time.monotonic() + WAIT_S
        taken = self.swarm.poll()
        while self.swarm.totals()["datagrams"] < wanted:
            assert time.monotonic() < until, "nothing comes"
            taken += self.swarm.poll()
        assert self.swarm.totals()["datagrams"] == wanted
        return taken

    def counted(self, *left_out: str) -> dict[str, int]:
        """The totals that are not zero, without those that only say how much there was."""
        plain = {"datagrams", "received_bytes", "sent_bytes", "clients", "late_sends", *left_out}
        return {name: n for name, n in self.swarm.totals().items() if n and name not in plain}


@contextmanager
def opened(decrypt_every: int = 1, visit_every_ms: int = 0) -> Iterator[Hall]:
    """A hall that closes everything at the end."""
    with ExitStack() as stack:
        yield Hall(stack, decrypt_every, visit_every_ms)


def join(peer: Peer, swarm: Swarm, client: int) -> None:
    """Give `client` the keys of `peer`'s association with a forwarder."""
    swarm.set_keys(
        client,
        srtp_session(peer.number, "down", protects=False),
        srtp_session(peer.number, "up", protects=True),
    )
