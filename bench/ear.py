"""A listener that decodes what it gets: how long a mix takes from a microphone to a decoder.

A mix carries no time of sending. But what its speakers say is known, so one of them can be found
again in the decoded sound, second by second, by correlation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pylibsrtp import Error as SrtpError

from bench import speech
from bench.bottleneck import Bottleneck
from bench.narrow import NarrowClient, NarrowCrowd
from bench.quality.comparing import lag
from bench.quality.opus import RATE_OUT, Decoder, Pcm

if TYPE_CHECKING:
    from pylibsrtp import Session

    from bench.crowd import Kit
    from bench.talking import Spoken
    from bench.targets import Role

# Two minutes of a mix: longer windows are told by their beginning.
PACKETS_MAX = 6_000
# What is looked for at once, and how much later than it was said at most.
_BLOCK_S = 2.0
_LATE_S = 1.0
# A sample was captured this long before its packet was due: the packet itself, and what libopus
# looks ahead in it.
_CAPTURED_NS = 20_000_000 + 6_500_000
# Of a voice among three the correlation is 0.5 or more, of one that is not there 0.2 at most.
_FOUND = 0.3
_RTP_TICKS = 48_000


class Arrival(NamedTuple):
    """One packet of a track."""

    at_ns: int
    timestamp: int
    payload: bytes


class EarCrowd(NarrowCrowd):
    """Ears, on lines that are wide."""

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit, {})
        self.ears: list[Ear] = []

    def client(self, name: str, role: Role) -> Ear:
        """A new one, which has done nothing yet."""
        ear = Ear(self, name, role, Bottleneck(0.0, 0.0))
        self.relayed.append(ear)
        self.ears.append(ear)
        return ear


class Ear(NarrowClient):
    """A client that keeps what it hears, while `listens`."""

    __slots__ = ("_second", "heard", "listens")

    def __init__(self, crowd: EarCrowd, name: str, role: Role, line: Bottleneck) -> None:
        super().__init__(crowd, name, role, line)
        self.heard: dict[int, list[Arrival]] = {}  # by SSRC
        self.listens = False
        self._second: Session | None = None

    def _passed(self, datagram: bytes, at_ns: int) -> None:
        super()._passed(datagram, at_ns)
        # RFC 5761 4, RFC 7983 7.
        is_rtp = len(datagram) > 12 and 128 <= datagram[0] <= 191
        if not self.listens or not is_rtp or 192 <= datagram[1] <= 223:
            return
        if self._second is None:
            assert self._handshake is not None
            self._second = self._handshake.another_receiver()
        try:
            plain = self._second.unprotect(datagram)
        except SrtpError:
            return
        ssrc = int.from_bytes(plain[8:12], "big")
        track = self.heard.setdefault(ssrc, [])
        if len(track) < PACKETS_MAX:
            track.append(Arrival(at_ns, int.from_bytes(plain[4:8], "big"), payload_of(plain)))

    def delays_ms(self, voice: speech.Voice, spoken: Spoken) -> list[float]:
        """Of each packet of the fullest track: from when its first sample was captured until the
        packet was here. Empty where the speaker cannot be found in it.
        """
        if not self.heard:
            return []
        track = max(self.heard.values(), key=len)
        return delays_ms(track, voice, spoken)


def payload_of(packet: bytes) -> bytes:
    """What follows the header of an RTP packet (RFC 3550 5.1, 5.3.1), without padding."""
    at = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        at += 4 + 4 * int.from_bytes(packet[at + 2 : at + 4], "big")
    end = len(packet) - (packet[-1] if packet[0] & 0x20 else 0)
    return packet[at:end]


@dataclass(frozen=True)
class _Sound:
    """A decoded track: `sound` begins at `begun_ns` as if its first packet had come in time."""

    sound: Pcm
    begun_ns: int
    packets: tuple[tuple[int, int], ...]  # when each came, and its first sample


def delays_ms(track: Sequence[Arrival], voice: speech.Voice, spoken: Spoken) -> list[float]:
    """See `Ear.delays_ms`; `spoken` says when which step of the voice was due."""
    heard = _decoded(track)
    said = _said(voice)
    found: dict[int, float] = {}
    block = round(_BLOCK_S * RATE_OUT)
    for number in range(len(heard.sound) // block):
        begin_ns = heard.begun_ns + round(number * _BLOCK_S * 1e9)
        late_s = _late(heard.sound[number * block :], said, begin_ns, spoken)
        if late_s is not None:
            found[number] = late_s
    delays = []
    for at_ns, first in heard.packets:
        late_s = found.get(first // block)
        if late_s is not None:
            nominal_ns = heard.begun_ns + first * 10**9 // RATE_OUT
            delays.append((at_ns - nominal_ns + _CAPTURED_NS) / 1e6 + 1e3 * late_s)
    return delays


def _decoded(track: Sequence[Arrival]) -> _Sound:
    decoder = Decoder()
    first = track[0].timestamp
    pieces, packets = [], []
    for arrival in track:
        ticks = (arrival.timestamp - first) & 0xFFFFFFFF
        if ticks < 1 << 31 and arrival.payload:
            at = ticks * RATE_OUT // _RTP_TICKS
            pieces.append((at, decoder.decode(arrival.payload)))
            packets.append((arrival.at_ns, at))
    sound = np.zeros(max(at + len(piece) for at, piece in pieces), dtype=np.int16)
    for at, piece in pieces:
        sound[at : at + len(piece)] = piece
    return _Sound(sound, track[0].at_ns, tuple(packets))


def _said(voice: speech.Voice) -> Pcm:
    """The whole voice as its packets sound, once."""
    decoder = Decoder()
    step = RATE_OUT // speech.STEPS_PER_S
    silence = np.zeros(step, dtype=np.int16)
    steps = [decoder.decode(packet) if packet else silence for packet, _ in voice.steps]
    return np.concatenate(steps)


def _late(sound: Pcm, said: Pcm, begin_ns: int, spoken: Spoken) -> float | None:
    """How much later than it was due a block of `sound` that begins at `begin_ns` was said; None
    when it is not in it.

    What was said up to `_LATE_S` before is compared: the block is found in it somewhere.
    """
    block = sound[: round(_BLOCK_S * RATE_OUT)]
    before = round(_LATE_S * RATE_OUT)
    elapsed_ns = begin_ns - spoken.started_ns
    first = spoken.first_step * (RATE_OUT // speech.STEPS_PER_S)
    first += elapsed_ns * RATE_OUT // 10**9 - before
    if elapsed_ns < _LATE_S * 1e9 or not block.any():
        return None
    window = said[np.arange(first, first + before + len(block)) % len(said)]
    at = lag(block, window, before)
    there = window[at : at + len(block)].astype(np.float64)
    mine = block.astype(np.float64)
    score = float(mine @ there) / float(np.sqrt((mine @ mine) * (there @ there) + 1.0))
    return (before - at) / RATE_OUT if score >= _FOUND else None
