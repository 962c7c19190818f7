"""Whatever arrives as DTLS: nothing is raised, and no other connection notices."""

from __future__ import annotations

import pytest

from sfu.shell.dtls_openssl import OpensslDtls, OpensslEndpoint
from sfu.transport.dtls import DtlsState
from tests.fuzz.mutations import MUTATIONS, mutations, truncations
from tests.shell.dtls_client import DtlsClient


@pytest.fixture(scope="module")
def factory() -> OpensslDtls:
    """One certificate for all."""
    return OpensslDtls()


class Bystander:
    """An established connection that must stay whole while others are attacked."""

    def __init__(self, factory: OpensslDtls) -> None:
        self.client = DtlsClient()
        self.endpoint = factory.accept(self.client.fingerprints())
        flight = self.client.start()
        self.flights = [flight]
        while flight:
            for datagram in flight:
                self.endpoint.receive(datagram, 0.0)
            flight = self.client.receive(self.endpoint.datagrams_to_send())
            self.flights.append(flight)
        self.check()

    def check(self) -> None:
        """Application data still passes unremarked."""
        self.client.connection.send(b"still here")
        for datagram in self.client.take():
            self.endpoint.receive(datagram, 0.0)
        assert self.endpoint.state is DtlsState.CONNECTED

    def close(self) -> None:
        """And the end still is understood."""
        for datagram in self.client.close():
            self.endpoint.receive(datagram, 0.0)
        assert self.endpoint.state is DtlsState.CLOSED


def exercise(endpoint: OpensslEndpoint, datagram: bytes) -> None:
    """Everything that a transport does with an endpoint."""
    endpoint.receive(datagram, 0.0)
    endpoint.handle_timer(0.0)
    endpoint.next_deadline()
    assert all(len(answer) <= 1_200 for answer in endpoint.datagrams_to_send())


def test_damaged_hellos(factory: OpensslDtls) -> None:
    bystander = Bystander(factory)
    hellos = DtlsClient().start() + DtlsClient(mtu=600, hello_bytes=1_200).start()
    states = set()
    damaged = mutations(hellos, seed="hello", count=MUTATIONS)
    attempts = [datagram for datagram in (*truncations(hellos), *damaged) if datagram]
    for number, datagram in enumerate(attempts):
        endpoint = factory.accept(bystander.client.fingerprints())
        exercise(endpoint, datagram)
        states.add(endpoint.state)
        assert endpoint.state is not DtlsState.CONNECTED
        endpoint.close()
        if number % 50 == 0:
            bystander.check()
    assert states == {DtlsState.CONNECTING, DtlsState.FAILED}
    bystander.close()


def test_damaged_certificates_and_proofs(factory: OpensslDtls) -> None:
    """Each endpoint has had a good hello; then comes damage of what follows it."""
    bystander = Bystander(factory)
    hello = bystander.flights[0]
    proofs = bystander.flights[1]
    for number, datagram in enumerate(mutations(proofs, seed="proofs", count=MUTATIONS // 2)):
        endpoint = factory.accept(bystander.client.fingerprints())
        exercise(endpoint, hello[0])
        exercise(endpoint, datagram)
        assert endpoint.state is not DtlsState.CONNECTED
        endpoint.close()
        if number % 50 == 0:
            bystander.check()
    bystander.close()


def test_damage_after_the_handshake_does_not_end_it(factory: OpensslDtls) -> None:
    """Nothing unauthentic, a forged alert included, touches an established connection."""
    bystander, target = Bystander(factory), Bystander(factory)
    target.client.connection.send(b"payload")
    records = [record for flight in target.flights for record in flight] + target.client.take()
    records += [b"\x15\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x02\x02\x28"]
    records += [b"\x15\xfe\xfd\x00\x01" + bytes(6) + b"\x00\x02\x01\x00"]
    attempts = [*truncations(records), *mutations(records, seed="records")]
    for number, datagram in enumerate(attempts):
        exercise(target.endpoint, datagram)
        assert target.endpoint.state is DtlsState.CONNECTED, datagram.hex()
        if number % 500 == 0:
            bystander.check()
            target.check()
    target.close()
    bystander.close()
