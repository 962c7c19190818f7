"""A UDP relay between one browser and the daemon: a path that a test can cut or move.

Towards the daemon each port of the browser has a socket of its own, as behind a NAT; another socket
is another address.
"""

from __future__ import annotations

import asyncio
import re
import socket
from types import TracebackType
from typing import Self

Address = tuple[str, int]

DATAGRAM_BYTES = 2_048
# A browser has a port for each of its interfaces, and others after each ICE restart.
PORTS_MAX = 64


class Relay:
    """Use with `async with`; give the client `rewritten(answer)` instead of the answer."""

    def __init__(
        self, daemon_port: int, daemon_host: str = "127.0.0.1", host: str = "127.0.0.1"
    ) -> None:
        self._daemon: Address = (daemon_host, daemon_port)
        self._host = host
        self._is_cut = False
        self._moves_with_check = False
        self._upstreams: dict[Address, socket.socket] = {}
        self._sockets: list[socket.socket] = []
        self.moves = 0

    async def __aenter__(self) -> Self:
        self._downstream = self._open()
        asyncio.get_running_loop().add_reader(self._downstream, self._from_client)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for opened in self._sockets:
            asyncio.get_running_loop().remove_reader(opened)
            opened.close()

    @property
    def port(self) -> int:
        """Where the client sends to."""
        port: int = self._downstream.getsockname()[1]
        return port

    def rewritten(self, answer: str) -> str:
        """The answer with this relay in place of the daemon's candidates."""
        found = re.sub(
            r"(a=candidate:\S+ 1 udp \d+ )\S+ \d+ ", rf"\g<1>{self._host} {self.port} ", answer
        )
        assert found != answer, "the answer has a candidate"
        return found

    def cut(self) -> None:
        """Nothing passes any more, either way."""
        self._is_cut = True

    def move_with_next_check(self) -> None:
        """The client's next check, and all it sends after it, leaves from another address.

        What the daemon still sends to the former one gets lost.
        """
        self._moves_with_check = True

    def _open(self) -> socket.socket:
        assert len(self._sockets) < PORTS_MAX
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sockets.append(opened)
        opened.setblocking(False)
        opened.bind((self._host, 0))
        return opened

    def _open_upstream(self, client: Address) -> socket.socket:
        upstream = self._upstreams[client] = self._open()
        asyncio.get_running_loop().add_reader(upstream, self._from_daemon, upstream, client)
        return upstream

    def _from_client(self) -> None:
        data, client = self._downstream.recvfrom(DATAGRAM_BYTES)
        if self._is_cut:
            return
        if self._moves_with_check and data[:1] < b"\x04":
            self._moves_with_check = False
            self._upstreams.pop(client, None)
            self.moves += 1
        upstream = self._upstreams.get(client) or self._open_upstream(client)
        upstream.sendto(data, self._daemon)

    def _from_daemon(self, upstream: socket.socket, client: Address) -> None:
        data = upstream.recv(DATAGRAM_BYTES)
        if not self._is_cut and self._upstreams.get(client) is upstream:
            self._downstream.sendto(data, client)
