"""After the handshake: alerts and repeated flights, held against OpenSSL's client."""

from __future__ import annotations

import time

import pytest

from sfu.shell.dtls_epilogue import Epilogue
from sfu.shell.dtls_openssl import OpensslDtls, OpensslEndpoint
from sfu.transport.dtls import DtlsState
from tests.fuzz.mutations import mutations, truncations
from tests.shell.dtls_client import DtlsClient
from tests.shell.test_dtls_openssl import connect, feed, finish

AEAD = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
)
BLOCKS = "ECDHE-ECDSA-AES128-SHA"


@pytest.fixture(scope="module")
def factory() -> OpensslDtls:
    """One certificate for all tests."""
    return OpensslDtls()


def epilogue_of(endpoint: OpensslEndpoint) -> Epilogue:
    """The keys that are left."""
    assert endpoint._epilogue is not None
    return endpoint._epilogue


@pytest.mark.parametrize("cipher", AEAD)
def test_openssl_is_freed_and_our_goodbye_is_understood(factory: OpensslDtls, cipher: str) -> None:
    client = DtlsClient(cipher=cipher)
    endpoint = connect(factory, client)
    assert client.connection.get_cipher_name() == cipher
    assert endpoint._connection is None
    endpoint.close()
    assert not client.is_closed
    client.receive(endpoint.datagrams_to_send())
    assert client.is_closed


@pytest.mark.parametrize("cipher", AEAD)
def test_the_clients_goodbye_is_heard_and_answered(factory: OpensslDtls, cipher: str) -> None:
    client = DtlsClient(cipher=cipher)
    endpoint = connect(factory, client)
    answer = feed(endpoint, client.close())
    assert endpoint.state is DtlsState.CLOSED and len(answer) == 1


@pytest.mark.parametrize("cipher", AEAD)
def test_a_lost_last_flight_is_sent_again_when_the_client_asks(
    factory: OpensslDtls, cipher: str
) -> None:
    client = DtlsClient(cipher=cipher)
    endpoint = factory.accept(client.fingerprints())
    feed(endpoint, client.receive(feed(endpoint, client.start())))  # the answer is lost
    assert endpoint.state is DtlsState.CONNECTED and not client.is_done
    for _ in range(2):
        remaining = client.connection.DTLSv1_get_timeout()
        assert remaining is not None
        time.sleep(remaining + 0.02)
        answer = feed(endpoint, client.repeat())
        assert answer
    client.receive(answer)
    assert client.is_done
    endpoint.close()
    client.receive(endpoint.datagrams_to_send())
    assert client.is_closed


def test_another_kind_of_cipher_stays_with_openssl(factory: OpensslDtls) -> None:
    client = DtlsClient(cipher=BLOCKS)
    endpoint = connect(factory, client)
    assert endpoint.state is DtlsState.CONNECTED
    assert endpoint._connection is not None and endpoint._epilogue is None
    endpoint.close()
    client.receive(endpoint.datagrams_to_send())
    assert client.is_closed


@pytest.mark.parametrize("cipher", AEAD)
def test_damaged_and_foreign_goodbyes_are_not_believed(factory: OpensslDtls, cipher: str) -> None:
    client, other = DtlsClient(cipher=cipher), DtlsClient(cipher=cipher)
    endpoint = connect(factory, client)
    connect(factory, other)
    (real,) = client.close()
    foreign = other.close()
    plain = b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28"  # a fatal alert of the first epoch
    damaged = [*truncations([real]), *mutations([real], seed=cipher, count=500)]
    for datagram in [*foreign, plain, *(data for data in damaged if real not in data)]:
        endpoint.receive(datagram, 0.0)
        assert endpoint.state is DtlsState.CONNECTED, datagram.hex()
    assert endpoint.datagrams_to_send() == []
    endpoint.receive(real, 0.0)
    assert endpoint.state is DtlsState.CLOSED


def test_nothing_but_an_authentic_flight_is_answered(factory: OpensslDtls) -> None:
    """Otherwise whoever knows the address could make the server send."""
    client = DtlsClient()
    endpoint = factory.accept(client.fingerprints())
    flight = client.receive(feed(endpoint, client.start()))
    feed(endpoint, flight)
    first_epoch = [datagram for datagram in flight if datagram[3:5] == bytes(2)]
    assert first_epoch
    assert feed(endpoint, first_epoch) == []
    assert feed(endpoint, flight) != []
    assert feed(endpoint, [b"\x16\xfe\xfd\x00\x01" + bytes(6) + b"\x00\x20" + bytes(32)]) == []


def test_a_datagram_is_read_to_a_limit(factory: OpensslDtls) -> None:
    client = DtlsClient()
    endpoint = connect(factory, client)
    (real,) = client.close()
    empty = b"\x17\xfe\xfd\x00\x01" + bytes(6) + b"\x00\x00"
    assert not epilogue_of(endpoint).receive(empty * 16 + real).is_closed
    assert epilogue_of(endpoint).receive(empty * 15 + real).is_closed


def test_a_warning_is_no_goodbye(factory: OpensslDtls) -> None:
    client = DtlsClient()
    endpoint = connect(factory, client)
    keys = epilogue_of(endpoint)
    mirror = Epilogue(keys._suite, keys._secrets, list(keys.last_flight))
    warning = mirror._seal(21, 9, bytes((1, 100)))
    assert not keys.receive(warning).is_closed, "and what we sealed ourselves is not the client's"
    finish(endpoint, client, [])
    assert endpoint.state is DtlsState.CONNECTED
