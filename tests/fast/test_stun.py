"""Compiled answers to connectivity checks, held against the readable way and another's STUN."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from aioice import stun as oracle
from hypothesis import given
from hypothesis import strategies as st

from sfu.fast import PathChecks
from sfu.transport.address import unpack_address
from sfu.transport.ice import IceCredentials, IceLite
from sfu.transport.stun import BINDING_REQUEST, USERNAME, build_message
from tests.fuzz.mutations import mutations, truncations
from tests.transport.peer import HOME, SIX, check

USER = "ours:their"
PASSWORD = "our-password-of-24-chars"
CREDENTIALS = IceCredentials("ours", PASSWORD, "their", "their-password")
PLAIN = check(USER, PASSWORD)


def checks(
    address: bytes | None, name: bytes = USER.encode(), key: bytes = PASSWORD.encode()
) -> PathChecks:
    """Of a path in use, two at once and one a second."""
    made = PathChecks(name, key, 1.0, 2.0, 0.0)
    made.follow(address)
    return made


def answer(data: bytes, address: bytes = HOME) -> bytes | None:
    """What is sent back."""
    answered = checks(address).answer(data, address, 0.0)
    return None if answered is None else answered[0]


@pytest.mark.parametrize("address", [HOME, SIX])
@pytest.mark.parametrize("fingerprint", [True, False])
@pytest.mark.parametrize("nominate", [True, False])
def test_the_answer_is_the_same_as_the_readable_way_gives(
    address: bytes, fingerprint: bool, nominate: bool
) -> None:
    request = check(USER, PASSWORD, fingerprint=fingerprint, nominate=nominate)
    outcome = IceLite(CREDENTIALS, 0.0).receive(request, address, 0.0)
    assert checks(address).answer(request, address, 0.0) == (outcome.reply, nominate)


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
    answered = checks(HOME, name, key).answer(request, HOME, 0.0)
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


def test_a_key_that_does_not_fit_a_block_is_misuse() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        checks(HOME, key=b"p" * 65)


def test_an_address_of_another_length_is_misuse() -> None:
    with pytest.raises(ValueError, match="18 bytes"):
        checks(HOME).answer(PLAIN, HOME[:-1], 0.0)
    with pytest.raises(ValueError, match="18 bytes"):
        checks(HOME[:-1])


def test_only_checks_of_the_path_in_use_are_answered() -> None:
    made = checks(None)
    assert made.answer(PLAIN, HOME, 0.0) is None
    assert made.answer(PLAIN, bytes(18), 0.0) is None
    made.follow(SIX)
    assert made.answer(PLAIN, HOME, 0.0) is None
    assert made.answer(PLAIN, SIX, 0.0) is not None
    made.follow(None)
    assert made.answer(PLAIN, SIX, 0.0) is None


def test_answers_and_what_is_read_elsewhere_share_a_rate_and_refusals_cost_nothing() -> None:
    made = checks(HOME)
    for data, address in ((b"", HOME), (check(USER, "guessed"), HOME), (PLAIN, SIX)):
        assert made.answer(data, address, 0.0) is None
    assert made.answer(PLAIN, HOME, 0.0) is not None
    assert made.take(0.0)
    assert made.answer(PLAIN, HOME, 0.5) is None and not made.take(0.5)
    assert made.answer(PLAIN, HOME, 1.0) is not None
    assert [made.take(100.0) for _ in range(3)] == [True, True, False]


def test_damage_is_never_answered_unless_it_is_none() -> None:
    """Each damaged check that is answered is one that the readable way answers, too."""
    answered = 0
    for data in [*truncations([PLAIN]), *mutations([PLAIN], seed="compiled stun")]:
        reply = answer(data)
        if reply is not None:
            answered += 1
            assert IceLite(CREDENTIALS, 0.0).receive(data, HOME, 0.0).reply == reply
    assert answered < 200
