"""The virtual clients' side of DTLS: what of it a server sees."""

from __future__ import annotations

from bench.handshake import Handshakes
from sfu.shell.dtls_openssl import OpensslDtls
from sfu.transport.dtls import DtlsState


def test_a_flight_is_one_datagram_as_browsers_send_it() -> None:
    server, clients = OpensslDtls(), Handshakes()
    endpoint = server.accept((("sha-256", clients.fingerprint),))
    client = clients.begin("sha-256", server.fingerprint)
    flights = [client.start()]
    for _ in range(2):
        for datagram in flights[-1]:
            endpoint.receive(datagram, 0.0)
        flights.append(
            [sent for one in endpoint.datagrams_to_send() for sent in client.receive(one)]
        )
    assert endpoint.state is DtlsState.CONNECTED
    assert client.sessions is not None
    assert [len(flight) for flight in flights] == [1, 1, 0]
    assert all(len(datagram) <= 1_200 for flight in flights for datagram in flight)
