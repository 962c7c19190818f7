"""The socket of a peer."""

from __future__ import annotations

import asyncio
import socket
import time

from deploy.club.path import IceCredentials, UdpPath


async def test_what_waited_in_the_socket_came_when_the_kernel_had_it() -> None:
    """A process that is late is not to be taken for a slow line."""
    loop = asyncio.get_running_loop()
    path = UdpPath(IceCredentials.fresh(), IceCredentials.fresh())
    came: list[tuple[bytes, float]] = []
    path.on_media = lambda data: came.append((data, path.arrived_at))
    path._open("127.0.0.1")
    assert path._socket is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        path._remote = server.getsockname()
        await _stamps(path, server, came)
        before = loop.time()
        server.sendto(b"\x80first", path._socket.getsockname())
        time.sleep(0.05)
        server.sendto(b"\x80second", path._socket.getsockname())
        known = len(came)
        while len(came) < known + 2:
            await asyncio.sleep(0)
    path.close()
    (first, at), (second, later) = came[-2:]
    assert (first, second) == (b"\x80first", b"\x80second")
    assert before - 0.002 <= at < before + 0.04 and at + 0.05 <= later


async def _stamps(path: UdpPath, server: socket.socket, came: list[tuple[bytes, float]]) -> None:
    """The kernel begins to stamp a moment after the first socket has asked for it; until then it
    gives the time of reading.
    """
    assert path._socket is not None
    async with asyncio.timeout(5.0):
        while True:
            sent_at, known = asyncio.get_running_loop().time(), len(came)
            server.sendto(b"\x80", path._socket.getsockname())
            time.sleep(0.005)
            while len(came) == known:
                await asyncio.sleep(0)
            if came[-1][1] < sent_at + 0.004:
                return
