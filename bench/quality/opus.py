"""libopus itself, the one inside av's wheel, for what av's codecs do not offer: concealment,
decoding of in-band FEC, and the loss that an encoder should expect.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]

RATE_IN = 48_000
RATE_OUT = 16_000  # of decoders: what PESQ listens to; libopus resamples by itself
STEP_IN, STEP_OUT = RATE_IN // 50, RATE_OUT // 50  # samples of 20 ms

_APPLICATION_VOIP = 2_048
# Requests of opus_encoder_ctl, from opus_defines.h.
_SET_BITRATE, _SET_COMPLEXITY, _SET_INBAND_FEC, _SET_PACKET_LOSS_PERC = 4_002, 4_010, 4_012, 4_014
_GET_LOOKAHEAD = 4_027
_PACKET_BYTES_MAX = 1_275  # a frame of 20 ms cannot be longer (RFC 6716 3.4)


class OpusError(RuntimeError):
    """libopus refused, or is not where it should be."""


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The libopus that av was built with. `OpusError` when that is not there or before 1.5."""
    folder = Path(av.__file__).parent.parent / "av.libs"
    found = sorted(folder.glob("libopus-*.so*"))
    if not found:
        raise OpusError(f"no libopus in {folder}: av is not installed from its wheel")
    loaded = ctypes.CDLL(str(found[0]))
    loaded.opus_get_version_string.restype = ctypes.c_char_p
    for name in ("opus_encoder_create", "opus_decoder_create"):
        getattr(loaded, name).restype = ctypes.c_void_p
    for name in ("opus_encoder_destroy", "opus_decoder_destroy"):
        getattr(loaded, name).argtypes = (ctypes.c_void_p,)
        getattr(loaded, name).restype = None
    loaded.opus_decode.argtypes = (
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_int,
    )
    loaded.opus_encode.argtypes = (
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_int32,
    )
    if not hasattr(loaded, "opus_packet_has_lbrr"):
        raise OpusError(f"{found[0].name} cannot tell which packets have in-band FEC")
    loaded.opus_packet_has_lbrr.argtypes = (ctypes.c_char_p, ctypes.c_int32)
    return loaded


def version() -> str:
    """As libopus calls itself."""
    told = library().opus_get_version_string()
    assert isinstance(told, bytes)
    return told.decode()


def has_fec(packet: bytes) -> bool:
    """Whether the packet carries a copy of the frame before it."""
    return bool(library().opus_packet_has_lbrr(packet, len(packet)) > 0)


class Encoder:
    """Mono speech at 48 kHz into packets of 20 ms."""

    def __init__(self, bitrate_bps: int, complexity: int, expected_loss: float | None) -> None:
        """`expected_loss` (0 to 1) switches in-band FEC on and tells how much it is needed."""
        self._opus = library()
        error = ctypes.c_int()
        self._state = ctypes.c_void_p(
            self._opus.opus_encoder_create(RATE_IN, 1, _APPLICATION_VOIP, ctypes.byref(error))
        )
        _checked(error.value)
        self._set(_SET_BITRATE, bitrate_bps)
        self._set(_SET_COMPLEXITY, complexity)
        if expected_loss is not None:
            self._set(_SET_INBAND_FEC, 1)
            self._set(_SET_PACKET_LOSS_PERC, round(100 * expected_loss))

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._opus.opus_encoder_destroy(self._state)

    def _set(self, request: int, value: int) -> None:
        _checked(self._opus.opus_encoder_ctl(self._state, request, ctypes.c_int32(value)))

    @property
    def lookahead(self) -> int:
        """By how many samples (at 48 kHz) what is decoded comes later than what went in."""
        samples = ctypes.c_int32()
        status = self._opus.opus_encoder_ctl(self._state, _GET_LOOKAHEAD, ctypes.byref(samples))
        _checked(status)
        return samples.value

    def encode(self, step: Pcm) -> bytes:
        """The packet of the next 20 ms."""
        step = np.ascontiguousarray(step, dtype=np.int16)
        assert len(step) == STEP_IN
        packet = ctypes.create_string_buffer(_PACKET_BYTES_MAX)
        size = self._opus.opus_encode(
            self._state, step.ctypes.data, STEP_IN, packet, _PACKET_BYTES_MAX
        )
        return packet.raw[: _checked(size)]


class Decoder:
    """Packets of 20 ms into mono sound at 16 kHz, one way or another for each of them."""

    def __init__(self) -> None:
        self._opus = library()
        error = ctypes.c_int()
        self._state = ctypes.c_void_p(
            self._opus.opus_decoder_create(RATE_OUT, 1, ctypes.byref(error))
        )
        _checked(error.value)

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._opus.opus_decoder_destroy(self._state)

    def decode(self, packet: bytes) -> Pcm:
        """The packet that is due."""
        return self._run(packet, len(packet), fec=0)

    def recover(self, following: bytes) -> Pcm:
        """The one that is due is missing; the one after it has a copy."""
        return self._run(following, len(following), fec=1)

    def conceal(self) -> Pcm:
        """Nothing is known of what is due."""
        return self._run(None, 0, fec=0)

    def _run(self, packet: bytes | None, size: int, *, fec: int) -> Pcm:
        sound = np.zeros(STEP_OUT, dtype=np.int16)
        made = self._opus.opus_decode(self._state, packet, size, sound.ctypes.data, STEP_OUT, fec)
        if _checked(made) != STEP_OUT:
            raise OpusError(f"{made} samples where 20 ms were expected")
        return sound


def _checked(status: int) -> int:
    if status < 0:
        raise OpusError(f"libopus: error {status}")
    return status
