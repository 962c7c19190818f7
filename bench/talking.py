"""Who speaks when: the talk patterns of a load's speakers.

- `always`: every speaker speaks all the time. The most a room can ask of a server.
- `speech`: phrases, breaths and pauses with DTX, each speaker at another place of its voice.
- `turns`: one speaker of each room after the other, with a breath between them; who is not on turn
  sends nothing, as a muted microphone. Every beginning is known, so what listeners missed of it
  can be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING

from bench import speech
from bench.rtcp import Sent
from sfu.fast import Swarm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.clients import Client
    from bench.crowd import Crowd
    from sfu.fast.measured import Onset

STEP_NS = 20_000_000
TURN_S = 1.6
BREATH_S = 0.4
# Where a voice detector finds a voice in speech like this; between syllables it does not.
VOICED_LEVEL_MAX = 50
VOICE_BIT = 0x80
# A voice is given to the swarm this long before its first packet is due.
LEAD_NS = 100_000_000
# RFC 3550 5.1; below 2**15 so that the first packets cannot wrap (libsrtp's index guess).
_FIRST_SEQUENCE_MAX = 32_767


@dataclass(frozen=True)
class Turn:
    """One speaker's talk spurt; due packets from `start_ns` to before `end_ns`."""

    speaker: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Spoken:
    """What a microphone says without a pause: from `first_step` of a voice on."""

    number: int  # of the voice, in its phrasebook
    first_step: int
    started_ns: int


class Phrasebook:
    """The voices of a load, made once and given to every swarm that uses them."""

    def __init__(self, seed: int, talk: speech.Talk, voices: int) -> None:
        self.voices: list[speech.Voice] = []
        self._packets: list[list[int]] = []
        self._octets: list[list[int]] = []
        for number in range(voices):
            self.add(speech.voice(seed, number, talk))

    def add(self, voice: speech.Voice) -> None:
        """One more voice."""
        self.voices.append(voice)
        self._packets.append(list(accumulate(bool(packet) for packet, _ in voice.steps)))
        self._octets.append(list(accumulate(len(packet) for packet, _ in voice.steps)))

    def give(self, swarm: Swarm) -> list[int]:
        """The ids of the voices in `swarm`."""
        return [
            swarm.add_voice([(packet, _octet(level)) for packet, level in voice.steps])
            for voice in self.voices
        ]

    def sent(self, number: int, first_step: int, steps: int) -> tuple[int, int]:
        """Packets and octets within so many steps of a voice, from `first_step` on."""
        packets, octets = self._packets[number], self._octets[number]
        return tuple(  # type: ignore[return-value]
            _looped(sums, first_step + steps) - _looped(sums, first_step)
            for sums in (packets, octets)
        )


def _octet(level: int) -> int:
    """Level and voice bit as RFC 6464 has them in one octet."""
    return level | (VOICE_BIT if level <= VOICED_LEVEL_MAX else 0)


def _looped(sums: Sequence[int], steps: int) -> int:
    rounds, rest = divmod(steps, len(sums))
    return rounds * sums[-1] + (sums[rest - 1] if rest else 0)


class Microphone:
    """One speaker's track: begins, ends, goes on with continuous numbers, counts for reports."""

    def __init__(
        self, swarm: Swarm, client: int, phrasebook: Phrasebook, voices: Sequence[int], draw: Random
    ) -> None:
        self._swarm = swarm
        self._client = client
        self._phrasebook = phrasebook
        self._number = draw.randrange(len(voices))
        self._voice = voices[self._number]
        self._sequence = draw.randrange(1, _FIRST_SEQUENCE_MAX)
        self._timestamp = draw.randrange(2**32)
        self._step = draw.randrange(len(phrasebook.voices[self._number].steps))
        self._started_ns = 0  # 0: silent
        self._ended_ns = 0
        self._packets = 0
        self._octets = 0

    @property
    def is_open(self) -> bool:
        """Whether it is speaking."""
        return self._started_ns != 0

    @property
    def spoken(self) -> Spoken | None:
        """What it is saying; None while it is silent."""
        if not self._started_ns:
            return None
        return Spoken(self._number, self._step, self._started_ns)

    def open(self, start_ns: int, *, ssrc: int, payload_type: int, level_extension: int) -> None:
        """Speak from `start_ns` on."""
        if self._ended_ns:
            # Silence takes time as well: media time follows the clock.
            steps = max(0, start_ns - self._ended_ns) // STEP_NS
            self._timestamp = (self._timestamp + steps * speech.STEP_SAMPLES) & 0xFFFFFFFF
        self._started_ns = start_ns
        self._swarm.talk(
            self._client,
            ssrc=ssrc,
            payload_type=payload_type,
            level_extension=level_extension,
            voice=self._voice,
            first_sequence=self._sequence,
            first_timestamp=self._timestamp,
            start_ns=start_ns,
            first_step=self._step,
        )

    def close(self) -> int:
        """Say nothing more; returns when the first step that was not sent would have been due."""
        position = self._swarm.hush(self._client)
        if position is None:
            return self._ended_ns
        steps = _steps_between(self._timestamp, position.timestamp)
        packets, octets = self._phrasebook.sent(self._number, self._step, steps)
        self._packets += packets
        self._octets += octets
        self._ended_ns = self._started_ns + steps * STEP_NS
        self._sequence, self._timestamp = position.sequence, position.timestamp
        self._step = position.step
        self._started_ns = 0
        return self._ended_ns

    def sent(self, now_ns: int) -> Sent:
        """For a sender report."""
        if not self._started_ns:
            ticks = (now_ns - self._ended_ns) * speech.SAMPLE_RATE // 10**9
            return Sent(self._timestamp + ticks, self._packets, self._octets)
        elapsed_ns = max(0, now_ns - self._started_ns)
        steps = elapsed_ns // STEP_NS + 1
        packets, octets = self._phrasebook.sent(self._number, self._step, steps)
        ticks = elapsed_ns * speech.SAMPLE_RATE // 10**9
        return Sent(self._timestamp + ticks, self._packets + packets, self._octets + octets)


