"""Sound made a little shorter or longer without a click.

One period of the voice is left out or said twice, where two stretches that look alike are blended
into each other. In quiet anything may go.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .opus import Pcm

# Periods of voices: 66 to 400 Hz. The search looks at every fourth sample, which is 12 kHz.
LAG_TICKS_MIN, LAG_TICKS_MAX = 120, 720
_COARSE = 4
# What is compared, and over what one stretch is blended into the other: 5 ms.
BLEND_TICKS = 240
_COMPARED_TICKS = 480
# What must be at hand.
NEEDED_TICKS = LAG_TICKS_MAX + _COMPARED_TICKS
# Amplitude below which nobody hears where something is missing: -50 dBov.
QUIET = 0.003
# Likeness (1: the same) from which a blend is not heard; below it only when it is urgent.
ALIKE = 0.7

RISE: Pcm = ((np.arange(BLEND_TICKS, dtype=np.float32) + 0.5) / BLEND_TICKS).astype(np.float32)


class Seam(NamedTuple):
    """Where sound repeats itself: after `lag` ticks it is as much `alike` (-1 to 1) as anywhere."""

    lag: int
    alike: float


def find(sound: Pcm) -> Seam:
    """The best seam at the beginning of `sound`, of which at least NEEDED_TICKS are given."""
    assert len(sound) >= NEEDED_TICKS
    coarse = sound[:NEEDED_TICKS:_COARSE]
    if float(np.abs(coarse).max()) < QUIET:
        return Seam(LAG_TICKS_MAX, 1.0)
    width = _COMPARED_TICKS // _COARSE
    template, later = coarse[:width], coarse[LAG_TICKS_MIN // _COARSE :]
    products = np.correlate(later, template, "valid")
    sums = np.concatenate(([0.0], np.cumsum(later * later)))
    energies = (sums[width:] - sums[:-width])[: len(products)]
    likeness = products / np.sqrt(energies * float(template @ template) + 1e-9)
    best = int(likeness.argmax())
    return Seam(LAG_TICKS_MIN + best * _COARSE, float(likeness[best]))


def shortened(sound: Pcm, lag: int) -> Pcm:
    """`sound` without `lag` ticks of its beginning."""
    rest = sound[lag:].copy()
    blend(rest, sound)
    return rest


def lengthened(sound: Pcm, lag: int) -> Pcm:
    """`sound` with its first `lag` ticks said twice."""
    again = sound.copy()
    blend(again, sound[lag:])
    return np.concatenate((sound[:lag], again))


def blend(onto: Pcm, before: Pcm) -> None:
    """Let `before` pass into `onto` over the first 5 ms of it, in place; both may be shorter."""
    width = min(BLEND_TICKS, len(onto), len(before))
    rise = RISE if width == BLEND_TICKS else np.linspace(0, 1, width, dtype=np.float32)
    onto[:width] *= rise
    onto[:width] += before[:width] * (1 - rise)
