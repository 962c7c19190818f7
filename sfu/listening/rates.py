"""What a line carries, by three independent observers; the least of them counts.

    Acknowledged   what really arrived, in bits/s; while a queue grows that is what the line carries
    DelayLimit     down to 0.85 of what arrives when a queue grows, up by 8 % a second else
    LossLimit      down by half the share that is lost beyond 10 %, up by 8 % a second below 2 %
    REMB           what a receiver says itself, while it is fresh

The constants are those of Google's congestion control (draft-ietf-rmcat-gcc-02). Sound takes what
it takes: sending more than the tier's rate happens only in a probe. So arrivals alone never show
room, and the delay limit grows to 1.5 times what arrived and not beyond.
"""

from __future__ import annotations

import math
from collections import deque

from .delay import Use

DECREASE = 0.85
GROWTH_PER_S = 1.08
# At most so much of what arrived: the rest is not known.
HEADROOM = 1.5
# What is measured at once: so long and so many, of the last so long.
RATE_MIN_S = 0.5
RATE_PACKETS = 16
RATE_MAX_S = 2.0
# Three slots of 20 ms for that long, and once more; a receiver may claim any times.
ARRIVALS_MAX = 600
# Since a queue began to grow, so many are enough: they came as fast as the line lets them.
SINCE_PACKETS = 4
LOSS_LOW, LOSS_HIGH = 0.02, 0.10
LOSS_STEP_S = 0.3
LOSS_DECREASE = 0.5
# No tier takes as much with all its copies: it is no limit any more.
FORGET_BPS = 1_000_000.0
# Reports come every 5 s; one that is older says nothing of now.
REPORT_FRESH_S = 6.0
REMB_FRESH_S = 10.0


class Acknowledged:
    """The rate at which packets arrived lately."""

    __slots__ = ("_arrivals",)

    def __init__(self) -> None:
        self._arrivals: deque[tuple[float, int]] = deque(maxlen=ARRIVALS_MAX)

    def begin(self) -> None:
        """What is sent has changed."""
        self._arrivals.clear()

    def take(self, arrived_at: float, size: int) -> None:
        """A packet of `size` octets on the wire."""
        arrivals = self._arrivals
        if arrivals and arrived_at < arrivals[-1][0]:
            if arrived_at < arrivals[-1][0] - RATE_MAX_S:
                arrivals.clear()  # the receiver's clock was set back
            else:
                arrived_at = arrivals[-1][0]  # overtaken: it counts all the same
        arrivals.append((arrived_at, size))
        while arrived_at - arrivals[0][0] > RATE_MAX_S:
            arrivals.popleft()

    @property
    def bps(self) -> float | None:
        """Over at least half a second; None while there are too few."""
        octets = 0
        newest = self._arrivals[-1][0] if self._arrivals else 0.0
        rate = None
        for count, (arrived_at, size) in enumerate(reversed(self._arrivals)):
            span_s = newest - arrived_at
            if span_s >= RATE_MIN_S:
                rate = octets * 8.0 / span_s
                if count >= RATE_PACKETS:
                    break
            octets += size
        return rate

    @property
    def newest_at(self) -> float:
        """When the last packet arrived, on the receiver's clock."""
        return self._arrivals[-1][0] if self._arrivals else -math.inf

    def since_bps(self, arrived_at: float) -> float | None:
        """Over those that arrived later; None while there are too few."""
        later = [arrival for arrival in self._arrivals if arrival[0] > arrived_at]
        if len(later) < SINCE_PACKETS:
            return None
        span_s = later[-1][0] - later[0][0]
        return sum(size for _, size in later[1:]) * 8.0 / span_s if span_s > 0.0 else None


class DelayLimit:
    """The estimate by delay; `bps` is None until a queue grew once."""

    __slots__ = ("_at", "bps")

    def __init__(self) -> None:
        self.bps: float | None = None
        self._at = 0.0

    def observe(self, use: Use, acked_bps: float | None, now: float) -> None:
        """After each feedback."""
        elapsed_s = min(max(0.0, now - self._at), 1.0)
        self._at = now
        if acked_bps is None:
            return
        if use is Use.OVER:
            lower = DECREASE * acked_bps
            self.bps = lower if self.bps is None else min(self.bps, lower)
        elif use is Use.NORMAL and self.bps is not None:
            grown = min(self.bps * GROWTH_PER_S**elapsed_s, HEADROOM * acked_bps)
            self.bps = max(self.bps, grown)

    def learn(self, carried_bps: float) -> None:
        """A probe found that the line carries so much."""
        if self.bps is not None:
            self.bps = max(self.bps, carried_bps)


class LossLimit:
    """The estimate by loss; None until more than 10 % were lost once."""

    __slots__ = ("_bps", "_decreased_at", "_grown_at", "_is_low", "_told_at")

    def __init__(self) -> None:
        self._bps: float | None = None
        self._grown_at = self._decreased_at = self._told_at = -math.inf
        self._is_low = False

    def observe(self, loss_ratio: float, sent_bps: float, rtt_s: float, now: float) -> None:
        """`loss_ratio` of what was sent at `sent_bps`; not for loss that is by chance."""
        self.bps(now)
        self._told_at = now
        self._is_low = loss_ratio <= LOSS_LOW
        if loss_ratio > LOSS_HIGH and now - self._decreased_at >= LOSS_STEP_S + rtt_s:
            self._decreased_at = now
            carried_bps = sent_bps if self._bps is None else min(self._bps, sent_bps)
            self._bps = carried_bps * (1.0 - LOSS_DECREASE * loss_ratio)

    def bps(self, now: float) -> float | None:
        """What it is at `now`: it grows while the last report is fresh and good."""
        until = min(now, self._told_at + REPORT_FRESH_S)
        if self._bps is not None and self._is_low and until > self._grown_at:
            since = max(self._grown_at, self._told_at)
            self._bps *= GROWTH_PER_S ** max(0.0, until - since)
            if self._bps >= FORGET_BPS:
                self._bps = None
        self._grown_at = max(self._grown_at, until)
        return self._bps


class Remb:
    """The receiver's own estimate."""

    __slots__ = ("_at", "_bps")

    def __init__(self) -> None:
        self._bps = math.inf
        self._at = -math.inf

    def observe(self, bps: float, now: float) -> None:
        """As received."""
        self._bps, self._at = bps, now

    def bps(self, now: float) -> float | None:
        """None when there is none, or it is old."""
        return self._bps if now - self._at < REMB_FRESH_S else None
