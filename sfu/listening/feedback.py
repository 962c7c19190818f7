"""What transport-wide feedback (transport-cc) tells of a line: loss, rate and delay, 10 times a s.

Only stamped packets are answered, so there is feedback while somebody wants to know. What was sent
before the last change says nothing of what is sent since, and is left out.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from .delay import Delay, Use
from .rates import Acknowledged, DelayLimit

# What was sent and not answered for longer is not answered at all: on the lowest tier a packet
# leaves every 120 ms, feedback comes every 50 to 250 ms.
FRESH_S = 2.0
ANSWER_S = 0.3
# Loss is told of so long and so many: of fewer, one lost would be more than it means.
LOSS_S = 1.0
LOSS_PACKETS = 25
# If for so long nothing came at all, the line was away, which is no matter of how much was sent.
AWAY_S = 1.0
OVER_UNKNOWN_S = 1.0
# A queue that lost so much of its delay within a second is emptying.
DRAINS_S = 0.01
DRAINS_WITHIN_S = 1.0
# A queue grows packet by packet. What comes at once is a route, or the receiver's clock.
SUDDEN_SHARE = 0.8


class Delivery(Protocol):
    """What a transport-wide feedback tells of one packet, as the forwarder hands it out.

    `sent_at` is monotonic seconds of ours, `arrived_at` seconds of the receiver's own clock, None
    for a packet that did not come; `size` is octets on the wire.
    """

    @property
    def sent_at(self) -> float: ...

    @property
    def arrived_at(self) -> float | None: ...

    @property
    def size(self) -> int: ...


class Feedback:
    """Everything that deliveries tell of one line."""

    __slots__ = (
        "_acknowledged",
        "_arrived_sent_at",
        "_began_at",
        "_bucket_at",
        "_delay",
        "_heard_at",
        "_lost",
        "_lost_in_row",
        "_over_arrived_at",
        "_came",
        "_standing",
        "_unanswered_since",
        "limit",
    )

    def __init__(self) -> None:
        self._delay = Delay()
        self._acknowledged = Acknowledged()
        self.limit = DelayLimit()
        self._heard_at = -math.inf
        self._unanswered_since: float | None = None
        self._began_at = self._arrived_sent_at = -math.inf
        self._bucket_at: float | None = None  # departure of its first packet
        self._came = self._lost = self._lost_in_row = 0
        self._over_arrived_at = -math.inf  # the last arrival before the queue began to grow
        self._standing: deque[tuple[float, float]] = deque()

    def begin(self, now: float) -> None:
        """What is sent has changed: only packets from now on count."""
        self._began_at = now
        self._delay.begin()
        self._acknowledged.begin()
        self._over_arrived_at = -math.inf
        self._standing.clear()
        self._came = self._lost = self._lost_in_row = 0
        self._bucket_at = None
        self._arrived_sent_at = now

    def observe(self, deliveries: Sequence[Delivery], now: float) -> float | None:
        """Take one feedback; the loss ratio of the last second when there is one."""
        self._heard_at, self._unanswered_since = now, None
        began_at = self._began_at
        take_delay, take_arrival = self._delay.take, self._acknowledged.take
        for delivery in deliveries:
            sent_at, arrived_at = delivery.sent_at, delivery.arrived_at
            if sent_at < began_at:
                continue
            if arrived_at is None:
                self._lost_in_row += 1
                continue
            self._count(sent_at)
            take_delay(sent_at, arrived_at)
            take_arrival(arrived_at, delivery.size)
        self._delay.judge()
        self._watch_queue(now)
        if self.use is not Use.OVER:
            self._over_arrived_at = self._acknowledged.newest_at
        if self.use is Use.OVER or self.limit.bps is not None:
            self.limit.observe(self.use, self.acked_bps, now)
        return self._close_bucket()

    def _count(self, sent_at: float) -> None:
        """A packet that came, and those before it that did not."""
        if self._lost_in_row:
            if sent_at - self._arrived_sent_at < AWAY_S:
                self._lost += self._lost_in_row
            self._lost_in_row = 0
        self._arrived_sent_at = sent_at
        self._came += 1

    def _close_bucket(self) -> float | None:
        """The loss ratio of the packets since the last, if they are enough and took long enough."""
        if self._bucket_at is None:
            self._bucket_at = self._arrived_sent_at if self._came else None
            return None
        sent = self._came + self._lost
        if self._arrived_sent_at - self._bucket_at < LOSS_S or sent < LOSS_PACKETS:
            return None
        loss_ratio = self._lost / sent
        self._came = self._lost = 0
        self._bucket_at = self._arrived_sent_at
        return loss_ratio

    def _watch_queue(self, now: float) -> None:
        standing_s = self._delay.standing_s
        if standing_s is None:
            return
        self._standing.append((now, standing_s))
        while now - self._standing[0][0] > DRAINS_WITHIN_S:
            self._standing.popleft()

    def is_fresh(self, now: float) -> bool:
        """Whether it tells of what is sent now; in a pause of the talk, of what was sent last."""
        since = self._unanswered_since
        return self._heard_at > -math.inf and (since is None or now - since < FRESH_S)

    def note_sent(self, now: float) -> None:
        """Something was sent; what is told together with its feedback was before that."""
        if self._unanswered_since is None and now - self._heard_at >= ANSWER_S:
            self._unanswered_since = now

    @property
    def use(self) -> Use:
        """What the trend of the delay says."""
        return self._delay.trend.use

    @property
    def acked_bps(self) -> float | None:
        """The rate that arrived since the last change; while a queue grows, since it does.

        It takes some packets until that is known; after a second the former will do.
        """
        if self.use is not Use.OVER:
            return self._acknowledged.bps
        since_bps = self._acknowledged.since_bps(self._over_arrived_at)
        is_late = self.over_s >= OVER_UNKNOWN_S
        return self._acknowledged.bps if since_bps is None and is_late else since_bps

    @property
    def standing_s(self) -> float | None:
        """How long every packet of the last second waited at least."""
        return self._standing[-1][1] if self._standing else None

    def is_waiting(self, least_s: float) -> bool:
        """Whether a queue grows, or packets stand in one for so long."""
        standing_s = self._delay.standing_s
        return self.use is Use.OVER or (standing_s is not None and standing_s > least_s)

    @property
    def newest_s(self) -> float:
        """How long the newest packet waited."""
        return self._delay.newest_s

    @property
    def is_sudden(self) -> bool:
        """Whether a queue seems to grow, but nearly all of it from one packet to the next."""
        return self.over_s > 0.0 and self._delay.jump_s >= SUDDEN_SHARE * self._delay.newest_s

    @property
    def is_draining(self) -> bool:
        """Whether the queue is emptying."""
        standing = self._standing
        if self.use is Use.UNDER:
            return True
        return len(standing) > 1 and standing[-1][1] < standing[0][1] - DRAINS_S

    @property
    def over_s(self) -> float:
        """For how long the queue has been growing, as of the last feedback."""
        since = self._delay.trend.over_since
        return 0.0 if since is None else self._heard_at - since

    def rebase(self) -> None:
        """That packets wait is not for what is sent."""
        self._delay.rebase()
        self._standing.clear()