def _steps_between(first: int, last: int) -> int:
    return ((last - first) & 0xFFFFFFFF) // speech.STEP_SAMPLES


class Heard:
    """What listeners got of the beginnings of turns."""

    def __init__(self) -> None:
        self.switch_ms: list[float] = []  # from when the first packet was due to the first arrival
        self.lost_ms: list[float] = []  # sound before the first packet that arrived
        self.missed = 0  # turns of which a listener heard nothing

    def clear(self) -> None:
        """Forget everything."""
        self.switch_ms.clear()
        self.lost_ms.clear()
        self.missed = 0

    def take(self, turn: Turn, onsets: Sequence[Onset]) -> None:
        """Find a turn in the voices that began at one listener. Within a room nobody else speaks in
        that time, so the time of sending tells whose packet it was.
        """
        for onset in onsets:
            # A packet is never stamped before it is due.
            if turn.start_ns <= onset.sent_ns < turn.end_ns:
                self.switch_ms.append((onset.arrival_ns - turn.start_ns) / 1e6)
                self.lost_ms.append((onset.sent_ns - turn.start_ns) // STEP_NS * STEP_NS / 1e6)
                return
        self.missed += 1


class Podium:
    """The speakers of one room, speaking as the pattern says."""

    def __init__(
        self,
        crowd: Crowd,
        talk: speech.Talk,
        speakers: Sequence[Client],
        on_turn: Callable[[Turn], None],
    ) -> None:
        self._crowd = crowd
        self._talk = talk
        self._speakers = list(speakers)
        self._on_turn = on_turn
        self._draw = crowd.kit.draw
        self._turn = 0
        self._is_open = False

    def open(self, now_ns: int) -> None:
        """Let them speak, each by a clock of its own: devices do not tick together."""
        self._is_open = True
        if self._talk == "turns":
            self._begin_turn(now_ns + self._draw.randrange(round(TURN_S * 1e9)))
            return
        for speaker in self._speakers:
            self._say(speaker, now_ns + LEAD_NS + self._draw.randrange(STEP_NS))

    def close(self) -> None:
        """Silence."""
        self._is_open = False
        for speaker in self._speakers:
            if speaker.microphone is not None and speaker.is_open:
                speaker.microphone.close()

    def _say(self, speaker: Client, start_ns: int) -> None:
        if speaker.microphone is not None and speaker.is_open:
            ssrc, payload_type, level_extension = speaker.sending
            speaker.microphone.open(
                start_ns, ssrc=ssrc, payload_type=payload_type, level_extension=level_extension
            )

    def _begin_turn(self, start_ns: int) -> None:
        speaker = self._speakers[self._turn % len(self._speakers)]
        self._turn += 1
        self._say(speaker, start_ns)
        end_ns = start_ns + round(TURN_S * 1e9)
        self._crowd.timers.at(end_ns, lambda _: self._end_turn(speaker, start_ns))

    def _end_turn(self, speaker: Client, start_ns: int) -> None:
        if not self._is_open or not speaker.is_open or speaker.microphone is None:
            return
        end_ns = speaker.microphone.close()
        turn = Turn(speaker.name, start_ns, end_ns)
        # The next one begins after a breath; by then the last packet has arrived.
        self._crowd.timers.at(end_ns + LEAD_NS, lambda _: self._on_turn(turn))
        self._begin_turn(end_ns + round(BREATH_S * 1e9))
