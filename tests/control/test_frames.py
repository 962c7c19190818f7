"""Framing: what is accepted, and that whatever else comes out as one of two errors."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.errors import FrameMalformed, FrameTooLarge
from control.frames import (
    DEPTH_MAX,
    FRAME_BYTES_MAX,
    FrameDecoder,
    decode_map,
    depth_of,
    encode_frame,
)


def nested(depth: int) -> dict[str, Any]:
    """A map that holds maps, `depth` of them in all."""
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_what_is_encoded_is_decoded(message: dict[str, Any]) -> None:
    """A frame carries any map of plain values unchanged."""
    decoder = FrameDecoder()
    decoder.receive_data(encode_frame(message))
    payload = decoder.next_payload()
    assert payload is not None
    assert decode_map(payload) == message
    assert decoder.buffered_bytes == 0


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 7))
def test_pieces_of_any_size_give_the_same_payloads(payloads: list[bytes], step: int) -> None:
    """How the network cuts the stream does not matter."""
    stream = b"".join(len(payload).to_bytes(4, "big") + payload for payload in payloads)
    decoder, seen = FrameDecoder(), []
    for start in range(0, len(stream), step):
        decoder.receive_data(stream[start : start + step])
        while (payload := decoder.next_payload()) is not None:
            seen.append(payload)
    assert seen == payloads


def test_a_long_frame_is_refused_by_its_prefix_alone() -> None:
    """Nothing of its body has to arrive, and what came with it is let go."""
    decoder = FrameDecoder(limit=100)
    decoder.receive_data((101).to_bytes(4, "big") + b"x" * 50)
    with pytest.raises(FrameTooLarge, match="101 bytes; at most 100"):
        decoder.next_payload()
    assert decoder.buffered_bytes == 0


def test_the_limit_can_be_raised_between_frames() -> None:
    """The second of two frames in one read is judged by the limit of its own moment."""
    decoder = FrameDecoder(limit=1)
    decoder.receive_data(b"\0\0\0\1a\0\0\0\2bb")
    assert decoder.next_payload() == b"a"
    decoder.limit = 2
    assert decoder.next_payload() == b"bb"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x80\x80",
        msgpack.packb([1]),
        msgpack.packb(7),
        msgpack.packb({1: 2}),
        msgpack.packb({b"bytes": 2}),
        msgpack.packb({"a": {b"bytes": 2}}),
        msgpack.packb({"a": msgpack.ExtType(5, b"")}),
        msgpack.packb({"a": msgpack.ExtType(5, b"x")}),
        msgpack.packb({"a": [msgpack.Timestamp(1)]}),
        b"\x81\xa1a\xa1\xff",
        b"\x81\xa1a\xdb\xff\xff\xff\xff",
        b"\x81\xa1a\xdd\xff\xff\xff\xff",
        b"\x81\xa1a\xdf\xff\xff\xff\xff",
        b"\x81\xa1a" + b"\x91" * 5_000,
        b"\x81\xa1a" + b"\x91" * 500_000 + b"\xc0",
        b"\x81\xa1a" * 2_000 + b"\xc0",
    ],
    ids=lambda payload: f"{payload[:12].hex()}-{len(payload)}",
)
def test_anything_but_one_plain_map_is_malformed(payload: bytes) -> None:
    """Every way to be wrong is the same exception."""
    with pytest.raises(FrameMalformed):
        decode_map(payload)


@given(st.binary(max_size=64))
def test_random_bytes_are_a_map_or_malformed(payload: bytes) -> None:
    """Nothing else is raised."""
    try:
        assert isinstance(decode_map(payload), dict)
    except FrameMalformed:
        pass


def test_depth_is_limited() -> None:
    """Sixteen containers inside each other pass, seventeen do not."""
    assert decode_map(encode_frame(nested(DEPTH_MAX))[4:]) == nested(DEPTH_MAX)
    with pytest.raises(FrameMalformed, match="deeper than 16"):
        decode_map(encode_frame(nested(DEPTH_MAX + 1))[4:])


def test_depth_is_counted_without_recursion() -> None:
    """A value deeper than Python's stack is measured just so far as needed."""
    value: Any = []
    for _ in range(100_000):
        value = [value]
    assert depth_of(value) == DEPTH_MAX + 1
    while value:
        value = value[0]


def test_arrays_and_maps_have_limits_of_their_own() -> None:
    """Many cheap elements are refused while they are decoded."""
    with pytest.raises(FrameMalformed):
        decode_map(msgpack.packb({"a": [None] * 70_000}))
    with pytest.raises(FrameMalformed):
        decode_map(msgpack.packb({str(number): None for number in range(9_000)}))
    assert len(msgpack.packb({"a": [None] * 70_000})) < FRAME_BYTES_MAX
