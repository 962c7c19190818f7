"""The publisher's encoder and the listener's decoder: libopus as `sfu.mixing.opus` loads it, with
what browsers have and the server needs not: 16-bit sound, and decoders at PESQ's rate.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sfu.mixing import opus as shared
from sfu.mixing.opus import EncoderState, OpusError, has_fec, version

__all__ = ["Decoder", "Encoder", "OpusError", "Pcm", "has_fec", "version"]

Pcm = npt.NDArray[np.int16]

RATE_IN = 48_000
RATE_OUT = 16_000  # of decoders: what PESQ listens to; libopus resamples by itself
STEP_IN, STEP_OUT = RATE_IN // 50, RATE_OUT // 50  # samples of 20 ms
# RFC 6716 3.1: no packet is longer than 120 ms.
_SAMPLES_MAX = RATE_OUT * 120 // 1_000

_APPLICATION_VOIP = 2_048
_PACKET_BYTES_MAX = 1_275  # a frame of 20 ms cannot be longer (RFC 6716 3.4)


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The same, knowing how to take and give 16 bits. `OpusError` when it is missing."""
    loaded = shared.library()
    pointer, number, length = ctypes.c_void_p, ctypes.c_int, ctypes.c_int32
    loaded.opus_decode.argtypes = (pointer, ctypes.c_char_p, length, pointer, number, number)
    loaded.opus_encode.argtypes = (pointer, pointer, number, pointer, length)
    return loaded


class Encoder(EncoderState):
    """Mono speech at 48 kHz into packets of 20 ms."""

    def __init__(self, bitrate_bps: int, complexity: int, expected_loss: float | None) -> None:
        """`expected_loss` (0 to 1) switches in-band FEC on and tells how much it is needed."""
        super().__init__(
            library(),
            rate_hz=RATE_IN,
            application=_APPLICATION_VOIP,
            bitrate_bps=bitrate_bps,
            complexity=complexity,
            expected_loss_percent=None if expected_loss is None else round(100 * expected_loss),
        )

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
    """Packets into mono sound at 16 kHz, one way or another for each of them."""

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
        """The packet that is due, however long it lasts."""
        return self._run(packet, len(packet), _SAMPLES_MAX, fec=0)

    def recover(self, following: bytes) -> Pcm:
        """The 20 ms that are due are missing; the packet after them has a copy."""
        return self._run(following, len(following), STEP_OUT, fec=1)

    def conceal(self) -> Pcm:
        """Nothing is known of the 20 ms that are due."""
        return self._run(None, 0, STEP_OUT, fec=0)

    def _run(self, packet: bytes | None, size: int, samples: int, *, fec: int) -> Pcm:
        sound = np.zeros(samples, dtype=np.int16)
        made = self._opus.opus_decode(self._state, packet, size, sound.ctypes.data, samples, fec)
        return sound[: _checked(made)]


def _checked(status: int) -> int:
    if status < 0:
        raise OpusError(f"libopus: error {status}")
    return status
