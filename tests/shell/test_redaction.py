"""Addresses of others are shortened in log lines, and nothing else is."""

from __future__ import annotations

import json
from collections import deque
from ipaddress import IPv6Address, ip_address, ip_interface, ip_network
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.shell.endpoint import Endpoint
from sfu.shell.redaction import redact, shortened


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.7", "203.0.113.x"),
        ("from 203.0.113.7:4242, then", "from 203.0.113.x:4242, then"),
        ("2001:db8:1:2::7", "2001:db8:1:x"),
        ("[2001:db8:1:2::7]:4242", "[2001:db8:1:x]:4242"),
        ("('2001:db8::1', 5)", "('2001:db8:0:x', 5)"),
        ("it was 2001:db8::1.", "it was 2001:db8:0:x."),
        ("it was 203.0.113.7.", "it was 203.0.113.x."),
        ("203.0.113.7...", "203.0.113.x..."),
        ("2001:db8:1::7: refused", "2001:db8:1:x: refused"),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.x"),
        ("::ffff:cb00:7107", "::ffff:203.0.113.x"),
        ("fe80::1%eth0", "fe80:0:0:x%eth0"),
        ("peer:2001:db8::1", "peer:2001:db8:0:x"),
        ("node:2001:db8:1:2:3:4:5:6", "node:2001:db8:1:x"),
        ("to2001:db8:1:2:3:4:5:6", "to2001:db8:1:x"),
        ("peer_2001:db8::1_gone", "peer_2001:db8:0:x_gone"),
        ("[2001:db8::1]:4000", "[2001:db8:0:x]:4000"),
        ("udp://[2001:db8::1]:4000/", "udp://[2001:db8:0:x]:4000/"),
        ("2001:db8:1:2:3:4:5:6:4000", "2001:db8:1:x"),
        ("2001:db8::1.4000", "2001:db8:0:x.4000"),
        ("2001:db8::1->2001:db8::2", "2001:db8:0:x->2001:db8:0:x"),
        ("2001:DB8::1/64", "2001:db8:0:x/64"),
        ("peer::ffff:203.0.113.7:4000", "peer::ffff:203.0.113.x:4000"),
        ("peer:203.0.113.7", "peer:203.0.113.x"),
        ("peer.203.0.113.7", "peer.203.0.113.x"),
        ("203.0.113.007", "203.0.113.x"),
    ],
)
def test_an_address_keeps_its_network(text: str, expected: str) -> None:
    assert shortened(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:7800",
        "0.0.0.0",
        "::1",
        "::",
        "2026-01-02T03:04:05.678Z",
        "12:34:56",
        "participant: a",
        "AB:CD:EF:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D",
        "1.2.3",
        "1.2.3.4.5",
        "999.999.999.999",
        "std::vector",
        "Foo::bad::call",
        "peer:::1",
        "AB:CD:EF:01:02:03",
        "10:00:00 to 12:00:00, at 3:4",
    ],
)
def test_what_is_no_address_of_others_stays(text: str) -> None:
    assert shortened(text) == text


def test_lists_maps_and_numbers_are_looked_into() -> None:
    event = {"event": "bug", "at": ["203.0.113.7"], "of": {"a": "203.0.113.8"}, "n": 7}
    assert redact(None, "error", event) == {
        "event": "bug",
        "at": ["203.0.113.x"],
        "of": {"a": "203.0.113.x"},
        "n": 7,
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ip_address("203.0.113.7"), "203.0.113.x"),
        (ip_address("2001:db8:1::7"), "2001:db8:1:x"),
        (ip_address("127.0.0.1"), "127.0.0.1"),
        (ip_interface("203.0.113.7/24"), "203.0.113.x/24"),
        (ip_network("203.0.113.7/32"), "203.0.113.x/32"),
        (("203.0.113.7", 4000), ["203.0.113.x", 4000]),
        (Endpoint("203.0.113.7", 4000), ["203.0.113.x", 4000]),
        (frozenset({ip_address("203.0.113.7")}), ["203.0.113.x"]),
        (deque(["203.0.113.7"]), ["203.0.113.x"]),
        (OSError(113, "No route to 203.0.113.7"), "OSError(113, 'No route to 203.0.113.x')"),
        (SimpleNamespace(host="203.0.113.7"), "namespace(host='203.0.113.x')"),
        (b"203.0.113.7", "<11 bytes>"),
        (bytearray(b"\xcb\x00q\x07"), "<4 bytes>"),
        (memoryview(b"\xcb\x00q\x07"), "<4 bytes>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_address_in_any_kind_of_value_is_shortened(value: object, expected: object) -> None:
    assert shortened(value) == expected


def test_what_has_nothing_to_do_with_addresses_keeps_its_kind() -> None:
    event = {"event": "joined", "n": 7, "ratio": 0.5, "is_late": True, "why": None, "at": (1, 2)}
    assert redact(None, "info", dict(event)) == event | {"at": [1, 2]}


def test_names_in_maps_are_shortened_and_none_is_lost() -> None:
    hosts = {
        "203.0.113.7": 1,
        ip_address("203.0.113.8"): 2,
        ("203.0.113.9", 4): 3,
        b"\xcb\x00q\x07": 4,
        7: 5,
    }
    assert shortened({"by": hosts}) == {
        "by": {
            "203.0.113.x": 1,
            "203.0.113.x (2)": 2,
            "('203.0.113.x', 4)": 3,
            "<4 bytes>": 4,
            "7": 5,
        }
    }


def test_names_of_fields_are_looked_at_too() -> None:
    assert redact(None, "info", {"event": "x", "203.0.113.7": 1}) == {
        "event": "x",
        "203.0.113.x": 1,
    }


def test_values_within_themselves_end() -> None:
    endless: list[object] = ["203.0.113.7"]
    endless.append(endless)
    text = json.dumps(shortened(endless))
    assert "203.0.113.x" in text and "203.0.113.7" not in text


def test_a_value_that_cannot_be_told_is_named_by_its_kind() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise ValueError

    assert shortened(Mute()) == "<Mute>"


@given(
    st.lists(st.integers(0, 0x999) | st.just(0), min_size=6, max_size=6),
    st.sampled_from(["", "peer:", "n", "x.", "face:", "node:", "face.", "[", "=", "('", "/", "_"]),
    st.sampled_from(["", ":4000", "]:4000", ".", ",", "_", "/64", "%eth0", "')", "z", ".4000"]),
    st.booleans(),
)
def test_no_address_gets_through_whatever_is_around_it(
    groups: list[int], before: str, after: str, is_long: bool
) -> None:
    host = "abcd"  # which is in no other group
    address = IPv6Address(":".join(f"{group:x}" for group in (0x2001, *groups)) + f":{host}")
    text = address.exploded if is_long else str(address)
    assert host not in shortened(f"{before}{text}{after}")


def test_the_daemons_own_addresses_stay() -> None:
    line = {"event": "listening", "candidates": ["203.0.113.7 7800"]}
    assert redact(None, "info", dict(line)) == line


@given(st.text() | st.ip_addresses().map(str))
def test_no_text_is_too_strange_and_no_whole_address_is_left(text: str) -> None:
    once = shortened(text)
    assert shortened(once) == once


@given(st.ip_addresses(network="2000::/3") | st.ip_addresses(network="100.64.0.0/10"))
def test_every_address_of_others_is_shortened(address: object) -> None:
    assert str(address) not in shortened(f"from {address} and on")
