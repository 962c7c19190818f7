"""Candidates from configuration: names resolved at boot, mistakes named."""

from __future__ import annotations

import pytest

from sfu.shell.announce import NotThereYetError, compute_candidates, list_interfaces
from sfu.shell.config import ConfigError, load
from sfu.shell.endpoint import Endpoint
from sfu.transport.candidates import Interface

ANY = [Endpoint("0.0.0.0", 7800)]
LAN = [Interface("eth0", "10.0.0.5"), Interface("docker0", "172.17.0.1")]


def candidates(*overrides: str, names: dict[str, list[str]] | None = None) -> list[str]:
    """What clients of a daemon on every IPv4 address of 10.0.0.5 are told."""

    def resolve(host: str) -> list[str]:
        try:
            return (names or {})[host]
        except KeyError:
            raise OSError(-2, "Name or service not known") from None

    found = compute_candidates(load(None, overrides), ANY, resolve=resolve, interfaces=lambda: LAN)
    return [f"{candidate.host}:{candidate.port}" for candidate in found]


def test_without_announcements_the_interfaces_count() -> None:
    assert candidates() == ["10.0.0.5:7800"]


def test_announced_addresses_stand_in_for_them() -> None:
    assert candidates('media.announce=["203.0.113.7", "203.0.113.8:443"]') == [
        "203.0.113.7:7800",
        "203.0.113.8:443",
    ]


def test_both_are_told_when_asked() -> None:
    assert candidates('media.announce=["203.0.113.7"]', "media.announce_internal=true") == [
        "203.0.113.7:7800",
        "10.0.0.5:7800",
    ]


def test_names_are_resolved_to_the_families_listened_on() -> None:
    names = {"media.example.com": ["2001:db8::1", "203.0.113.9"]}
    found = candidates('media.announce=["media.example.com:443"]', names=names)
    assert found == ["203.0.113.9:443"]


@pytest.mark.parametrize(
    ("announce", "complaint"),
    [
        ("nowhere.example", "cannot resolve nowhere.example: Name or service not known"),
        ("six.example", "six.example is 2001:db8::1, a family that is not listened on"),
        ("2001:db8::1", "2001:db8::1 is announced, but nothing listens on IPv6"),
    ],
)
def test_what_clients_could_not_use_is_an_error(announce: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        candidates(f'media.announce=["{announce}"]', names={"six.example": ["2001:db8::1"]})
    assert str(caught.value) == f"media.announce: {complaint}"


def test_a_name_that_is_not_known_may_be_later_and_one_of_another_family_is_a_mistake() -> None:
    with pytest.raises(NotThereYetError):
        candidates('media.announce=["nowhere.example"]')
    with pytest.raises(ConfigError) as caught:
        candidates('media.announce=["six.example"]', names={"six.example": ["2001:db8::1"]})
    assert not isinstance(caught.value, NotThereYetError)


def test_interfaces_without_an_address_may_have_one_later() -> None:
    with pytest.raises(NotThereYetError, match="no address to offer"):
        compute_candidates(load(None, []), ANY, interfaces=lambda: [])


def test_this_machine_has_a_loopback_interface() -> None:
    assert "127.0.0.1" in [interface.host for interface in list_interfaces()]
