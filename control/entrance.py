"""Accepts connections under TLS, and makes them sessions when the handshake is done.

The limits on strangers hold from the first byte: whoever only opens connections, or dawdles over
the handshake, takes a stranger's place and has a stranger's time. The context is the hub's of this
moment, so another certificate is in force for the next connection and for no earlier one.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from functools import partial
from typing import Final

from control.connection import Connection
from control.hub import Hub

# Without descriptors or memory another try at once would only spin.
_RETRY_S: Final = 1.0
_PASSING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class TlsListener:
    """Serves one bound, listening, non-blocking socket, which it closes at its end."""

    def __init__(self, hub: Hub, sock: socket.socket) -> None:
        self._hub = hub
        self._sock = sock
        self._accepting = asyncio.get_running_loop().create_task(self._accept())
        self._accepting.add_done_callback(lambda task: sock.close())

    def close(self) -> None:
        """Accept no more and give up handshakes; sessions are left alone. Idempotent."""
        self._accepting.cancel()
        for handshake in tuple(self._hub.shaking):
            handshake.cancel()

    async def wait_closed(self) -> None:
        """Until the socket is closed."""
        await asyncio.wait([self._accepting, *self._hub.shaking])

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(self._sock)
            except OSError as error:
                if error.errno in _PASSING:
                    self._hub.log("control_accept_failed", error=error.strerror)
                    await asyncio.sleep(_RETRY_S)
                continue
            if self._hub.exceeded() is not None:
                # No handshake, and so no word of the reason: refusing has to cost next to nothing.
                self._hub.counters["connections_refused"] += 1
                sock.close()
                continue
            handshake = loop.create_task(self._shake_hands(sock))
            self._hub.shaking.add(handshake)
            handshake.add_done_callback(partial(self._forget, sock))

    def _forget(self, sock: socket.socket, handshake: asyncio.Task[None]) -> None:
        self._hub.shaking.discard(handshake)
        if handshake.cancelled():
            _hang_up(sock)

    async def _shake_hands(self, sock: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._receive,
                sock,
                ssl=self._hub.tls,
                ssl_handshake_timeout=self._hub.limits.authenticate_within_s,
            )
        except OSError:  # as are ssl.SSLError and a passed time
            self._hub.counters["handshakes_failed"] += 1

    def _receive(self) -> Connection:
        return Connection(self._hub)


def _hang_up(sock: socket.socket) -> None:
    """Not every loop ends a connection whose handshake is given up; it does on end of file."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the peer, or the loop, was faster
    sock.close()
