"""RED of simulated clients: what is built is read again, what does not fit is refused."""

from __future__ import annotations

import random

import pytest

from tests.sim.red import Copy, RedEncoder, build, parse


def test_the_bytes_are_those_of_the_rfc() -> None:
    # RFC 2198 4: F, 7 bits of payload type, 14 of offset, 10 of length; then F=0 and the last type.
    data = build(111, [(960, b"ab")], b"xyz")
    assert data == bytes([0x80 | 111, 960 >> 6, (960 & 63) << 2, 2, 111]) + b"abxyz"
    assert parse(data) == (111, b"xyz", [Copy(111, 960, b"ab")])


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_packet_carries_those_before_it(depth: int) -> None:
    encoder = RedEncoder(111, 63, depth)
    for packet in range(8):
        data, copies = encoder.wrap(packet, 960 * packet, bytes((packet, 7)))
    assert copies == list(range(7 - depth, 7))
    _, newest, blocks = parse(data)
    assert newest == b"\x07\x07"
    assert [(block.offset, block.payload[0]) for block in blocks] == [
        (960 * (7 - packet), packet) for packet in copies
    ]


def test_what_is_too_long_ago_for_the_field_is_left_out() -> None:
    encoder = RedEncoder(111, 63, 1)
    encoder.wrap(0, 0, b"old")
    assert encoder.wrap(1, 2**14, b"new")[1] == []


def test_what_does_not_add_up_is_refused() -> None:
    good = build(111, [(960, b"ab"), (480, b"cd")], b"xyz")
    for end in range(len(good) - len(b"xyz") + 1):
        with pytest.raises(ValueError):
            parse(good[:end])
    rng = random.Random(5)
    for _ in range(500):
        try:
            parse(rng.randbytes(rng.randrange(40)))
        except ValueError:
            continue
