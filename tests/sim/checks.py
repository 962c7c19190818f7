"""Connectivity checks of simulated clients, made and judged by aioice's STUN."""

from __future__ import annotations

from aioice import stun

from sfu.transport.address import pack_address


def build_check(username: str, pwd: str, transaction: bytes, tie_breaker: int) -> bytes:
    """A nominating check, as a controlling agent sends it to an ICE-lite one."""
    message = stun.Message(
        stun.Method.BINDING,
        stun.Class.REQUEST,
        transaction,
        {
            "USERNAME": username,
            "PRIORITY": 1_845_501_695,
            "ICE-CONTROLLING": tie_breaker,
            "USE-CANDIDATE": None,
        },
    )
    message.add_message_integrity(pwd.encode())
    return bytes(message)


def is_good_answer(message: stun.Message, pwd: str, asked_from: bytes) -> bool:
    """Whether this is a signed success that names the address that was asked from."""
    mapped = message.attributes.get("XOR-MAPPED-ADDRESS")
    return (
        message.message_class == stun.Class.RESPONSE
        and message.check_message_integrity(pwd.encode())
        and mapped is not None
        and pack_address(*mapped) == asked_from
    )
