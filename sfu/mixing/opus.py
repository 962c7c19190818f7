"""libopus itself, the one inside av's wheel, called by ctypes: av's codecs offer neither
concealment nor the decoding of in-band FEC.

Sound is float32, mono, full scale at 1.0; decoders write 48 kHz. No binary layout is assumed: all
that is used are functions of opus.h and requests of opus_defines.h, which never change.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.float32]

RATE_HZ = 48_000
# RFC 6716 3.1: a packet lasts 120 ms at most.
PACKET_TICKS_MAX = 5_760
# What an encoder may write: far above what any tier's bitrate needs for its frame.
_PACKET_BYTES_MAX = 1_500
# The shortest frame, 2.5 ms: concealment comes in multiples of it (opus_decode in opus.h).
STEP_TICKS = 120

# Not that for telephony: a voice that was encoded once has lost its rumble, and that one would take
# the same again. That it is a voice is said apart.
_APPLICATION_AUDIO = 2_049
_SIGNAL_VOICE = 3_001
_SET_BITRATE, _SET_COMPLEXITY, _SET_INBAND_FEC, _SET_PACKET_LOSS_PERC = 4_002, 4_010, 4_012, 4_014
_SET_SIGNAL, _GET_LOOKAHEAD, _RESET_STATE = 4_024, 4_027, 4_028
# Ticks of one frame by the configuration number of its first byte (RFC 6716 table 2).
_SILK, _HYBRID, _CELT = (480, 960, 1_920, 2_880), (480, 960), (120, 240, 480, 960)
_FRAME_TICKS = (*_SILK * 3, *_HYBRID * 2, *_CELT * 4)


class OpusError(RuntimeError):
    """libopus refused (a packet that is none), or is not where it should be."""


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The libopus that av was built with. `OpusError` when it is not there or older than 1.5."""
    folder = Path(av.__file__).parent.parent / "av.libs"
    found = sorted(folder.glob("libopus-*.so*"))
    if not found:
        raise OpusError(f"no libopus in {folder}: av is not installed from its wheel")
    loaded = _load(found[0])
    if not hasattr(loaded, "opus_packet_has_lbrr"):
        raise OpusError(f"{found[0].name} cannot tell which packets have in-band FEC")
    _declare(loaded)
    return loaded


def _load(path: Path) -> ctypes.CDLL:
    """Decoding takes 30 us: less than waiting for the interpreter again after it was let go."""
    loaded = ctypes.CDLL(str(path))
    holding = ctypes.PyDLL(str(path))
    for name in ("opus_decode_float", "opus_packet_has_lbrr"):
        if hasattr(holding, name):
            setattr(loaded, name, getattr(holding, name))
    return loaded


def _declare(loaded: ctypes.CDLL) -> None:
    pointer, number, length = ctypes.c_void_p, ctypes.c_int, ctypes.c_int32
    loaded.opus_get_version_string.restype = ctypes.c_char_p
    for name in ("opus_encoder_create", "opus_decoder_create"):
        getattr(loaded, name).restype = pointer
    for name in ("opus_encoder_destroy", "opus_decoder_destroy"):
        getattr(loaded, name).argtypes = (pointer,)
        getattr(loaded, name).restype = None
    loaded.opus_decode_float.argtypes = (
        pointer, ctypes.c_char_p, length, pointer, number, number,
    )  # fmt: skip
    loaded.opus_encode_float.argtypes = (pointer, pointer, number, pointer, length)
    loaded.opus_packet_has_lbrr.argtypes = (ctypes.c_char_p, length)


def version() -> str:
    """As libopus calls itself."""
    told = library().opus_get_version_string()
    assert isinstance(told, bytes)
    return told.decode()


def packet_ticks(payload: bytes) -> int:
    """How long a packet lasts by its first bytes (RFC 6716 3.1, 3.2); 0 when it is none."""
    if not payload:
        return 0
    code = payload[0] & 3
    if code == 3:
        frames = payload[1] & 0x3F if len(payload) > 1 else 0
    else:
        frames = 1 if code == 0 else 2
    ticks = frames * _FRAME_TICKS[payload[0] >> 3]
    return ticks if ticks <= PACKET_TICKS_MAX else 0


def has_fec(payload: bytes) -> bool:
    """Whether a packet carries a copy of the frame before it."""
    return bool(library().opus_packet_has_lbrr(payload, len(payload)) > 0)


