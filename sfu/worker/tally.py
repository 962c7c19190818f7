"""Distributions as plain counts: how many values were up to each of a few edges."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class Tally:
    """`counts` has one more than `edges`: the values above the last. `total` is their sum."""

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: Sequence[float]) -> None:
        """`edges` ascend."""
        self.edges = tuple(edges)
        self.counts = [0] * (len(self.edges) + 1)
        self.total = 0.0

    def add(self, value: float, times: int = 1) -> None:
        """One more of this value; with negative `times` one less."""
        self.counts[bisect_left(self.edges, value)] += times
        self.total += value * times
