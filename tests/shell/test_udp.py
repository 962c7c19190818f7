"""The UDP port: both families, buffers read back, errors in one line, nothing left open."""

from __future__ import annotations

import os
import select
import socket

import pytest

from sfu.fast import Batch
from sfu.shell import udp
from sfu.shell.endpoint import Endpoint
from sfu.shell.udp import BUFFER_BYTES, ListenError, SocketBuffer, UdpPort
from sfu.transport.address import unpack_address


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6 loopback")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        pytest.param("::1", marks=needs_ipv6),
    ],
)
def test_datagrams_come_in_and_go_back(host: str) -> None:
    port = UdpPort([Endpoint(host, 0)])
    (endpoint,) = port.endpoints
    assert endpoint.port != 0
    family = socket.AF_INET6 if endpoint.is_ipv6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as peer:
        peer.settimeout(5)
        peer.bind((host, 0))
        peer.sendto(b"question", tuple(endpoint))
        (fd,) = [one.fileno() for one in port._sockets]
        assert select.select([fd], [], [], 5)[0]
        inbox, outbox = Batch(), Batch()
        assert port.receive(fd, inbox, 64) == 1
        ((data, address),) = list(inbox)
        assert data == b"question"
        assert unpack_address(address) == peer.getsockname()[:2]
        outbox.append(b"answer", address)
        port.send(outbox)
        assert peer.recv(100) == b"answer"
        assert port.receive(fd, inbox, 64) == 0
    assert port.counters()["received"] == port.counters()["sent"] == 1
    port.close()
    port.close()


@needs_ipv6
def test_both_families_share_one_port_number() -> None:
    """An IPv6 socket that also took IPv4 would collide with the IPv4 one."""
    v4 = UdpPort([Endpoint("0.0.0.0", 0)])
    (endpoint,) = v4.endpoints
    v6 = UdpPort([Endpoint("::", endpoint.port)])
    v4.close()
    v6.close()


def test_a_port_in_use_is_one_line_and_leaves_nothing_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = Endpoint(*other.getsockname())
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(ListenError) as caught:
            UdpPort([taken])
        assert len(os.listdir("/proc/self/fd")) == before
    assert str(caught.value) == (
        f"media.listen: cannot listen on {taken}: another program listens there already"
    )


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(ListenError, match="no interface of this machine has that address"):
        UdpPort([Endpoint("192.0.2.1", 0)])


def test_buffers_are_asked_for_and_read_back() -> None:
    port = UdpPort([Endpoint("127.0.0.1", 0)])
    receive, send = port.buffers
    assert (receive.sysctl, send.sysctl) == ("net.core.rmem_max", "net.core.wmem_max")
    for buffer in (receive, send):
        assert buffer.asked == BUFFER_BYTES
        assert 0 < buffer.granted <= BUFFER_BYTES
    port.close()


def test_a_clamped_buffer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than any kernel grants; without the capability the sysctl is the limit."""
    monkeypatch.setattr(udp, "BUFFER_BYTES", 2**31 - 1)
    monkeypatch.setattr(udp, "_SO_RCVBUFFORCE", socket.SO_RCVBUF)
    monkeypatch.setattr(udp, "_SO_SNDBUFFORCE", socket.SO_SNDBUF)
    port = UdpPort([Endpoint("127.0.0.1", 0)])
    assert all(buffer.is_clamped for buffer in port.buffers)
    assert port.sizes() == {"buffers_clamped": 2}
    port.close()


def test_a_granted_buffer_is_not_clamped() -> None:
    assert not SocketBuffer(Endpoint("::1", 1), "net.core.rmem_max", 100, 100).is_clamped
