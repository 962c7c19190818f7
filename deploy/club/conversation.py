"""Who of the bots says what when: turns, pauses between them, and rests for people. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deploy.club.voices import SILENCE_LEVEL, SILENCE_PACKET, Utterance

# Between turns, as people do; after a few turns a longer one, so that a visitor gets a word in.
TURN_PAUSE_FRAMES = (15, 50)
REST_FRAMES = (200, 350)
TURNS_BEFORE_REST = (4, 8)


@dataclass(frozen=True, slots=True)
class Frame:
    """What one bot sends in one 20 ms tick."""

    payload: bytes
    level: int


SILENCE = Frame(SILENCE_PACKET, SILENCE_LEVEL)


def conversation(
    repertoires: Sequence[Sequence[Utterance]], entropy: random.Random
) -> Iterator[list[Frame]]:
    """An endless talk: every item is one tick, with the frame of each bot in it."""
    silence = [SILENCE] * len(repertoires)
    speaker = 0
    while True:
        for _ in range(entropy.randint(*TURNS_BEFORE_REST)):
            utterance = entropy.choice(repertoires[speaker])
            for payload, level in zip(utterance.packets, utterance.levels, strict=True):
                tick = list(silence)
                tick[speaker] = Frame(payload, level)
                yield tick
            for _ in range(entropy.randint(*TURN_PAUSE_FRAMES)):
                yield silence
            speaker = (speaker + 1) % len(repertoires)
        for _ in range(entropy.randint(*REST_FRAMES)):
            yield silence
