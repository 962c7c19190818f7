"""Whether a line would carry more, found out by sending more for some seconds.

Sound takes no more than its tier, so that a line carries that says nothing of what it would carry.
A probe sends earlier packets along (RED): useful octets. First one each, which the narrowest line
with a queue of a third of a second survives; if none of it waits, two each. It ends at the first
sign of a queue: then what is proven before that is all that the line is known to carry. What came
through without any is believed half as much again, as in the estimate by delay.

A line of `r` whose shaper has a bucket of `b` delivers `b + r * t` in any time `t` at most, and
until the bucket is empty there is no queue. So of what came is proven

    carried >= (octets - b) / t

of whichever time up to now shows most. The less more is sent than the next tier takes, the longer
a probe lasts: until the best tier that it could prove is proven.
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
# The last stage: the narrowest steps are proven in it.
PROOF_S = 4.0
# What a shaper lets through at once: no less than the largest frame of an Ethernet, and where lines
# are as narrow as these not much more. A step up that was too much for all that asks for more.
BUCKET_BYTES = 1_600
# What the larger packets themselves take longer on a narrow line is less than this.
WAIT_MAX_S = 0.06
# More is sent once no more waits than this.
CLEAR_S = 0.03
# In a row, so that one late packet of a radio link ends nothing.
LATE_MAX = 2
# More than this beyond twice what the line loses anyway.
LOST_MAX = 2
PACKETS_MIN = 4
# A talk may pause meanwhile; one that does for longer is another time's.
STAGE_MAX_S = 4.0
PROOF_MAX_S = 7.0
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
        "_bucket_bits",
        "_copies_max",
        "_floor_s",
        "_late",
        "_loss_ratio",
        "_lost",
        "_needs",
        "_sent_at",
        "_stage_arrivals",
        "_stage_at",
        "carried_bps",
        "copies",
        "is_full",
    )

    def __init__(
        self,
        *,
        needs: Sequence[float],
        waits_s: float,
        loss_ratio: float,
        now: float,
        copies_max: int = COPIES_MAX,
        bucket_bytes: float = BUCKET_BYTES,
    ) -> None:
        """`needs` is what is to be proven, in bits/s: the most is enough, less is worth knowing.

        `waits_s` is how long packets wait before it, `loss_ratio` how many are lost. More than
        `copies_max` may not be sent. The line's bucket is taken for `bucket_bytes`.
        """
        self.carried_bps: float | None = None
        self.is_full = False
        self.copies = 1
        self._copies_max = copies_max
        self._bucket_bits = 8.0 * bucket_bytes
        self._needs = sorted(needs, reverse=True)
        self._floor_s = waits_s
        self._loss_ratio = loss_ratio
        self._arrivals: list[tuple[float, int]] = []
        self._begin_stage(now)

    def _begin_stage(self, now: float) -> None:
        self._stage_at = self._sent_at = now
        self._active_s = 0.0  # of it something was sent
        self._late = self._lost = 0
        self._stage_arrivals = len(self._arrivals)  # before it

    @property
    def is_last_stage(self) -> bool:
        """Whether it sends as much as it may."""
        return self.copies >= self._copies_max

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
        if self._active_s >= STAGE_S:
            return self._judge(now, waits_s)
        return self.check_time(now)

    def check_time(self, now: float) -> Finding:
        """Without a feedback: too long is the end, and what came until then counts."""
        limit_s = PROOF_MAX_S if self.is_last_stage else STAGE_MAX_S
        if now - self._stage_at <= limit_s:
            return Finding.OPEN
        self._learn()
        return Finding.DONE

    def _loses(self) -> bool:
        sent = self._lost + len(self._arrivals) - self._stage_arrivals
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

    def _proven_bps(self) -> float:
        """The most that what came proves, over whichever time up to now."""
        arrivals = self._arrivals
        most = bits = 0.0
        for index in range(len(arrivals) - 1, 0, -1):
            bits += arrivals[index][1] * 8.0
            span_s = arrivals[-1][0] - arrivals[index - 1][0]
            if span_s > ACTIVE_S and len(arrivals) - index >= PACKETS_MIN:
                most = max(most, (bits - self._bucket_bits) / span_s)
        return most

    def _learn(self) -> None:
        proven_bps = self._proven_bps()
        if proven_bps > 0.0:
            self.carried_bps = max(self.carried_bps or 0.0, HEADROOM * proven_bps)

    def _stage_bps(self) -> float:
        """At what rate this stage comes, while somebody talks."""
        arrivals = self._arrivals[self._stage_arrivals :]
        gaps_s = (late - early for (early, _), (late, _) in pairwise(arrivals))
        span_s = sum(gap_s for gap_s in gaps_s if gap_s < PAUSE_S)
        octets = sum(size for _, size in arrivals[1:])
        return octets * 8.0 / span_s if span_s > ACTIVE_S else 0.0

    def _judge(self, now: float, waits_s: float) -> Finding:
        """The stage has lasted long enough to say something: is it all that there is to say?"""
        self._learn()
        carried_bps = self.carried_bps or 0.0
        if carried_bps >= self._needs[0]:
            return Finding.DONE
        if not self.is_last_stage:
            if waits_s > CLEAR_S:
                return self.check_time(now)  # a queue that begins would be full at once
            self.copies += 1
            self._begin_stage(now)
            return Finding.OPEN
        possible_bps = HEADROOM * self._stage_bps()
        aim = next((need for need in self._needs if need <= possible_bps), 0.0)
        if carried_bps >= aim or self._active_s >= PROOF_S:
            return Finding.DONE
        return self.check_time(now)
