"""Addresses as people write them."""

from __future__ import annotations

import pytest

from control.endpoint import Endpoint, TcpEndpoint, UnixEndpoint, parse_endpoint


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:80", TcpEndpoint("127.0.0.1", 80)),
        ("host", TcpEndpoint("host", 7700)),
        ("[::1]:0", TcpEndpoint("::1", 0)),
        ("[::1]", TcpEndpoint("::1", 7700)),
        ("::1", TcpEndpoint("::1", 7700)),
        ("unix:/run/a:b.sock", UnixEndpoint("/run/a:b.sock")),
    ],
)
def test_an_address_is_read_and_written(text: str, endpoint: Endpoint) -> None:
    """What is written is read back as the same."""
    assert parse_endpoint(text) == endpoint
    assert parse_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize("text", ["", ":80", "unix:", "h:x", "h:65536", "[::1", "[::1]x", "h:²"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """With the text in the message."""
    with pytest.raises(ValueError):
        parse_endpoint(text)


def test_what_only_this_machine_can_reach() -> None:
    """Names are not resolved to find out."""
    local = ("127.0.0.1", "127.8.8.8", "[::1]", "localhost", "unix:/x")
    assert all(parse_endpoint(text).is_local for text in local)
    assert not any(parse_endpoint(text).is_local for text in ("0.0.0.0", "[::]", "10.0.0.1", "me"))
