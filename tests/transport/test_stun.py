"""STUN on the wire, held against aioice.stun as the independent reading of the same RFC."""

from __future__ import annotations

import pytest
from aioice import stun as oracle
from hypothesis import given
from hypothesis import strategies as st

from sfu.transport.address import pack_address, unpack_address
from sfu.transport.stun import (
    BINDING_ERROR,
    BINDING_REQUEST,
    BINDING_RESPONSE,
    ERROR_CODE,
    MESSAGE_BYTES_MAX,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    StunError,
    build_message,
    error_code,
    parse_message,
    unknown_attributes,
    username_of,
    xor_mapped_address,
)
from tests.transport.peer import HOME, SIX, check

KEY = b"the password of somebody"


def test_reads_a_check_as_the_oracle_wrote_it() -> None:
    message = parse_message(check("here:there", KEY.decode(), nominate=True))
    assert message.message_type == BINDING_REQUEST
    assert message.transaction_id == b"0123456789ab"
    assert message.attributes[USERNAME] == b"here:there"
    assert USE_CANDIDATE in message.attributes
    assert message.is_signed_by(KEY)
    assert not message.is_signed_by(b"another")
    assert message.not_understood() == ()


@pytest.mark.parametrize("address", [HOME, SIX])
def test_writes_the_answer_as_the_oracle_does(address: bytes) -> None:
    transaction = bytes(range(12))
    expected = oracle.Message(
        oracle.Method.BINDING,
        oracle.Class.RESPONSE,
        transaction,
        {"XOR-MAPPED-ADDRESS": unpack_address(address)},
    )
    expected.add_message_integrity(KEY)
    value = xor_mapped_address(address, transaction)
    ours = build_message(BINDING_RESPONSE, transaction, ((XOR_MAPPED_ADDRESS, value),), KEY)
    assert ours == bytes(expected)


@given(
    host=st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).filter(
        lambda ip: getattr(ip, "ipv4_mapped", None) is None
    ),
    port=st.integers(0, 65_535),
    transaction=st.binary(min_size=12, max_size=12),
)
def test_mapped_addresses_are_read_back_by_the_oracle(
    host: object, port: int, transaction: bytes
) -> None:
    address = pack_address(str(host), port)
    value = xor_mapped_address(address, transaction)
    assert oracle.unpack_xor_address(value, transaction) == (str(host), port)


def test_error_answers_are_read_by_the_oracle() -> None:
    data = build_message(BINDING_ERROR, bytes(12), ((ERROR_CODE, error_code(487)),), KEY)
    message = oracle.parse_message(data)
    assert message.message_class is oracle.Class.ERROR
    assert message.error_code == 487
    assert message.check_message_integrity(KEY)


def test_unknown_attributes_are_listed_in_pairs_of_bytes() -> None:
    assert unknown_attributes((0x0042, 0x7FFF)) == b"\x00\x42\x7f\xff"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"\x00\x00\x00\x00",
        lambda data: data[:4] + b"\x00" + data[5:],
        lambda data: b"\x40" + data[1:],
        lambda data: data[:-1] + bytes((data[-1] ^ 1,)),
        lambda data: data[:22] + b"\xff\xff" + data[24:],
        lambda data: b"",
        lambda data: bytes(MESSAGE_BYTES_MAX + 4),
    ],
)
def test_damage_is_a_stun_error(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(StunError):
        parse_message(damage(check("here:there", "password")))


def test_what_integrity_does_not_cover_is_not_there() -> None:
    signed = check("here:there", KEY.decode(), fingerprint=False)
    added = signed[:2] + (len(signed) - 20 + 4).to_bytes(2, "big") + signed[4:]
    message = parse_message(added + b"\x00\x25\x00\x00")
    assert message.is_signed_by(KEY)
    assert USE_CANDIDATE not in message.attributes


def test_the_first_of_two_equal_attributes_counts() -> None:
    twice = build_message(BINDING_REQUEST, bytes(12), ((USERNAME, b"a:b"), (USERNAME, b"c:d")), KEY)
    assert parse_message(twice).attributes[USERNAME] == b"a:b"


def test_attributes_that_must_be_understood_are_named() -> None:
    attributes = ((0x0055, b"x"), (0x8055, b"y"), (USERNAME, b"a:b"))
    data = build_message(BINDING_REQUEST, bytes(12), attributes, KEY)
    assert parse_message(data).not_understood() == (0x0055,)


def test_username_of_finds_our_half_without_the_password() -> None:
    assert username_of(check("here:there", "whatever")) == "here"
    assert username_of(check("here:there", "whatever", sign=False)) == "here"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(20),
        check("no colon", "pw"),
        check("\N{LATIN SMALL LETTER E WITH ACUTE}x:there", "pw"),
        b"\x01\x01" + check("here:there", "pw")[2:],
        check("here:there", "pw")[:22] + b"\xff\xff" + check("here:there", "pw")[24:],
        bytes(2_000),
    ],
)
def test_username_of_anything_else_is_none(data: bytes) -> None:
    assert username_of(data) is None
