"""Mixes of a room: what its slots say, added up and encoded once for each tier that is listened to.
Pure but for Opus: time comes as arguments, and nobody here knows the forwarder, rooms or threads.

    mixer                           all rooms of one worker: a tick every 20 ms
    orders, stats, durations        what goes in and out, and what is counted
    room                            its voices, levelled and ducked, added up for each bus
    sources, source                 who holds the slots, whose voices are decoded
    voice                           one source on the room clock: the adaptive jitter buffer
    jitter, waiting, decoding, stretching, sound    what a voice is made of
    claims, levelling, ducking      what is learned from its sound, and done to it
    bus, limiter, narrowing         one mix signal: of everybody, or of all but one echo group
    output, tiers                   the encoders that share it
    opus                            libopus by ctypes

The way of a sample: packet -> voice (waits 20 to 120 ms) -> gain of levelling and ducking -> sum ->
limiter (4 ms) -> encoder. float32 all the way; full scale is 1.0.

Orders and counts are plain. `Mixer` and `OpusError` bring numpy and av along, 30 MB, once they are
asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .durations import EDGES_US
from .orders import (
    NOBODY,
    CloseRoom,
    ForgetSource,
    Frame,
    OpenRoom,
    Order,
    Packet,
    SetSource,
    StartOutput,
    StopOutput,
)
from .stats import Buffer, Counts, Stats

if TYPE_CHECKING:
    from .mixer import Mixer
    from .opus import OpusError
else:
    _HOMES = {"Mixer": ".mixer", "OpusError": ".opus"}

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name], __name__), name)


__all__ = [
    "EDGES_US",
    "NOBODY",
    "Buffer",
    "CloseRoom",
    "Counts",
    "ForgetSource",
    "Frame",
    "Mixer",
    "OpenRoom",
    "OpusError",
    "Order",
    "Packet",
    "SetSource",
    "StartOutput",
    "Stats",
    "StopOutput",
]
