"""Synthetic syllabic speech: RFC 6464 levels, one for each 20 ms, from a seed.

Phrases of 4 to 12 syllables with pauses for breath between them; a syllable swells and dies away
around -22 dBov, the room behind it is at -70.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

FRAME_S = 0.02
SPEECH_DB = -22.0
ROOM_DB = -70.0


def _level(dbov: float) -> int:
    return min(127, max(0, round(-dbov)))


def talk(seed: int, *, loudness_db: float = SPEECH_DB) -> Iterator[int]:
    """Somebody who talks for ever."""
    rng = random.Random(seed)
    yield from _room(rng, rng.randint(0, 20))
    while True:
        phrase_db = loudness_db + rng.gauss(0.0, 1.0)
        for _ in range(rng.randint(4, 12)):
            yield from _syllable(rng, phrase_db)
        yield from _room(rng, rng.randint(10, 35))


def _syllable(rng: random.Random, phrase_db: float) -> Iterator[int]:
    frames = rng.randint(6, 14)
    peak_db = phrase_db + rng.gauss(0.0, 3.0)
    for index in range(frames):
        swell_db = 20.0 * math.log10(math.sin(math.pi * (index + 0.5) / frames))
        yield _level(peak_db + swell_db + rng.gauss(0.0, 1.0))
    for _ in range(rng.randint(0, 3)):
        yield _level(peak_db - 25.0 + rng.gauss(0.0, 3.0))


def _room(rng: random.Random, frames: int) -> Iterator[int]:
    for _ in range(frames):
        yield _level(ROOM_DB + rng.gauss(0.0, 2.0))


def typing(seed: int, *, loudness_db: float = -18.0) -> Iterator[int]:
    """A keyboard close to the microphone: bangs of 20 or 40 ms, 60 to 200 ms apart."""
    rng = random.Random(seed)
    while True:
        for _ in range(rng.randint(1, 2)):
            yield _level(loudness_db + rng.gauss(0.0, 2.0))
        yield from _room(rng, rng.randint(3, 10))


def silence(seed: int) -> Iterator[int]:
    """An open microphone in a quiet room."""
    rng = random.Random(seed)
    while True:
        yield from _room(rng, 50)
