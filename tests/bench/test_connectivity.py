"""Connectivity checks that are built cheaply, against a STUN library."""

from __future__ import annotations

from aioice import stun

from bench.connectivity import Checks, answers

TRANSACTION = bytes(range(12))
CHECKS = Checks("mine", "theirs", "password-of-theirs", b"\x01" * 8)


def response(pwd: str = "password-of-theirs", transaction: bytes = TRANSACTION) -> bytes:
    """What a server answers."""
    message = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction)
    message.attributes["XOR-MAPPED-ADDRESS"] = ("127.0.0.1", 4321)
    message.add_message_integrity(pwd.encode())
    message.add_fingerprint()
    return bytes(message)


def test_a_check_is_an_authentic_nomination() -> None:
    """parse_message checks the fingerprint, too."""
    data = CHECKS.request(TRANSACTION)
    message = stun.parse_message(data)
    assert message.check_message_integrity(b"password-of-theirs")
    assert message.message_class == stun.Class.REQUEST
    assert message.transaction_id == TRANSACTION
    assert message.attributes["USERNAME"] == "theirs:mine"
    assert message.attributes["ICE-CONTROLLING"] == 0x0101010101010101
    assert "USE-CANDIDATE" in message.attributes and "FINGERPRINT" in message.attributes


def test_an_authentic_answer_is_taken() -> None:
    """To the very check that was sent."""
    assert CHECKS.is_success(response(), TRANSACTION)
    assert answers(response(), TRANSACTION)


def test_other_answers_are_not_taken() -> None:
    """By somebody else, to another check, cut short, or no response at all."""
    assert not CHECKS.is_success(response(pwd="another"), TRANSACTION)
    assert not CHECKS.is_success(response(transaction=bytes(12)), TRANSACTION)
    assert not CHECKS.is_success(CHECKS.request(TRANSACTION), TRANSACTION)
    whole = response()
    for length in range(20, len(whole) - 8):
        assert not CHECKS.is_success(whole[:length], TRANSACTION), length
