"""The sockets of virtual clients: connected, as a client talks to one server alone."""

from __future__ import annotations

import socket

# A few hundred packets: what a listener gets in a second, should this process be held up.
RECEIVE_BUFFER_BYTES = 425_984


def open_socket(address: tuple[str, int], is_ipv6: bool) -> socket.socket:
    """Non-blocking, connected to `address`. OSError when there are no more."""
    one = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        one.connect(address)
    except OSError:
        one.close()
        raise
    return one
