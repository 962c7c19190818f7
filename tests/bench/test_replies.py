"""A client's answers to a server's connectivity checks, judged by an independent STUN library."""

from __future__ import annotations

import pytest
from aioice import stun

from bench.replies import Replies

PWD = "the-clients-own-password"


def request(pwd: str = PWD) -> bytes:
    """What a server sends."""
    message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    message.attributes["USERNAME"] = "client:server"
    message.attributes["PRIORITY"] = 1
    message.add_message_integrity(pwd.encode())
    return bytes(message)


@pytest.mark.parametrize("address", [("198.18.0.1", 40_000), ("2001:2::1", 7)])
def test_a_check_is_answered_with_the_servers_own_address(address: tuple[str, int]) -> None:
    data = request()
    reply = Replies(PWD, address).reply(data)
    assert reply is not None
    parsed = stun.parse_message(reply)
    assert parsed.check_message_integrity(PWD.encode())
    assert parsed.message_class is stun.Class.RESPONSE
    assert parsed.transaction_id == data[8:20]
    assert parsed.attributes["XOR-MAPPED-ADDRESS"] == address


@pytest.mark.parametrize(
    "data",
    [
        b"",
        request("another password"),
        request()[:-20],
        b"\x00\x11" + request()[2:],
        request()[:4] + bytes(4) + request()[8:],
        request()[:20] + b"\x80\x00\xff\xff" + request()[20:],
    ],
)
def test_anything_else_is_not_answered(data: bytes) -> None:
    assert Replies(PWD, ("198.18.0.1", 1)).reply(data) is None
