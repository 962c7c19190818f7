"""Addresses of others are shortened in log lines, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
