"""How long ticks take, for a histogram of metrics."""

from __future__ import annotations

# Upper edges in microseconds; a tick has 20,000.
EDGES_US = (250, 500, 1_000, 2_000, 4_000, 8_000, 12_000, 16_000, 20_000, 40_000)


class Durations:
    """Counts by duration; the last count is of those above all edges."""

    __slots__ = ("counts", "sum_us")

    def __init__(self) -> None:
        self.counts = [0] * (len(EDGES_US) + 1)
        self.sum_us = 0

    def add(self, duration_us: int) -> None:
        """One tick took so long."""
        self.sum_us += duration_us
        for i, edge in enumerate(EDGES_US):
            if duration_us <= edge:
                self.counts[i] += 1
                return
        self.counts[-1] += 1
