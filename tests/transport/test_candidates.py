"""Which addresses clients are told, and in which order."""

from __future__ import annotations

import pytest

from sfu.transport.candidates import (
    CANDIDATES_MAX,
    Announcement,
    Candidate,
    Endpoint,
    Interface,
    candidates_for,
)

ANY = [Endpoint("0.0.0.0", 7800), Endpoint("::", 7800)]
LAN = [
    Interface("lo", "127.0.0.1"),
    Interface("lo", "::1"),
    Interface("eth0", "192.0.2.5"),
    Interface("eth0", "2001:db8::5"),
    Interface("eth0", "fe80::5%eth0"),
    Interface("docker0", "172.17.0.1"),
    Interface("veth12ab", "203.0.113.7"),
    Interface("cali0", "203.0.113.8"),
    Interface("br-0af1", "172.18.0.1"),
    Interface("wlan0", "169.254.3.4"),
    Interface("wlan0", "198.51.100.6"),
]


def hosts(candidates: tuple[Candidate, ...]) -> list[str]:
    """The hosts in order."""
    return [candidate.host for candidate in candidates]


def test_interfaces_that_a_client_may_reach_ip_versions_in_turns() -> None:
    assert hosts(candidates_for(ANY, (), LAN)) == ["2001:db8::5", "192.0.2.5", "198.51.100.6"]


def test_only_ip_versions_that_are_listened_on() -> None:
    assert hosts(candidates_for(ANY[:1], (), LAN)) == ["192.0.2.5", "198.51.100.6"]
    assert hosts(candidates_for(ANY[1:], (), LAN)) == ["2001:db8::5"]


def test_loopback_when_there_is_nothing_else() -> None:
    assert hosts(candidates_for(ANY, (), LAN[:2])) == ["::1", "127.0.0.1"]


def test_loopback_when_it_is_what_is_listened_on() -> None:
    assert hosts(candidates_for([Endpoint("127.0.0.1", 7800)], (), LAN)) == ["127.0.0.1"]
    both = [Endpoint("127.0.0.1", 7800), Endpoint("192.0.2.5", 7800)]
    assert hosts(candidates_for(both, (), LAN)) == ["127.0.0.1", "192.0.2.5"]


def test_announced_addresses_replace_the_interfaces() -> None:
    announce = [Announcement("203.0.113.9"), Announcement("2001:db8::9", 443)]
    assert [(c.host, c.port) for c in candidates_for(ANY, announce, LAN)] == [
        ("203.0.113.9", 7800),
        ("2001:db8::9", 443),
    ]


def test_announced_and_internal_together_the_announced_first() -> None:
    announce = [Announcement("203.0.113.9", also_internal=True)]
    found = hosts(candidates_for(ANY, announce, LAN))
    assert found == ["203.0.113.9", "2001:db8::5", "192.0.2.5", "198.51.100.6"]


def test_the_same_address_is_told_once() -> None:
    announce = [Announcement("192.0.2.5", also_internal=True)]
    assert hosts(candidates_for(ANY[:1], announce, LAN)).count("192.0.2.5") == 1


def test_an_announced_address_needs_a_socket_of_its_ip_version() -> None:
    with pytest.raises(ValueError, match="IPv6"):
        candidates_for(ANY[:1], [Announcement("2001:db8::9")], LAN)


def test_names_are_not_resolved_here() -> None:
    with pytest.raises(ValueError, match=r"example\.org"):
        candidates_for(ANY, [Announcement("example.org")], LAN)


def test_no_address_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="announce"):
        candidates_for(ANY, (), ())


def test_priorities_fall_and_are_those_of_host_candidates() -> None:
    found = candidates_for(ANY, (), LAN)
    assert found[0].priority == 2_130_706_431
    priorities = [candidate.priority for candidate in found]
    assert priorities == sorted(priorities, reverse=True) and len(set(priorities)) == 3
    assert all(priority >> 24 == 126 and priority & 0xFF == 255 for priority in priorities)


def test_foundations_are_shared_by_the_same_host_alone() -> None:
    listen = [Endpoint("192.0.2.5", 7800), Endpoint("192.0.2.5", 443), Endpoint("192.0.2.6", 7800)]
    first, second, third = candidates_for(listen)
    assert first.foundation == second.foundation != third.foundation


def test_the_attribute_line() -> None:
    (candidate,) = candidates_for([Endpoint("192.0.2.5", 7800)])
    assert candidate.attribute() == "candidate:1 1 udp 2130706431 192.0.2.5 7800 typ host"


def test_a_host_with_many_addresses_tells_a_few() -> None:
    many = [Interface("eth0", f"192.0.2.{n}") for n in range(1, 50)]
    assert len(candidates_for(ANY, (), many)) == CANDIDATES_MAX
