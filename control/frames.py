"""Framing: a big-endian u32 length, then one MessagePack map of that many bytes.

The decoder judges a frame by its length prefix before it waits for the rest, so a peer cannot make
it hold more than the limit of its session. What a complete frame holds is then decoded with
explicit limits, and checked without recursion: text keys, plain values, bounded depth. Whatever is
wrong with the bytes comes out as `FrameTooLarge` or `FrameMalformed`, never as another exception.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import msgpack
import msgspec

from control.errors import FrameMalformed, FrameTooLarge

# Enough for `hello` and `auth`, too little to make an unknown peer worth an attack on memory.
FRAME_BYTES_MAX_UNAUTHENTICATED = 4_096
# A list of some thousand participants; larger answers come in pages.
FRAME_BYTES_MAX = 1_048_576
# Envelope, parameters, state, metadata and what a product nests in it.
DEPTH_MAX = 16
# A one-MiB frame cannot hold more useful elements than these, but could announce 2^32.
ARRAY_LENGTH_MAX = 65_536
MAP_LENGTH_MAX = 8_192

_PREFIX = struct.Struct(">I")
_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_encoder = msgspec.msgpack.Encoder()


def encode_frame(message: object) -> bytes:
    """One complete frame. `message` is a mapping of plain values and protocol structs."""
    payload = _encoder.encode(message)
    return _PREFIX.pack(len(payload)) + payload


def encode_value(value: object) -> bytes:
    """MessagePack of one value, for use inside a frame by way of `msgspec.Raw`."""
    return _encoder.encode(value)


def decode_map(payload: bytes) -> dict[str, Any]:
    """The map that a complete frame's payload holds. Raises FrameMalformed."""
    try:
        value = msgpack.unpackb(
            payload,
            raw=False,
            strict_map_key=True,
            max_str_len=FRAME_BYTES_MAX,
            max_bin_len=FRAME_BYTES_MAX,
            max_array_len=ARRAY_LENGTH_MAX,
            max_map_len=MAP_LENGTH_MAX,
            max_ext_len=0,
        )
    except (msgpack.UnpackException, ValueError, TypeError, OverflowError, RecursionError) as error:
        # ExtraData, FormatError, StackError and UnicodeDecodeError are all ValueErrors.
        raise FrameMalformed(f"not MessagePack: {type(error).__name__}") from error
    if type(value) is not dict:
        raise FrameMalformed("not a map")
    if depth_of(value) > DEPTH_MAX:
        raise FrameMalformed(f"nested deeper than {DEPTH_MAX}")
    return value


def depth_of(value: object) -> int:
    """How many containers are nested, `value` included; stops counting just above DEPTH_MAX.

    Raises FrameMalformed on keys that are not text and on values that are not plain.
    """
    depth = 0
    level = [value]
    while level and depth <= DEPTH_MAX:
        level = [child for container in level for child in _children(container)]
        depth += 1
    return depth


def _children(container: Any) -> list[Any]:
    """The containers directly inside this one."""
    values: Iterable[Any] = container
    if type(container) is dict:
        if not all(type(key) is str for key in container):
            raise FrameMalformed("a key that is not text")
        values = container.values()
    nested = [value for value in values if type(value) not in _SCALARS]
    if not all(type(value) is dict or type(value) is list for value in nested):
        raise FrameMalformed("an extension type")
    return nested


class FrameDecoder:
    """Cuts a byte stream into payloads. `limit` (bytes) may be raised between two frames.

    After an exception the stream has no meaning any more: its owner closes the connection.
    """

    def __init__(self, limit: int = FRAME_BYTES_MAX) -> None:
        self.limit = limit
        self._buffer = bytearray()

    @property
    def buffered_bytes(self) -> int:
        """Bytes received and not yet handed out."""
        return len(self._buffer)

    def receive_data(self, data: bytes) -> None:
        """Add what came from the socket."""
        self._buffer += data

    def next_payload(self) -> bytes | None:
        """The next complete payload, or None until more arrives. Raises FrameTooLarge."""
        if len(self._buffer) < _PREFIX.size:
            return None
        (size,) = _PREFIX.unpack_from(self._buffer)
        if size > self.limit:
            self._buffer.clear()
            raise FrameTooLarge(f"a frame of {size} bytes; at most {self.limit} here")
        end = _PREFIX.size + size
        if len(self._buffer) < end:
            return None
        payload = bytes(memoryview(self._buffer)[_PREFIX.size : end])
        del self._buffer[:end]
        return payload
