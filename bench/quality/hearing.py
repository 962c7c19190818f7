"""One listener hears one voice over one line: the whole way from microphone to loudspeaker."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from bench.quality.listener import STEP_S, Listener
from bench.quality.losses import Losses, Pattern, losses
from bench.quality.opus import RATE_IN, RATE_OUT, STEP_IN, Encoder, Pcm
from bench.quality.room import Room
from bench.quality.treatments import Treatment
from bench.quality.voices import Voice
from bench.speech import level_dbov

# What browsers choose for a voice in mono, and how hard they try.
BITRATE_BPS, COMPLEXITY = 32_000, 9
ONE_WAY_S = 0.040
JITTER_S = 0.005
# Silence around the speech: the listener's timeline begins before anything is lost, and what is
# lost last is noticed by what follows.
LEAD_STEPS, TAIL_STEPS = 25, 25
IP_UDP_BYTES = 28  # IPv4
_BEGIN = 1_000.0


@dataclass(frozen=True)
class Line:
    """The downlink: which packets it loses. The way back loses nothing."""

    pattern: Pattern
    loss: float
    seed: str


@dataclass(frozen=True)
class Heard:
    """What came of it. Ratios are of the frames of speech, without the silence around."""

    sound: Pcm  # 16 kHz, in step with the voice's reference
    lost: float  # packets that the line lost, of those sent for the first time
    never_came: float  # frames whose packet and copies did not come at all
    concealed: float  # frames of which the decoder had nothing when they were due
    by_fec: float  # frames made from in-band FEC
    wire_kbit_s: float  # towards the listener: everything sent, with IP, UDP, RTP and SRTP


@dataclass(frozen=True)
class Encoded:
    """A voice's packets with their levels, silence around it."""

    packets: tuple[tuple[bytes, int], ...]
    lookahead: int  # samples at 48 kHz


@lru_cache(maxsize=32)
def encoded(voice: Voice, expected_loss: float | None) -> Encoded:
    """What the publisher sends."""
    encoder = Encoder(BITRATE_BPS, COMPLEXITY, expected_loss)
    quiet = [np.zeros(STEP_IN, dtype=np.int16)]
    steps = [*quiet * LEAD_STEPS, *voice.sound.reshape(-1, STEP_IN), *quiet * TAIL_STEPS]
    packets = [(encoder.encode(step), level_dbov(step / 32_768)) for step in steps]
    return Encoded(tuple(packets), encoder.lookahead)


def hear(voice: Voice, treatment: Treatment, line: Line) -> Heard:
    """Let the voice speak, and the listener listen."""
    said = encoded(voice, line.loss if treatment.in_band_fec else None)
    call = _Call(said.packets, treatment, line)
    call.run()
    speech = range(LEAD_STEPS, len(said.packets) - TAIL_STEPS)
    listener, fate = call.listener, call.listener.fate
    offset = LEAD_STEPS * STEP_IN + said.lookahead
    begin = offset * RATE_OUT // RATE_IN
    return Heard(
        sound=listener.sound[begin : begin + len(voice.reference)],
        lost=call.lost / len(speech),
        never_came=sum(not listener.has(frame) for frame in speech) / len(speech),
        concealed=len(fate.concealed & set(speech)) / len(speech),
        by_fec=len(fate.by_fec & set(speech)) / len(speech),
        wire_kbit_s=call.wire_bytes * 8 / 1_000 / (len(speech) * STEP_S),
    )


class _Call:
    """Events in virtual time: the talker's steps, datagrams, requests, the loudspeaker's steps."""

    def __init__(
        self, packets: Sequence[tuple[bytes, int]], treatment: Treatment, line: Line
    ) -> None:
        self._packets = packets
        self._room = Room(treatment, _BEGIN)
        self._losses: Losses = losses(line.pattern, line.loss, line.seed)
        self._jitter = random.Random(f"{line.seed} jitter")
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._speech = range(LEAD_STEPS, len(packets) - TAIL_STEPS)
        self.listener = Listener(
            _BEGIN + ONE_WAY_S,
            treatment.buffer_ms / 1_000,
            2 * ONE_WAY_S,
            asks=treatment.repeats,
        )
        self.lost = 0
        self.wire_bytes = 0

    def run(self) -> None:
        """Until the last frame was heard."""
        for index in range(len(self._packets)):
            self._at(_BEGIN + index * STEP_S, partial(self._say, index))
            self._at(self.listener.plays_at(index), lambda _: self.listener.play())
        while self._events:
            now, _, happen = heapq.heappop(self._events)
            happen(now)

    def _at(self, when: float, happen: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), happen))

    def _say(self, index: int, now: float) -> None:
        opus, level = self._packets[index]
        is_speech = index in self._speech
        for datagram in self._room.say(opus, level, now):
            is_lost = self._carry(datagram, now, is_speech=is_speech)
            self.lost += is_lost and is_speech
        self._ask(now)

    def _carry(self, datagram: bytes, now: float, *, is_speech: bool) -> bool:
        """Over the downlink; returns whether it was lost."""
        if not is_speech:
            self._arrive_later(datagram, now)
            return False
        self.wire_bytes += len(datagram) + IP_UDP_BYTES
        if self._losses():
            return True
        self._arrive_later(datagram, now)
        return False

    def _arrive_later(self, datagram: bytes, now: float) -> None:
        def arrive(then: float) -> None:
            self.listener.take(self._room.hear(datagram))
            self._ask(then)

        self._at(now + ONE_WAY_S + self._jitter.uniform(0, JITTER_S), arrive)

    def _ask(self, now: float) -> None:
        """Whatever the listener misses, it asks for; the request takes its time."""
        wanted = self.listener.wanted(now)
        if wanted:
            self._at(now + ONE_WAY_S, partial(self._repeat, wanted))
            self._at(now + self.listener.patience_s, self._ask)

    def _repeat(self, wanted: list[int], now: float) -> None:
        for datagram in self._room.repeat(wanted, now, 2 * ONE_WAY_S):
            self._carry(datagram, now, is_speech=True)
