"""Voices as listeners of each tier decode them, and when: slots through the forwarder, mixes
through the mixer.

Time is virtual. Each packet comes up to `JITTER_S` late over its uplink; what the way to the
listener takes is in nothing here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.quality.hearing import IP_UDP_BYTES, JITTER_S, LEAD_STEPS, Encoded, encoded
from bench.quality.listener import STEP_S
from bench.quality.opus import RATE_OUT, Decoder, Pcm
from bench.quality.room import TICKS, Room
from bench.quality.treatments import NOTHING
from bench.quality.voices import Voice
from sfu.mixing.mixer import Mixer
from sfu.mixing.orders import Frame, OpenRoom, Packet, SetSource, StartOutput

MIXES = ("B1", "B2", "B3", "B4", "B5")
TIERS = ("A1", "A2", *MIXES)
# RTP and the tag of AES-GCM, and what all but the lean mixes carry: the speaker and the level.
_LEAN_BYTES = IP_UDP_BYTES + 12 + 16
_FULL_BYTES = _LEAN_BYTES + 4 + 8
_HEADERS_BYTES = {"B1": _FULL_BYTES, "B2": _FULL_BYTES}
_ROOM, _OUTPUT = 1, 1
# A whole second, as the mixer's ticks are multiples of 20 ms of the same clock.
_BEGIN = 1_000.0
# Talkers tick neither with the mixer nor with each other.
_PHASES_S = (0.007, 0.0135, 0.0021)
# The mixer is let run on until everything that was said is out.
_AFTER_S = 0.6


@dataclass(frozen=True)
class Piece:
    """One decoded packet."""

    at: float  # where it begins on the clock of its stream
    came: float  # when it could be decoded
    sound: Pcm  # 16 kHz


@dataclass(frozen=True)
class Stream:
    """What one listener decoded. `begins`: when the first sample of speech was captured."""

    pieces: tuple[Piece, ...]
    begins: float
    wire_kbit_s: float  # while somebody talks

    def sound(self, samples: int) -> Pcm:
        """From `begins` on by the stream's clock; silence where nothing came, as a mix of silence
        is not sent. What was said comes later in it, by what codecs and mixer hold back.
        """
        whole = np.zeros(samples, dtype=np.int16)
        for piece in self.pieces:
            first = round((piece.at - self.begins) * RATE_OUT)
            begin, end = max(first, 0), min(first + len(piece.sound), samples)
            if end > begin:
                whole[begin:end] = piece.sound[begin - first : end - first]
        return whole


def heard(voices: Sequence[Voice], tier: str) -> Stream:
    """All of them speaking at once, on a tier; slots carry the first alone."""
    if tier in MIXES:
        return _mixed(voices, tier)
    return _forwarded(voices[0], is_packed=tier == "A2")


def _arrivals(said: Encoded, slot: int, name: str) -> list[float]:
    """When each packet comes: what it holds has been captured by then."""
    entropy = random.Random(f"{name} uplink")
    begin = _BEGIN + _PHASES_S[slot] + STEP_S
    return [begin + n * STEP_S + entropy.uniform(0, JITTER_S) for n in range(len(said.packets))]


def _forwarded(voice: Voice, *, is_packed: bool) -> Stream:
    """Through the forwarder, with SRTP on both sides."""
    said = encoded(voice, None)
    room, decoder = Room(NOTHING, _BEGIN, is_packed=is_packed), Decoder()
    pieces: list[Piece] = []
    octets = 0
    at = _BEGIN + _PHASES_S[0]
    for (opus, level), came in zip(said.packets, _arrivals(said, 0, voice.name), strict=True):
        for datagram in room.say(opus, level, came):
            sound = decoder.decode(room.hear(datagram).opus)
            pieces.append(Piece(at, came, sound))
            at += len(sound) / RATE_OUT
            octets += len(datagram) + IP_UDP_BYTES
    return _stream(pieces, octets, 0, said)


def _mixed(voices: Sequence[Voice], tier: str) -> Stream:
    mixer = Mixer(_BEGIN)
    mixer.apply(OpenRoom(_ROOM, slots=len(voices)))
    mixer.apply(StartOutput(_ROOM, _OUTPUT, tier))
    coming: list[tuple[float, int, Packet]] = []
    for slot, voice in enumerate(voices):
        mixer.apply(SetSource(_ROOM, source=slot, csrc=slot + 1, echo_group=slot + 1))
        coming += _packets(encoded(voice, None), slot, voice.name)
    coming.sort(key=lambda one: one[:2])
    frames = _ticked(mixer, coming)
    decoder = Decoder()
    pieces = [Piece(frame.at, came, decoder.decode(frame.payload)) for came, frame in frames]
    headers = _HEADERS_BYTES.get(tier, _LEAN_BYTES)
    octets = sum(len(frame.payload) + headers for _, frame in frames)
    return _stream(pieces, octets, 0, encoded(voices[0], None))


def _packets(said: Encoded, slot: int, name: str) -> list[tuple[float, int, Packet]]:
    """As the forwarder taps them from a slot."""
    packets = []
    for index, came in enumerate(_arrivals(said, slot, name)):
        opus, level = said.packets[index]
        packet = Packet(slot, slot + 1, index, index * TICKS, TICKS, level, not index, opus, came)
        packets.append((came, slot, packet))
    return packets


def _ticked(mixer: Mixer, coming: Sequence[tuple[float, int, Packet]]) -> list[tuple[float, Frame]]:
    """Every tick on its deadline, with what has come by then; frames with their time."""
    frames: list[tuple[float, Frame]] = []
    taken = 0
    while (deadline := mixer.next_deadline()) < coming[-1][0] + _AFTER_S:
        while taken < len(coming) and coming[taken][0] <= deadline:
            _, slot, packet = coming[taken]
            mixer.take(_ROOM, slot, [packet])
            taken += 1
        frames += [(deadline, frame) for frame in mixer.tick(deadline)]
    return frames


def _stream(pieces: list[Piece], octets: int, slot: int, said: Encoded) -> Stream:
    seconds = len(said.packets) * STEP_S
    begins = _BEGIN + _PHASES_S[slot] + LEAD_STEPS * STEP_S
    return Stream(tuple(pieces), begins, octets * 8e-3 / seconds)
