"""DTLS over OpenSSL: handshakes as browsers make them, on paths that lose, cut and reorder."""

from __future__ import annotations

import time

import pytest

from sfu.shell.dtls_openssl import (
    DATAGRAM_BYTES_MAX,
    OpensslDtls,
    OpensslEndpoint,
    fingerprint_of,
)
from sfu.transport.dtls import DtlsState, SrtpProfile
from tests.shell.dtls_client import DtlsClient, records


@pytest.fixture(scope="module")
def factory() -> OpensslDtls:
    """One certificate for all tests: making it is not what they test."""
    return OpensslDtls()


def feed(endpoint: OpensslEndpoint, datagrams: list[bytes], now: float = 0.0) -> list[bytes]:
    """Give datagrams to the endpoint, one at a time, and take its answer."""
    for datagram in datagrams:
        endpoint.receive(datagram, now)
    return endpoint.datagrams_to_send()


def finish(endpoint: OpensslEndpoint, client: DtlsClient, flight: list[bytes]) -> None:
    """Exchange flights until nobody has anything to say."""
    for _ in range(10):
        if not flight:
            return
        flight = client.receive(feed(endpoint, flight))
    raise AssertionError("the handshake does not end")


def connect(factory: OpensslDtls, client: DtlsClient) -> OpensslEndpoint:
    """A finished handshake."""
    endpoint = factory.accept(client.fingerprints())
    finish(endpoint, client, client.start())
    return endpoint


def test_handshake_gives_both_sides_the_same_keys(factory: OpensslDtls) -> None:
    client = DtlsClient()
    endpoint = connect(factory, client)
    assert endpoint.state is DtlsState.CONNECTED and client.is_done
    keys = endpoint.srtp_keys()
    material = client.keying_material(2 * 28)
    assert keys.receive == material[0:16] + material[32:44]
    assert keys.send == material[16:32] + material[44:56]
    assert endpoint.next_deadline() is None


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (
            ("SRTP_AEAD_AES_256_GCM", "SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_SHA1_80"),
            SrtpProfile.AEAD_AES_128_GCM,
        ),
        (("SRTP_AES128_CM_SHA1_80", "SRTP_AEAD_AES_128_GCM"), SrtpProfile.AEAD_AES_128_GCM),
        (("SRTP_AES128_CM_SHA1_80",), SrtpProfile.AES_CM_128_HMAC_SHA1_80),
    ],
)
def test_prefers_gcm_wherever_the_client_lists_it(
    factory: OpensslDtls, offered: tuple[str, ...], chosen: SrtpProfile
) -> None:
    endpoint = connect(factory, client := DtlsClient(offered))
    keys = endpoint.srtp_keys()
    assert keys.profile is chosen
    assert client.connection.get_selected_srtp_profile().decode() == chosen.value
    assert len(keys.send) == len(keys.receive) == chosen.key_bytes + chosen.salt_bytes


@pytest.mark.parametrize("offered", [(), ("SRTP_AEAD_AES_256_GCM",)])
def test_fails_without_a_common_srtp_profile(
    factory: OpensslDtls, offered: tuple[str, ...]
) -> None:
    assert connect(factory, DtlsClient(offered)).state is DtlsState.FAILED


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-384", "sha-512"])
def test_any_promised_fingerprint_will_do(factory: OpensslDtls, algorithm: str) -> None:
    client, other = DtlsClient(), DtlsClient()
    promised = other.fingerprints() + client.fingerprints(algorithm)
    endpoint = factory.accept(promised)
    finish(endpoint, client, client.start())
    assert endpoint.state is DtlsState.CONNECTED


def test_a_certificate_nobody_promised_fails_and_the_peer_is_told(factory: OpensslDtls) -> None:
    client, other = DtlsClient(), DtlsClient()
    endpoint = factory.accept(other.fingerprints())
    finish(endpoint, client, client.start())
    assert endpoint.state is DtlsState.FAILED
    assert client.is_closed
    with pytest.raises(AssertionError):
        endpoint.srtp_keys()


def test_flights_fit_any_path(factory: OpensslDtls) -> None:
    client = DtlsClient()
    endpoint = factory.accept(client.fingerprints())
    flight = feed(endpoint, client.start())
    while flight:
        assert all(len(datagram) <= DATAGRAM_BYTES_MAX for datagram in flight)
        flight = feed(endpoint, client.receive(flight))
    assert endpoint.state is DtlsState.CONNECTED