class EncoderState:
    """libopus's encoder of one mono stream, and what it was told at its beginning."""

    def __init__(
        self,
        opus: ctypes.CDLL,
        *,
        rate_hz: int,
        application: int,
        bitrate_bps: int,
        complexity: int,
        expected_loss_percent: int | None,
    ) -> None:
        """`expected_loss_percent` other than None switches in-band FEC on."""
        self._opus = opus
        error = ctypes.c_int()
        self._state = ctypes.c_void_p(
            opus.opus_encoder_create(rate_hz, 1, application, ctypes.byref(error))
        )
        _checked(error.value)
        self._set(_SET_BITRATE, bitrate_bps)
        self._set(_SET_COMPLEXITY, complexity)
        self._set(_SET_INBAND_FEC, int(expected_loss_percent is not None))
        self._set(_SET_PACKET_LOSS_PERC, expected_loss_percent or 0)

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._opus.opus_encoder_destroy(self._state)

    def _set(self, request: int, value: int) -> None:
        _checked(self._opus.opus_encoder_ctl(self._state, request, ctypes.c_int32(value)))

    @property
    def lookahead(self) -> int:
        """By how many samples of its own rate what is decoded comes later than what went in."""
        samples = ctypes.c_int32()
        status = self._opus.opus_encoder_ctl(self._state, _GET_LOOKAHEAD, ctypes.byref(samples))
        _checked(status)
        return samples.value


class Encoder(EncoderState):
    """Mono speech into packets of one length."""

    def __init__(
        self,
        *,
        bitrate_bps: int,
        frame_ms: int,
        complexity: int,
        rate_hz: int = RATE_HZ,
        expected_loss_percent: int = 0,
    ) -> None:
        """`rate_hz` is of the sound that goes in; `expected_loss_percent` above 0 switches in-band
        FEC on.
        """
        super().__init__(
            library(),
            rate_hz=rate_hz,
            application=_APPLICATION_AUDIO,
            bitrate_bps=bitrate_bps,
            complexity=complexity,
            expected_loss_percent=expected_loss_percent or None,
        )
        self.samples = rate_hz * frame_ms // 1_000  # of one frame
        self._packet = ctypes.create_string_buffer(_PACKET_BYTES_MAX)
        self._set(_SET_SIGNAL, _SIGNAL_VOICE)

    def reset(self) -> None:
        """Forget what was encoded, as for a new stream."""
        _checked(self._opus.opus_encoder_ctl(self._state, _RESET_STATE))

    def encode(self, frame: Pcm) -> bytes:
        """The packet of one frame (`samples` of them, contiguous)."""
        assert frame.dtype == np.float32
        assert len(frame) == self.samples and frame.flags.c_contiguous
        return self.encode_at(frame.ctypes.data)

    def encode_at(self, address: int) -> bytes:
        """The packet of the frame in memory at `address`; the caller holds it."""
        size = self._opus.opus_encode_float(
            self._state, address, self.samples, self._packet, _PACKET_BYTES_MAX
        )
        return ctypes.string_at(self._packet, _checked(size))


class Decoder:
    """Packets of one source into mono at 48 kHz; stereo is mixed down by libopus.

    What is returned is a view that the next call overwrites. A packet that is none raises
    `OpusError`, and the decoder goes on as if it had not seen it.
    """

    def __init__(self) -> None:
        self._opus = library()
        error = ctypes.c_int()
        self._state = ctypes.c_void_p(
            self._opus.opus_decoder_create(RATE_HZ, 1, ctypes.byref(error))
        )
        _checked(error.value)
        self._sound: Pcm = np.zeros(PACKET_TICKS_MAX, dtype=np.float32)
        self._address = self._sound.ctypes.data

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._opus.opus_decoder_destroy(self._state)

    def decode(self, payload: bytes) -> Pcm:
        """The packet that is due."""
        if not payload:
            raise OpusError("an empty packet")  # libopus would conceal
        return self._run(payload, PACKET_TICKS_MAX, fec=0)

    def decode_fec(self, following: bytes, ticks: int) -> Pcm:
        """The frame of `ticks` before the packet `following`, which carries a copy of it."""
        assert ticks % STEP_TICKS == 0
        return self._run(following, ticks, fec=1)

    def conceal(self, ticks: int) -> Pcm:
        """What might have been, `ticks` of it (a multiple of 2.5 ms, at most 120 ms)."""
        assert ticks % STEP_TICKS == 0 and ticks <= PACKET_TICKS_MAX
        return self._run(None, ticks, fec=0)

    def _run(self, payload: bytes | None, ticks: int, *, fec: int) -> Pcm:
        size = 0 if payload is None else len(payload)
        made = self._opus.opus_decode_float(self._state, payload, size, self._address, ticks, fec)
        return self._sound[: _checked(made)]


def _checked(status: int) -> int:
    if status < 0:
        raise OpusError(f"libopus: error {status}")
    return status
