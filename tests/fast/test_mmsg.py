"""Batches to and from real sockets on loopback: both families, and everything that can go wrong."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from sfu.fast import DATAGRAM_BYTES_MAX, Batch, Mmsg
from sfu.transport.address import pack_address, unpack_address
from tests.fast.peer import batch_of

HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
FAMILIES = [socket.AF_INET, socket.AF_INET6]
SO_NO_CHECK, SO_TIMESTAMPNS, SO_RXQ_OVFL = 11, 35, 40  # Linux


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        return True
    return False


@pytest.fixture
def sockets() -> Iterator[dict[socket.AddressFamily, socket.socket]]:
    """One bound, non-blocking socket for each family: what an `Mmsg` is given."""
    with contextlib.ExitStack() as stack:
        bound = {}
        for family in FAMILIES:
            if family == socket.AF_INET6 and not _has_ipv6():
                pytest.skip("this machine has no IPv6 loopback")
            bound[family] = stack.enter_context(udp_socket(family))
        yield bound


@contextlib.contextmanager
def udp_socket(family: socket.AddressFamily) -> Iterator[socket.socket]:
    """A bound, non-blocking UDP socket on loopback."""
    with socket.socket(family, socket.SOCK_DGRAM) as bound:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setblocking(False)
        bound.bind((HOSTS[family], 0))
        yield bound


def address(bound: socket.socket) -> bytes:
    """The 18 bytes of a socket's own address."""
    host, port = bound.getsockname()[:2]
    return pack_address(host, port)


def mmsg_of(sockets: dict[socket.AddressFamily, socket.socket]) -> Mmsg:
    """An `Mmsg` on both."""
    return Mmsg(sockets[socket.AF_INET].fileno(), sockets[socket.AF_INET6].fileno())


Sockets = dict[socket.AddressFamily, socket.socket]


@pytest.mark.parametrize("family", FAMILIES)
def test_receives_data_and_the_senders_address(
    sockets: Sockets, family: socket.AddressFamily
) -> None:
    """In order of arrival, empty datagrams too; the batch is cleared before."""
    mmsg, target = mmsg_of(sockets), sockets[family]
    batch = batch_of((b"stale", bytes(18)), (b"stale", bytes(18)), (b"stale", bytes(18)))
    with udp_socket(family) as client:
        for data in (b"one", b"", b"x" * DATAGRAM_BYTES_MAX):
            client.sendto(data, target.getsockname())
        assert mmsg.receive(target.fileno(), batch) == 3
        expected = [(data, address(client)) for data in (b"one", b"", b"x" * DATAGRAM_BYTES_MAX)]
        assert list(batch) == expected
    assert mmsg.receive(target.fileno(), batch) == 0
    assert len(batch) == 0
    counters = mmsg.counters()
    assert counters["received"] == 3
    assert counters["received_bytes"] == 3 + DATAGRAM_BYTES_MAX


def test_sends_each_datagram_by_the_family_of_its_address(sockets: Sockets) -> None:
    """Interleaved families in one batch all arrive, from the right socket."""
    mmsg = mmsg_of(sockets)
    with udp_socket(socket.AF_INET) as v4, udp_socket(socket.AF_INET6) as v6:
        targets = [v4, v6, v6, v4, v4]
        data = [bytes([number]) * 20 for number in range(5)]
        batch = batch_of(*((d, address(t)) for d, t in zip(data, targets, strict=True)))
        assert mmsg.send(batch) == 5
        for family, client in ((socket.AF_INET, v4), (socket.AF_INET6, v6)):
            for number, target in enumerate(targets):
                if target is client:
                    received, sender = client.recvfrom(100)
                    assert received == data[number]
                    assert sender[:2] == sockets[family].getsockname()[:2]
    assert mmsg.counters()["sent"] == 5
    assert mmsg.counters()["sent_bytes"] == 100


def test_more_waiting_than_the_batch_holds_comes_with_the_next_call(sockets: Sockets) -> None:
    """Nothing is lost between two calls."""
    mmsg, target = mmsg_of(sockets), sockets[socket.AF_INET]
    batch = Batch(4, 4 * DATAGRAM_BYTES_MAX)
    with udp_socket(socket.AF_INET) as client:
        for number in range(10):
            client.sendto(bytes([number]), target.getsockname())
    seen = []
    while mmsg.receive(target.fileno(), batch):
        seen += [data[0] for data, _ in batch]
    assert seen == list(range(10))


def test_a_batch_above_one_system_call_is_sent_whole(sockets: Sockets) -> None:
    """The kernel takes at most 1,024 messages in a call."""
    mmsg = mmsg_of(sockets)
    batch = Batch(3_000, 2**20)
    with udp_socket(socket.AF_INET) as client:
        target = address(client)
        for _ in range(3_000):
            assert batch.append(b"x", target)
        assert mmsg.send(batch) == 3_000
    assert mmsg.counters()["send_calls"] >= 3