def test_small_records_of_a_flight_share_a_datagram(factory: OpensslDtls) -> None:
    client = DtlsClient()
    endpoint = factory.accept(client.fingerprints())
    flight = feed(endpoint, client.start())
    assert len(flight) < sum(len(records(datagram)) for datagram in flight)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0), (0, 0, 2, 1)])
def test_client_hello_in_fragments_in_any_order(
    factory: OpensslDtls, order: tuple[int, ...]
) -> None:
    """A hello with a post-quantum key share does not fit one datagram."""
    client = DtlsClient(mtu=600, hello_bytes=1_200)
    endpoint = factory.accept(client.fingerprints())
    pieces = client.start()
    assert len(pieces) == 3
    finish(endpoint, client, [pieces[index] for index in order])
    assert endpoint.state is DtlsState.CONNECTED


def wait_until_due(endpoint: OpensslEndpoint) -> None:
    """OpenSSL reads the real clock, so its timer must really have run down."""
    remaining = endpoint._connection.DTLSv1_get_timeout() if endpoint._connection else None
    assert remaining is not None and remaining <= 1.0
    time.sleep(remaining + 0.02)


def test_a_lost_flight_is_sent_again_when_due(factory: OpensslDtls) -> None:
    client = DtlsClient()
    endpoint = factory.accept(client.fingerprints())
    lost = feed(endpoint, client.start(), now=100.0)
    assert lost
    deadline = endpoint.next_deadline()
    assert deadline is not None and 100.0 < deadline <= 101.0
    endpoint.handle_timer(100.0)
    assert endpoint.datagrams_to_send() == [], "not due yet"
    wait_until_due(endpoint)
    endpoint.handle_timer(deadline)
    again = endpoint.datagrams_to_send()
    assert again
    later = endpoint.next_deadline()
    assert later is not None and later > deadline
    finish(endpoint, client, client.receive(again))
    assert endpoint.state is DtlsState.CONNECTED


def test_a_lost_last_flight_is_sent_again_when_the_client_asks(factory: OpensslDtls) -> None:
    client = DtlsClient()
    endpoint = factory.accept(client.fingerprints())
    finished = client.receive(feed(endpoint, client.start()))
    feed(endpoint, finished)  # the answer is lost
    assert endpoint.state is DtlsState.CONNECTED and not client.is_done
    remaining = client.connection.DTLSv1_get_timeout()
    assert remaining is not None
    time.sleep(remaining + 0.02)
    finish(endpoint, client, client.repeat())
    assert client.is_done and endpoint.state is DtlsState.CONNECTED


def test_close_notify_of_the_client_closes(factory: OpensslDtls) -> None:
    client = DtlsClient()
    endpoint = connect(factory, client)
    answer = feed(endpoint, client.close())
    assert endpoint.state is DtlsState.CLOSED
    assert answer, "close_notify is answered"
    assert endpoint.next_deadline() is None


def test_close_tells_the_client_once(factory: OpensslDtls) -> None:
    client = DtlsClient()
    endpoint = connect(factory, client)
    endpoint.close()
    goodbye = endpoint.datagrams_to_send()
    assert endpoint.state is DtlsState.CLOSED and goodbye
    client.receive(goodbye)
    assert client.is_closed
    endpoint.close()
    assert feed(endpoint, client.close()) == []


def test_close_before_anything_came_says_nothing(factory: OpensslDtls) -> None:
    endpoint = factory.accept(())
    assert endpoint.state.value == "new" and endpoint.next_deadline() is None
    endpoint.close()
    assert endpoint.state is DtlsState.CLOSED and endpoint.datagrams_to_send() == []


def test_application_data_is_ignored(factory: OpensslDtls) -> None:
    client = DtlsClient()
    endpoint = connect(factory, client)
    client.connection.send(b"hello")
    assert feed(endpoint, client.take()) == []
    assert endpoint.state is DtlsState.CONNECTED


def test_nonsense_instead_of_a_hello_does_not_raise(factory: OpensslDtls) -> None:
    for datagram in (b"\x16", b"\x16\xfe\xfd" + bytes(10), b"\x14" + bytes(300), b""):
        endpoint = factory.accept(())
        endpoint.receive(datagram, 0.0)
        assert endpoint.state is not DtlsState.CONNECTED


def test_the_fingerprint_is_that_of_the_certificate_shown(factory: OpensslDtls) -> None:
    client = DtlsClient()
    connect(factory, client)
    shown = client.connection.get_peer_certificate(as_cryptography=True)
    assert shown is not None
    assert factory.fingerprint == fingerprint_of(shown, "sha-256")
    assert len(factory.fingerprint.split(":")) == 32
