"""Whether a line would carry more, found out by sending more for about a second.

Sound takes no more than its tier, so that a line carries that says nothing of what it would carry.
A probe sends earlier packets along (RED): useful octets. First one each, which the narrowest line
with a queue of a third of a second survives; if none of it waits, two each. It ends at the first
sign of a queue: then what came through before that is all that the line is known to carry. What
came through without any is believed half as much again, as in the estimate by delay.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from itertools import pairwise

from .feedback import Delivery
from .protection import COPIES_MAX
from .rates import HEADROOM

# Of the longest packets (120 ms) five fit in.
STAGE_S = 0.65
# What the larger packets themselves take longer on a narrow line is less than this.
WAIT_MAX_S = 0.06
# In a row, so that one late packet of a radio link ends nothing.
LATE_MAX = 2
# More than this beyond twice what the line loses anyway.
LOST_MAX = 2
PACKETS_MIN = 4
# A talk may pause meanwhile; one that does for longer is another time's.
STAGE_MAX_S = 4.0
# What left or came further apart was a pause.
PAUSE_S = 0.25
ACTIVE_S = 0.2


class Finding(Enum):
    """Where a probe is."""

    OPEN = auto()
    DONE = auto()


class Probe:
    """One probe; `carried_bps` is what it found, None while or if nothing."""

    __slots__ = (
        "_active_s",
        "_arrivals",
        "_copies_max",
        "_enough_bps",
        "_floor_s",
        "_late",
        "_loss_ratio",
        "_lost",
        "_sent_at",
        "_stage_at",
        "carried_bps",
        "copies",
        "is_full",
    )

    def __init__(
        self,
        *,
        enough_bps: float,
        waits_s: float,
        loss_ratio: float,
        now: float,
        copies_max: int = COPIES_MAX,
    ) -> None:
        """More than `enough_bps` need not be known, more than `copies_max` may not be sent.

        `waits_s` is how long packets wait before it, `loss_ratio` how many are lost.
        """
        self.carried_bps: float | None = None
        self.is_full = False
        self.copies = 1
        self._copies_max = copies_max
        self._enough_bps = enough_bps
        self._floor_s = waits_s
        self._loss_ratio = loss_ratio
        self._begin_stage(now)

    def _begin_stage(self, now: float) -> None:
        self._stage_at = self._sent_at = now
        self._active_s = 0.0  # of it something was sent
        self._late = self._lost = 0
        self._arrivals: list[tuple[float, int]] = []

    def observe(self, deliveries: Sequence[Delivery], newest_s: float, now: float) -> Finding:
        """Take a feedback while it runs; `newest_s`: how long the newest packet waited."""
        self._take(deliveries)
        waits_s = newest_s - self._floor_s
        self._late = self._late + 1 if waits_s > WAIT_MAX_S else 0
        if waits_s > LATE_MAX * WAIT_MAX_S:
            self._late = LATE_MAX
        if self._late >= LATE_MAX or self._loses():
            self.is_full = True
            if self.carried_bps is not None:
                self.carried_bps /= HEADROOM  # what came through, and that is all
            return Finding.DONE
        if self._active_s < STAGE_S:
            return self.check_time(now)
        return self._end_stage(now)

    @property
    def is_last_stage(self) -> bool:
        """Whether it sends as much as it may."""
        return self.copies >= self._copies_max

    def check_time(self, now: float) -> Finding:
        """Without a feedback: too long is the end, and what came until then counts."""
        if now - self._stage_at <= STAGE_MAX_S:
            return Finding.OPEN
        self._learn()
        return Finding.DONE

    def _loses(self) -> bool:
        sent = self._lost + len(self._arrivals)
        return self._lost > LOST_MAX + 2.0 * self._loss_ratio * sent

    def _take(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.sent_at < self._stage_at:
                continue
            if delivery.arrived_at is None:
                self._lost += 1
            else:
                self._arrivals.append((delivery.arrived_at, delivery.size))
            pause_s = delivery.sent_at - self._sent_at
            self._active_s += pause_s if pause_s < PAUSE_S else 0.0
            self._sent_at = delivery.sent_at

    def _rate(self) -> float | None:
        arrivals = self._arrivals
        if len(arrivals) < PACKETS_MIN:
            return None
        times = [arrived_at for arrived_at, _ in arrivals]
        gaps = (late - early for early, late in pairwise(times))
        span_s = sum(gap for gap in gaps if gap < PAUSE_S)
        octets = sum(size for _, size in arrivals[1:])
        return octets * 8.0 / span_s if span_s > ACTIVE_S else None

    def _learn(self) -> None:
        rate = self._rate()
        if rate is not None:
            self.carried_bps = max(self.carried_bps or 0.0, HEADROOM * rate)

    def _end_stage(self, now: float) -> Finding:
        self._learn()
        if self.is_last_stage or (self.carried_bps or 0.0) >= self._enough_bps:
            return Finding.DONE
        self.copies += 1
        self._begin_stage(now)
        return Finding.OPEN
