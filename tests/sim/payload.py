"""Whose sound is in an Opus payload: a client's packet, several of them packed, silence, or a mix.

A packed payload is code 3 of RFC 6716 3.2.5: frames of one configuration with their lengths, each
as it came. One of no bytes stands for a packet that never came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.sim.voice import IDENTITY, SILENCE, TABLES_OF_CONTENTS

# Who a packet is from when no client sent it.
SERVER_SILENCE = -1
UNKNOWN = -2
MIX = -3

_OUR_TABLES = frozenset(TABLES_OF_CONTENTS.values())
# Of each configuration of SILK, hybrid and CELT (RFC 6716 3.1), in ticks.
_FRAME_TICKS = (
    *(480, 960, 1_920, 2_880) * 3,
    *(480, 960) * 2,
    *(120, 240, 480, 960) * 4,
)


@dataclass(frozen=True, slots=True)
class MixFrame:
    """One frame of a mix, as the mixer gave it out; `number` counts all of them.

    `room` and `output` are the mixer's names, `csrcs` who is in it, `minus` the echo group that is
    left out, `at` its place on the room's clock.
    """

    number: int
    room: int
    output: int
    tier: str
    minus: int | None
    csrcs: tuple[int, ...]
    at: float


# By what was encoded; two mixes may be the same bytes, as silence is.
Mixes = Mapping[bytes, list[MixFrame]]


@dataclass(frozen=True, slots=True)
class Said:
    """`packet` of `speaker`, or all of `frames`, of which it is the first; `mixes` it may be.

    `lead` is how many frames before the first never came.
    """

    speaker: int
    packet: int = 0
    lead: int = 0
    frames: tuple[tuple[int, int], ...] = ()
    mixes: tuple[MixFrame, ...] = ()


def identify(payload: bytes, mixes: Mixes) -> Said:
    """Who says what in a payload; UNKNOWN for what nobody said."""
    if payload == SILENCE:
        return Said(SERVER_SILENCE)  # of a mix too, when nobody speaks
    known = mixes.get(payload) if mixes else None
    if known:
        return Said(MIX, known[-1].number, mixes=tuple(known))
    if len(payload) > IDENTITY.size and payload[0] in _OUR_TABLES:
        speaker, packet, _ = IDENTITY.unpack_from(payload, 1)
        return Said(speaker, packet)
    if payload and payload[0] == SILENCE[0] | 3:
        if {*frames_of(payload)} == {SILENCE[1:]}:
            return Said(SERVER_SILENCE, frames=((SERVER_SILENCE, 0),) * len(frames_of(payload)))
    elif payload and payload[0] & 3 == 3 and payload[0] & 0xFC in _OUR_TABLES:
        parts = frames_of(payload)
        said = [IDENTITY.unpack_from(frame) for frame in parts if frame]
        frames = tuple((speaker, packet) for speaker, packet, _ in said)
        if frames:
            lead = next(place for place, frame in enumerate(parts) if frame)
            return Said(*frames[0], lead, frames)
    return Said(UNKNOWN)


def frames_of(payload: bytes) -> list[bytes]:
    """The frames of a payload of code 3; ValueError when it is not well-formed."""
    if len(payload) < 2:
        raise ValueError("no count of frames")
    is_variable, is_padded, count = payload[1] >> 7, payload[1] >> 6 & 1, payload[1] & 63
    offset, padding = 2, 0
    while is_padded:
        more = payload[offset]
        offset += 1
        padding += 254 if more == 255 else more
        is_padded = more == 255
    lengths: list[int] = []
    for _ in range(count - 1 if is_variable else 0):
        length = payload[offset]
        offset += 1
        if length >= 252:
            length += 4 * payload[offset]
            offset += 1
        lengths.append(length)
    left = len(payload) - padding - offset - sum(lengths)
    if left < 0 or not count or (not is_variable and left % count):
        raise ValueError("lengths of frames do not add up")
    lengths = [*lengths, left] if is_variable else [left // count] * count
    frames = []
    for length in lengths:
        frames.append(payload[offset : offset + length])
        offset += length
    return frames


def ticks_of(payload: bytes) -> int:
    """How long a payload lasts (RFC 6716 3.1, 3.2), 0 when that cannot be told."""
    if not payload:
        return 0
    code = payload[0] & 3
    if code == 3 and len(payload) < 2:
        return 0
    count = payload[1] & 63 if code == 3 else (1, 2, 2)[code]
    return count * _FRAME_TICKS[payload[0] >> 3]
