"""Whether a line would carry more, found out by sending more for about a second.

Sound takes no more than its tier, so that a line carries that says nothing of what it would carry.
A probe sends earlier packets along (RED): useful octets. First one each, which the narrowest line
with a queue of a third of a second survives; if none of it waits, two each. It ends at the first
sign of a queue, and says then what really arrived. What came through without one is believed half
as much again, as in the estimate by delay.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from .feedback import Delivery
from .protection import COPIES_MAX
from .rates import HEADROOM

# Of the longest packets (120 ms) five fit in.
STAGE_S = 0.65
# What the larger packets themselves take longer on a narrow line is less than this.
WAIT_MAX_S = 0.08
# In a row, so that one late packet of a radio link ends nothing.
LATE_MAX = 2
# More than this beyond twice what the line loses anyway.
LOST_MAX = 2
PACKETS_MIN = 4
# An answer that takes longer does not come.
ANSWER_MAX_S = 2.0


class Finding(Enum):
    """Where a probe is."""

    OPEN = auto()
    DONE = auto()


class Probe:
    """One probe; `carried_bps` is what it found, None while or if nothing."""

    __slots__ = (
        "_arrivals",
        "_enough_bps",
        "_floor_s",
        "_late",
        "_loss_ratio",
        "_lost",
        "_stage_at",
        "carried_bps",
        "copies",
        "is_full",
    )

    def __init__(self, *, enough_bps: float, waits_s: float, loss_ratio: float, now: float) -> None:
        """More than `enough_bps` need not be known.

        `waits_s` is how long packets wait before it, `loss_ratio` how many are lost.
        """
        self.carried_bps: float | None = None
        self.is_full = False
        self.copies = 1
        self._enough_bps = enough_bps
        self._floor_s = waits_s
        self._loss_ratio = loss_ratio
        self._begin_stage(now)

    def _begin_stage(self, now: float) -> None:
        self._stage_at = now
        self._late = self._lost = 0
        self._arrivals: list[tuple[float, int]] = []

    def observe(self, deliveries: Sequence[Delivery], newest_s: float, now: float) -> Finding:
        """Take a feedback while it runs; `newest_s`: how long the newest packet waited."""
        newest_sent = self._take(deliveries)
        self._late = self._late + 1 if newest_s > self._floor_s + WAIT_MAX_S else 0
        if self._late >= LATE_MAX or self._loses():
            self.is_full = True
            if self.carried_bps is not None:
                self.carried_bps /= HEADROOM  # what came through, and that is all
            return Finding.DONE
        if newest_sent - self._stage_at < STAGE_S:
            return self.check_time(now)
        return self._end_stage(now)

    def check_time(self, now: float) -> Finding:
        """Without a feedback: too long is the end."""
        return Finding.DONE if now - self._stage_at > STAGE_S + ANSWER_MAX_S else Finding.OPEN

    def _loses(self) -> bool:
        sent = self._lost + len(self._arrivals)
        return self._lost > LOST_MAX + 2.0 * self._loss_ratio * sent

    def _take(self, deliveries: Sequence[Delivery]) -> float:
        newest = self._stage_at
        for delivery in deliveries:
            if delivery.sent_at < self._stage_at:
                continue
            if delivery.arrived_at is None:
                self._lost += 1
            else:
                self._arrivals.append((delivery.arrived_at, delivery.size))
                newest = delivery.sent_at
        return newest

    def _rate(self) -> float | None:
        arrivals = self._arrivals
        if len(arrivals) < PACKETS_MIN:
            return None
        span_s = arrivals[-1][0] - arrivals[0][0]
        octets = sum(size for _, size in arrivals[1:])
        return octets * 8.0 / span_s if span_s > STAGE_S / 3 else None

    def _end_stage(self, now: float) -> Finding:
        rate = self._rate()
        if rate is not None:
            self.carried_bps = max(self.carried_bps or 0.0, HEADROOM * rate)
        if self.copies >= COPIES_MAX or (self.carried_bps or 0.0) >= self._enough_bps:
            return Finding.DONE
        self.copies += 1
        self._begin_stage(now)
        return Finding.OPEN