def test_a_datagram_that_is_too_long_is_counted_and_left_out(sockets: Sockets) -> None:
    """Its neighbours are not disturbed."""
    mmsg, target = mmsg_of(sockets), sockets[socket.AF_INET]
    batch = Batch()
    with udp_socket(socket.AF_INET) as client:
        for data in (b"before", b"x" * (DATAGRAM_BYTES_MAX + 1), b"after"):
            client.sendto(data, target.getsockname())
    assert mmsg.receive(target.fileno(), batch) == 2
    assert [data for data, _ in batch] == [b"before", b"after"]
    assert mmsg.counters()["truncated"] == 1
    assert mmsg.counters()["received"] == 2


@pytest.mark.parametrize(
    ("host", "reason"),
    [("::1", "no_socket"), ("255.255.255.255", "other"), ("127.0.0.1:0", "other")],
)
def test_what_the_kernel_refuses_is_counted_and_the_rest_goes_out(host: str, reason: str) -> None:
    """No socket of that family, broadcast without leave, port 0; the next datagram is sent."""
    with udp_socket(socket.AF_INET) as own, udp_socket(socket.AF_INET) as client:
        mmsg = Mmsg(own.fileno(), -1)
        bad = pack_address(
            host.partition(":0")[0] if "." in host else host, 0 if ":0" in host else 9
        )
        good = address(client)
        assert mmsg.send(batch_of((b"a", good), (b"b", bad), (b"c", good))) == 2
        assert [client.recv(10), client.recv(10)] == [b"a", b"c"]
        counters = mmsg.counters()
        refused = {k: v for k, v in counters.items() if k.startswith("dropped_") and v}
        assert sum(refused.values()) == 1
        assert reason == "other" or refused == {"dropped_no_socket": 1}


def test_an_unreachable_network_is_counted() -> None:
    """A socket bound to loopback has no way out."""
    with udp_socket(socket.AF_INET) as own:
        mmsg = Mmsg(own.fileno(), -1)
        assert mmsg.send(batch_of((b"x", pack_address("192.0.2.1", 9)))) == 0
        counters = mmsg.counters()
        assert counters["dropped_unreachable"] + counters["dropped_other"] == 1


def test_a_closed_port_is_counted_as_refused() -> None:
    """On a connected socket the kernel tells of the ICMP answer at the next call."""
    with udp_socket(socket.AF_INET) as own, udp_socket(socket.AF_INET) as gone:
        target, name = address(gone), gone.getsockname()
        own.connect(name)
        gone.close()
        mmsg = Mmsg(own.fileno(), -1)
        for _ in range(4):
            mmsg.send(batch_of((b"x", target)))
        counters = mmsg.counters()
        assert counters["dropped_refused"] >= 1
        assert counters["sent"] + counters["dropped_refused"] == 4
        mmsg.send(batch_of((b"x", target)))
        assert mmsg.receive(own.fileno(), Batch()) == 0, "the socket itself is sound"


