"""Damage to real messages: every truncation, and seeded mutations that repeat from run to run."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

MUTATIONS = 10_000
# Values at which parsers of lengths and counts go wrong.
_EDGES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)


def truncations(messages: Sequence[bytes]) -> Iterator[bytes]:
    """Every proper prefix of every message."""
    for message in messages:
        for size in range(len(message)):
            yield message[:size]


def mutations(messages: Sequence[bytes], *, seed: str, count: int = MUTATIONS) -> Iterator[bytes]:
    """`count` messages, each with one to four kinds of damage."""
    rng = random.Random(seed)
    for _ in range(count):
        data = bytearray(rng.choice(messages))
        # Half of them keep their length: most parsers look at nothing else when it is wrong.
        kinds = rng.choice((2, 5))
        for _ in range(rng.randint(1, 4)):
            _damage(data, rng.randrange(kinds), rng)
        yield bytes(data)


def _damage(data: bytearray, kind: int, rng: random.Random) -> None:
    """Change (0, 1), insert, remove or repeat something."""
    at = rng.randrange(len(data) + 1)
    size = rng.randint(1, 8)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1 and at < len(data):
        data[at] = rng.choice(_EDGES)
    elif kind == 2:
        data[at:at] = rng.randbytes(size)
    elif kind == 3:
        del data[at : at + size]
    else:
        data[at:at] = data[max(0, at - 4 * size) : at]
