"""Rates per source, which strangers exhaust and participants do not."""

from __future__ import annotations

from sfu.transport.address import pack_address
from sfu.transport.limits import StunLimiter, TokenBucket


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    bucket = TokenBucket(10.0, 3.0, now=0.0)
    assert [bucket.take(0.0) for _ in range(5)] == [True, True, True, False, False]
    assert bucket.take(0.1) and not bucket.take(0.1)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_stranger_runs_dry_without_harm_to_others() -> None:
    limiter = StunLimiter()
    stranger, other = pack_address("192.0.2.1", 1), pack_address("192.0.2.2", 1)
    assert sum(limiter.take(stranger, 0.0) for _ in range(500)) == 100
    assert limiter.take(other, 0.0)
    assert sum(limiter.take(stranger, 1.0) for _ in range(500)) == 50


def test_ports_of_one_host_share_a_bucket_and_so_does_an_ipv6_network() -> None:
    limiter = StunLimiter(burst=1.0)
    assert limiter.take(pack_address("192.0.2.1", 1), 0.0)
    assert not limiter.take(pack_address("192.0.2.1", 2), 0.0)
    assert limiter.take(pack_address("2001:db8::1", 1), 0.0)
    assert not limiter.take(pack_address("2001:db8::ffff:2", 1), 0.0)
    assert limiter.take(pack_address("2001:db8:0:1::1", 1), 0.0)


def test_authentic_messages_do_not_count() -> None:
    limiter = StunLimiter()
    office = pack_address("192.0.2.1", 1)
    for _ in range(10_000):
        assert limiter.take(office, 0.0)
        limiter.give_back(office)


def test_giving_back_never_exceeds_the_burst_nor_knows_strangers() -> None:
    limiter = StunLimiter(burst=2.0)
    address = pack_address("192.0.2.1", 1)
    limiter.give_back(address)
    assert len(limiter) == 0
    assert limiter.take(address, 0.0)
    for _ in range(5):
        limiter.give_back(address)
    assert [limiter.take(address, 0.0) for _ in range(3)] == [True, True, False]


def test_the_table_is_bounded() -> None:
    limiter = StunLimiter(sources=10)
    for host in range(50):
        limiter.take(pack_address(f"192.0.2.{host}", 1), 0.0)
    assert len(limiter) == 10