def test_a_full_socket_buffer_drops_and_counts_and_never_queues() -> None:
    """What waits now would only arrive late.

    Loopback never fills a UDP socket's send buffer, so a stream nobody reads stands in: the kernel
    answers EAGAIN in the same way, and ignores the address.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as own, server.accept()[0] as reader:
            own.setblocking(False)
            mmsg = Mmsg(own.fileno(), -1)
            batch = batch_of(*((bytes(2_000), pack_address("127.0.0.1", 9)) for _ in range(64)))
            while not mmsg.counters()["dropped_would_block"]:
                mmsg.send(batch)
            before = mmsg.counters()["dropped_would_block"]
            assert mmsg.send(batch) == 0
            counters = mmsg.counters()
            assert counters["dropped_would_block"] == before + 64
            own.shutdown(socket.SHUT_WR)
            arrived = sum(len(piece) for piece in iter(lambda: reader.recv(2**20), b""))
            assert arrived == counters["sent_bytes"]


def test_a_socket_that_fails_itself_raises() -> None:
    """A closed descriptor is no remote fault."""
    mmsg = Mmsg(-1, -1)
    with pytest.raises(OSError):
        mmsg.receive(-1, Batch())


def test_nothing_to_send_costs_no_system_call() -> None:
    """An empty batch is no reason to ask the kernel."""
    mmsg = Mmsg(-1, -1)
    assert mmsg.send(Batch()) == 0
    assert mmsg.counters()["send_calls"] == 0


@pytest.mark.parametrize("is_stamped", [False, True])
def test_lost_in_the_kernel_is_told(sockets: Sockets, is_stamped: bool) -> None:
    """With SO_RXQ_OVFL the kernel says how many it had to throw away."""
    mmsg, target = mmsg_of(sockets), sockets[socket.AF_INET]
    target.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    target.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, is_stamped)
    target.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    batch = Batch()
    with udp_socket(socket.AF_INET) as client:
        for _ in range(100):
            client.sendto(bytes(500), target.getsockname())
        taken = 0
        while got := mmsg.receive(target.fileno(), batch):
            taken += got
        client.sendto(b"last", target.getsockname())
        taken += mmsg.receive(target.fileno(), batch)
    assert 0 < taken < 101
    assert mmsg.counters()["kernel_drops"] == 101 - taken


@pytest.mark.parametrize("family", FAMILIES)
def test_how_long_the_first_has_waited_is_told_where_the_kernel_stamps(
    sockets: Sockets, family: socket.AddressFamily
) -> None:
    mmsg, target = mmsg_of(sockets), sockets[family]
    batch = Batch()
    with udp_socket(family) as client:
        client.sendto(b"unstamped", target.getsockname())
        assert mmsg.receive(target.fileno(), batch) == 1
        assert batch.waited_s == 0.0
        target.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        target.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        await_stamps(mmsg, target, client)
        began = time.monotonic()
        client.sendto(b"first", target.getsockname())
        time.sleep(0.03)
        client.sendto(b"second", target.getsockname())
        assert mmsg.receive(target.fileno(), batch) == 2
        assert 0.03 <= batch.waited_s <= time.monotonic() - began + 0.001
        client.sendto(b"third", target.getsockname())
        assert mmsg.receive(target.fileno(), batch) == 1
        assert batch.waited_s < 0.03
    batch.clear()
    assert batch.waited_s == 0.0


def await_stamps(mmsg: Mmsg, target: socket.socket, client: socket.socket) -> None:
    """The kernel begins to stamp a moment after the first socket has asked for it; until then it
    gives the time of reading.
    """
    batch, deadline = Batch(), time.monotonic() + 5.0
    while batch.waited_s < 0.002:
        assert time.monotonic() < deadline, "the kernel stamps nothing"
        client.sendto(b"x", target.getsockname())
        time.sleep(0.002)
        mmsg.receive(target.fileno(), batch)


def test_addresses_survive_the_kernel(sockets: Sockets) -> None:
    """What was received from can be sent to."""
    mmsg = mmsg_of(sockets)
    for family, own in sockets.items():
        with udp_socket(family) as client:
            client.sendto(b"ping", own.getsockname())
            batch = Batch()
            assert mmsg.receive(own.fileno(), batch) == 1
            host, port = client.getsockname()[:2]
            assert unpack_address(batch[0][1]) == (host, port)
            assert mmsg.send(batch) == 1
            assert client.recv(10) == b"ping"


@pytest.mark.parametrize("family", FAMILIES)
def test_what_follows_each_other_to_one_address_leaves_in_one_segmented_send(
    sockets: Sockets, family: socket.AddressFamily
) -> None:
    """It arrives as the datagrams it was, in both families."""
    mmsg = Mmsg(sockets[socket.AF_INET].fileno(), sockets[socket.AF_INET6].fileno())
    with udp_socket(family) as first, udp_socket(family) as second:
        said = [b"a" * 100, b"b" * 100, b"c" * 60, b"d" * 60, b"e" * 61]
        outbox = batch_of(
            *((data, address(first)) for data in said),
            *((data, address(second)) for data in said[:2]),
        )
        assert mmsg.send(outbox) == 7
        assert [first.recv(2048) for _ in said] == said
        assert [second.recv(2048) for _ in range(2)] == said[:2]
    counters = mmsg.counters()
    # a b c | d | e: a longer one begins a new send; then the second address.
    assert counters["segmented"] == 5
    assert counters["sent"] == 7
    assert counters["sent_bytes"] == sum(map(len, said)) + 200


def test_segments_are_no_more_than_the_kernel_takes(sockets: Sockets) -> None:
    mmsg = Mmsg(sockets[socket.AF_INET].fileno(), -1)
    with udp_socket(socket.AF_INET) as there:
        assert mmsg.send(batch_of(*((bytes([n]) * 50, address(there)) for n in range(150)))) == 150
        assert [there.recv(2048)[0] for _ in range(150)] == list(range(150))
    assert mmsg.counters()["segmentation_refused"] == 0


def test_without_segments_each_datagram_is_a_send_of_its_own(sockets: Sockets) -> None:
    mmsg = Mmsg(sockets[socket.AF_INET].fileno(), -1, segments=False)
    with udp_socket(socket.AF_INET) as there:
        assert mmsg.send(batch_of(*((b"x" * 50, address(there)) for _ in range(3)))) == 3
        assert [there.recv(2048) for _ in range(3)] == [b"x" * 50] * 3
    assert mmsg.counters()["segmented"] == 0


def test_where_the_kernel_refuses_segments_the_datagrams_go_one_by_one() -> None:
    """A socket that sends without checksums is refused segmentation; everything still arrives."""
    with udp_socket(socket.AF_INET) as here, udp_socket(socket.AF_INET) as there:
        here.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        mmsg = Mmsg(here.fileno(), -1)
        outbox = batch_of(*((bytes([n]) * 50, address(there)) for n in range(5)))
        assert mmsg.send(outbox) == 5
        assert [there.recv(2048)[0] for _ in range(5)] == list(range(5))
        assert not mmsg.segments
        assert mmsg.send(outbox) == 5
    assert mmsg.counters()["segmentation_refused"] == 1
