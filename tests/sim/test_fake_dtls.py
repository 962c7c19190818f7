"""The simulated DTLS: agreement on keys under loss, fingerprints, close, stray input."""

from __future__ import annotations

import random

import pytest

from sfu.transport.dtls import DtlsEndpoint, DtlsFactory, DtlsState, SrtpProfile
from tests.sim.fake_dtls import (
    CERTIFICATE_BYTES,
    PROFILES,
    FakeDtlsClient,
    FakeDtlsFactory,
    FakeDtlsServer,
    client_for,
    fingerprint_of,
)


def pair(
    profiles: tuple[SrtpProfile, ...] = PROFILES, promise: str | None = None, pin: str | None = None
) -> tuple[FakeDtlsClient, FakeDtlsServer]:
    """Both ends; `promise` is what the client's SDP says, `pin` what it expects of the server."""
    factory, rng = FakeDtlsFactory("server"), random.Random("client")
    certificate = rng.randbytes(CERTIFICATE_BYTES)
    server = factory.accept((("sha-256", promise or fingerprint_of(certificate)),))
    return client_for(rng, certificate, pin or factory.fingerprint, profiles), server


def exchange(
    client: FakeDtlsClient,
    server: FakeDtlsServer,
    rng: random.Random | None = None,
    loss: float = 0,
) -> float:
    """Run both in steps of 10 ms with a step of latency until neither has anything to do."""
    chance = rng.random if rng else lambda: 1.0
    client.start(0.0)
    now = 0.0
    while now < 120.0:
        to_server = [d for d in client.datagrams_to_send() if chance() >= loss]
        to_client = [d for d in server.datagrams_to_send() if chance() >= loss]
        if not to_server and not to_client and client.next_deadline() is None:
            break
        now += 0.01
        for datagram in to_server:
            assert 20 <= datagram[0] <= 63 and len(datagram) <= 1_200
            server.receive(datagram, now)
        for datagram in to_client:
            assert 20 <= datagram[0] <= 63 and len(datagram) <= 1_200
            client.receive(datagram, now)
        for end in (client, server):
            end.handle_timer(now)
    return now


def test_it_keeps_the_contract_of_the_transport() -> None:
    factory: DtlsFactory = FakeDtlsFactory("seed")
    endpoint: DtlsEndpoint = factory.accept(())
    assert endpoint.state is DtlsState.NEW
    assert endpoint.next_deadline() is None


@pytest.mark.parametrize("profile", PROFILES)
def test_both_sides_agree_on_keys(profile: SrtpProfile) -> None:
    client, server = pair((profile,))
    exchange(client, server)
    assert client.state is server.state is DtlsState.CONNECTED
    mine, theirs = client.srtp_keys(), server.srtp_keys()
    assert mine.profile is theirs.profile is profile
    assert (mine.send, mine.receive) == (theirs.receive, theirs.send)
    assert mine.send != mine.receive
    assert len(mine.send) == profile.key_bytes + profile.salt_bytes


def test_the_preferred_profile_wins() -> None:
    client, server = pair(tuple(reversed(PROFILES)))
    exchange(client, server)
    assert server.srtp_keys().profile is PROFILES[0]


@pytest.mark.parametrize("seed", range(50))
def test_a_third_of_all_datagrams_may_be_lost(seed: int) -> None:
    client, server = pair()
    exchange(client, server, random.Random(seed), loss=0.33)
    assert client.state is server.state is DtlsState.CONNECTED
    assert client.srtp_keys().send == server.srtp_keys().receive


def test_another_certificate_than_promised_fails() -> None:
    client, server = pair(promise="00:11")
    exchange(client, server)
    assert server.state is DtlsState.FAILED
    assert client.state is DtlsState.FAILED, "it gives up after its repetitions"


def test_a_client_refuses_another_server() -> None:
    client, server = pair(pin="00:11")
    exchange(client, server)
    assert client.state is DtlsState.FAILED
    assert server.state is not DtlsState.CONNECTED


def test_close_notify_closes_the_other_side_and_only_once() -> None:
    client, server = pair()
    exchange(client, server)
    server.close()
    server.close()
    (notify,) = server.datagrams_to_send()
    assert 20 <= notify[0] <= 63
    client.receive(notify, 1.0)
    assert client.state is server.state is DtlsState.CLOSED


def test_a_close_before_the_keys_is_silent() -> None:
    _, server = pair()
    server.close()
    assert server.state is DtlsState.CLOSED
    assert server.datagrams_to_send() == []


def test_damaged_and_foreign_datagrams_change_nothing() -> None:
    client, server = pair()
    exchange(client, server)
    rng = random.Random(1)
    for _ in range(2_000):
        server.receive(bytes((rng.choice((21, 22)),)) + rng.randbytes(rng.randrange(64)), 1.0)
    for length in range(3):
        server.receive(bytes((21, 0, 0))[:length], 1.0)
    assert server.state is DtlsState.CONNECTED


def test_every_truncation_of_a_hello_is_survived() -> None:
    client, server = pair()
    client.start(0.0)
    (hello,) = client.datagrams_to_send()
    for length in range(1, len(hello)):
        _, fresh = pair()
        fresh.receive(hello[:length], 0.0)
        assert fresh.state in (DtlsState.NEW, DtlsState.FAILED)
    server.receive(hello, 0.0)
    assert server.state is DtlsState.CONNECTING


def test_a_server_nobody_answers_gives_up() -> None:
    client, server = pair()
    client.start(0.0)
    server.receive(client.datagrams_to_send()[0], 0.0)
    repeated = 0
    while (deadline := server.next_deadline()) is not None:
        server.datagrams_to_send()
        server.handle_timer(deadline)
        repeated += 1
    assert server.state is DtlsState.FAILED
    assert repeated > 5
