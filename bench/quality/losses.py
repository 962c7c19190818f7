"""Lines that lose packets: each of them by itself, or several in a row."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

Pattern = Literal["random", "bursts"]
Losses = Callable[[], bool]

PATTERNS: tuple[Pattern, ...] = ("random", "bursts")
TITLES: dict[Pattern, str] = {"random": "random loss", "bursts": "loss in bursts"}
MEAN_BURST = 2.5  # packets; what Wi-Fi and cellular lines lose at once on average


def losses(pattern: Pattern, ratio: float, seed: str) -> Losses:
    """Tells of one packet after the other whether it is lost; `ratio` of them are, in the long
    run. `bursts` is the model of Gilbert and Elliott with nothing lost in the good state and
    everything in the bad one.
    """
    if not 0 <= ratio < 1:
        raise ValueError(f"a loss ratio of {ratio}")
    entropy = random.Random(seed)
    if pattern == "random":
        return lambda: entropy.random() < ratio
    return _Bursts(ratio, entropy)


class _Bursts:
    def __init__(self, ratio: float, entropy: random.Random) -> None:
        self._leave = 1 / MEAN_BURST
        self._enter = self._leave * ratio / (1 - ratio)
        self._entropy = entropy
        self._is_bad = False

    def __call__(self) -> bool:
        draw = self._entropy.random()
        self._is_bad = draw >= self._leave if self._is_bad else draw < self._enter
        return self._is_bad
