"""Compiled answers to connectivity checks, held against the readable way and another's STUN."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from aioice import stun as oracle
from hypothesis import given
from hypothesis import strategies as st

from sfu.fast import answer_check
from sfu.transport.address import unpack_address
from sfu.transport.ice import IceCredentials, IceLite
from sfu.transport.stun import BINDING_REQUEST, USERNAME, build_message
from tests.fuzz.mutations import mutations, truncations
from tests.transport.peer import HOME, SIX, check

USER = "ours:their"
PASSWORD = "our-password-of-24-chars"
CREDENTIALS = IceCredentials("ours", PASSWORD, "their", "their-password")
PLAIN = check(USER, PASSWORD)


def answer(data: bytes, address: bytes = HOME, password: str = PASSWORD) -> bytes | None:
    """What is sent back."""
    answered = answer_check(data, address, USER.encode(), password.encode())
    return None if answered is None else answered[0]


@pytest.mark.parametrize("address", [HOME, SIX])
@pytest.mark.parametrize("fingerprint", [True, False])
@pytest.mark.parametrize("nominate", [True, False])
def test_the_answer_is_the_same_as_the_readable_way_gives(
    address: bytes, fingerprint: bool, nominate: bool
) -> None:
    request = check(USER, PASSWORD, fingerprint=fingerprint, nominate=nominate)
    outcome = IceLite(CREDENTIALS, 0.0).receive(request, address, 0.0)
    assert answer_check(request, address, USER.encode(), PASSWORD.encode()) == (
        outcome.reply,
        nominate,
    )


@pytest.mark.parametrize("address", [HOME, SIX])
def test_another_implementation_understands_the_answer(address: bytes) -> None:
    reply = answer(PLAIN, address)
    assert reply is not None
    message = oracle.parse_message(reply)
    assert message.message_class is oracle.Class.RESPONSE
    assert message.attributes["XOR-MAPPED-ADDRESS"] == unpack_address(address)
    assert message.check_message_integrity(PASSWORD.encode())


@given(
    key=st.binary(max_size=64),
    name=st.binary(max_size=300),
    more=st.binary(max_size=128).map(lambda value: value[: len(value) // 4 * 4]),
)
def test_hashes_of_every_length_are_right(key: bytes, name: bytes, more: bytes) -> None:
    """Lengths around a block of 64 bytes are where a hash goes wrong."""
    request = build_message(BINDING_REQUEST, bytes(12), ((USERNAME, name), (0xC057, more)), key)
    answered = answer_check(request, HOME, name, key)
    assert answered is not None
    signed = answered[0][:2] + (36).to_bytes(2, "big") + answered[0][4:32]
    assert answered[0][36:56] == hmac.digest(key, signed, hashlib.sha1)


@pytest.mark.parametrize(
    "request_",
    [
        check("ours:other", PASSWORD),
        check(USER, "guessed"),
        check(USER, PASSWORD, sign=False),
        check(USER, PASSWORD, controlled=True),
        check(USER, PASSWORD, extra={"LIFETIME": 7}),
        build_message(0x0101, bytes(12), ((USERNAME, USER.encode()),), PASSWORD.encode()),
        build_message(BINDING_REQUEST, bytes(12), (), PASSWORD.encode()),
        build_message(
            BINDING_REQUEST, bytes(12), ((USERNAME, USER.encode()),) * 2, PASSWORD.encode()
        ),
        b"",
        PLAIN + bytes(4),
    ],
    ids=[
        "another's",
        "forged",
        "unsigned",
        "controlled",
        "not understood",
        "no request",
        "nobody's",
        "named twice",
        "empty",
        "too long",
    ],
)
def test_whatever_is_not_plain_is_left_to_the_readable_way(request_: bytes) -> None:
    assert answer(request_) is None


def test_a_key_that_does_not_fit_a_block_is_left_to_the_readable_way() -> None:
    assert answer(check(USER, "p" * 65), password="p" * 65) is None


def test_an_address_of_another_length_is_misuse() -> None:
    with pytest.raises(ValueError, match="18 bytes"):
        answer(PLAIN, HOME[:-1])


def test_damage_is_never_answered_unless_it_is_none() -> None:
    """Each damaged check that is answered is one that the readable way answers, too."""
    answered = 0
    for data in [*truncations([PLAIN]), *mutations([PLAIN], seed="compiled stun")]:
        reply = answer(data)
        if reply is not None:
            answered += 1
            assert IceLite(CREDENTIALS, 0.0).receive(data, HOME, 0.0).reply == reply
    assert answered < 200
