"""Whether packets queue up on a listener's line, by when they came.

Theory (after Google's congestion control, draft-ietf-rmcat-gcc-02). Packets that leave together
(within 5 ms) are a group. From group to group

    delay = (arrival - arrival before) - (departure - departure before)

is how much longer the second was under way than the first. Summed and smoothed (0.9) and laid
against the time, its slope over the last 20 groups says how fast a queue grows: 0.1 means 100 ms
more each second. The slope times the groups seen (at most 60) times 4 is compared with a threshold
that adapts: slowly up (0.0087) and quickly down (0.039) to what is usual on this line, so that one
with much jitter is not taken for a full one. Above it for more than 10 ms and two groups, and not
falling, is overuse; below its negative the queue empties.

A queue that is full does not grow any more. So how long packets wait is measured too: the least of
a second, less the least of the last half a minute, which is when there was no queue. Clocks of both
sides differ by an unknown constant, which cancels, and run apart too slowly to matter.

Differs from the draft: few packets (8 a second on the lowest tier) make the slope after 5 groups of
half a second already, for 20 would take more than two; and it is judged once for each feedback, not
for each group in it, which is known no sooner and costs ten times as much.
"""

from __future__ import annotations

import math
from collections import deque
from enum import Enum

GROUP_S = 0.005
WINDOW_GROUPS = 20
# Fewer make a slope if they took this long.
SPARSE_GROUPS = 5
SPARSE_S = 0.5
SMOOTHING = 0.9
GAIN = 4.0
DELTAS_MAX = 60
THRESHOLD_MS = 12.5
THRESHOLD_MIN_MS, THRESHOLD_MAX_MS = 6.0, 600.0
THRESHOLD_UP, THRESHOLD_DOWN = 0.0087, 0.039
# Beyond the threshold by more than this is an accident that the threshold does not follow.
ADAPT_BELOW_MS = 15.0
ADAPT_STEP_MAX_MS = 100.0
OVERUSE_MS = 10.0
OVERUSE_GROUPS = 2
# After a pause of this long what was before says nothing of the slope.
PAUSE_S = 2.0
LEAST_S = 30.0
STANDING_S = 1.0


class Use(Enum):
    """How what is sent compares with what the line carries."""

    UNDER = "under"
    NORMAL = "normal"
    OVER = "over"


class Least:
    """The least value of the last `span_s` to twice that, in constant memory."""

    __slots__ = ("_before", "_now", "_since", "_span_s")

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._since = 0.0
        self._before: float | None = None
        self._now: float | None = None

    @property
    def value(self) -> float | None:
        """None before the first."""
        if self._before is None or self._now is None:
            return self._now
        return min(self._before, self._now)

    def take(self, value: float, at: float) -> None:
        """`at` never falls much: it is when the value was seen."""
        if self._now is None or at - self._since >= self._span_s:
            self._before = self._now if at - self._since < 2 * self._span_s else None
            self._now, self._since = value, at
        else:
            self._now = min(self._now, value)


class Trend:
    """The slope of the delay: told of each group, judged when all of a feedback are told."""

    __slots__ = (
        "_deltas",
        "_judged_at",
        "_newest",
        "_over_groups",
        "_over_ms",
        "_points",
        "_previous",
        "_smoothed_ms",
        "_sum_ms",
        "_threshold_ms",
        "over_since",
        "use",
    )

    def __init__(self) -> None:
        self._threshold_ms = THRESHOLD_MS
        self.begin()

    def begin(self) -> None:
        """Forget the slope, because what is sent has changed; the threshold is the line's."""
        self._points: deque[tuple[float, float]] = deque(maxlen=WINDOW_GROUPS)
        self._deltas = 0
        self._sum_ms = self._smoothed_ms = 0.0
        self._previous = 0.0
        self._over_ms, self._over_groups = 0.0, 0
        # Departure and arrival of the newest group, and of the one last judged with its number.
        self._newest = (0.0, 0.0)
        self._judged_at: tuple[float, float, int] | None = None
        self.use = Use.NORMAL
        self.over_since: float | None = None  # departure of the group it began with

    def take(self, sent_at: float, arrived_at: float, sent_s: float, arrived_s: float) -> None:
        """A group, and what both its times are after those of the one before."""
        self._deltas += 1
        self._sum_ms += (arrived_s - sent_s) * 1_000.0
        self._smoothed_ms = SMOOTHING * self._smoothed_ms + (1.0 - SMOOTHING) * self._sum_ms
        self._points.append((arrived_at * 1_000.0, self._smoothed_ms))
        self._newest = (sent_at, arrived_at)

    def judge(self) -> None:
        """After the groups of one feedback."""
        sent_at, arrived_at = self._newest
        before = self._judged_at
        if before is not None and before[2] == self._deltas:
            return
        slope = self._slope()
        if slope is None:
            return
        trend = slope * min(self._deltas, DELTAS_MAX) * GAIN
        if before is not None:
            groups = self._deltas - before[2]
            self._classify(trend, before[0], (sent_at - before[0]) * 1e3, groups)
            self._adapt(abs(trend), (arrived_at - before[1]) * 1e3)
        self._judged_at = (sent_at, arrived_at, self._deltas)
        self._previous = trend

    def _slope(self) -> float | None:
        points = self._points
        count = len(points)
        if count < WINDOW_GROUPS:
            is_sparse = count >= SPARSE_GROUPS and points[-1][0] - points[0][0] >= SPARSE_S * 1e3
            if not is_sparse:
                return None
        x_mean = sum([x for x, _ in points]) / count
        y_mean = sum([y for _, y in points]) / count
        below = above = 0.0
        for x, y in points:
            x -= x_mean
            below += x * x
            above += x * (y - y_mean)
        return above / below if below > 0.0 else None

    def _classify(self, trend: float, since: float, sent_ms: float, groups: int) -> None:
        if trend > self._threshold_ms:
            self._over_ms += sent_ms
            self._over_groups += groups
            is_over = self._over_ms > OVERUSE_MS and self._over_groups >= OVERUSE_GROUPS
            if is_over and trend >= self._previous and self.use is not Use.OVER:
                self.use, self.over_since = Use.OVER, since
            return
        self._over_ms, self._over_groups = 0.0, 0
        self.over_since = None
        self.use = Use.UNDER if trend < -self._threshold_ms else Use.NORMAL

    def _adapt(self, size_ms: float, arrived_ms: float) -> None:
        if size_ms > self._threshold_ms + ADAPT_BELOW_MS:
            return
        speed = THRESHOLD_DOWN if size_ms < self._threshold_ms else THRESHOLD_UP
        step = speed * (size_ms - self._threshold_ms) * min(arrived_ms, ADAPT_STEP_MAX_MS)
        threshold_ms = self._threshold_ms + step
        self._threshold_ms = min(max(threshold_ms, THRESHOLD_MIN_MS), THRESHOLD_MAX_MS)


class Delay:
    """The delay of one line, packet by packet: `trend` and how long packets wait.

    After the packets of each feedback `judge` makes something of them.
    """

    __slots__ = (
        "_base",
        "_first_sent",
        "_group",
        "_jumped_at",
        "_last_group",
        "_least",
        "_newest",
        "_rising",
        "jump_s",
        "newest_s",
        "standing_s",
        "trend",
    )

    def __init__(self) -> None:
        self.trend = Trend()
        self._base = Least(LEAST_S)
        self._least = math.inf  # of the packets not judged yet
        # Departure and time under way of those of the last second than which no later one took
        # less: the first took least.
        self._rising: deque[tuple[float, float]] = deque()
        self._group: tuple[float, float] | None = None  # the open one: last departure, arrival
        self._first_sent = 0.0
        self._last_group: tuple[float, float] | None = None
        self._newest = (0.0, 0.0)
        self.jump_s = 0.0  # by how much it grew from one group to the next at most, lately
        self._jumped_at = -math.inf
        self.newest_s = 0.0  # how much longer than the least the newest packet was under way
        self.standing_s: float | None = None  # how long each of the last second waited at least

    def begin(self) -> None:
        """What is sent has changed: a new slope, on the same line."""
        self.trend.begin()
        self._group = self._last_group = None

    def rebase(self) -> None:
        """Packets wait, but not for us: from now on that is the least."""
        self._base = Least(LEAST_S)
        for sent_at, way_s in self._rising:
            self._base.take(way_s, sent_at)

    def take(self, sent_at: float, arrived_at: float) -> None:
        """A packet that came, in the order of departure."""
        way_s = arrived_at - sent_at
        if way_s < self._least:
            self._least = way_s
        self._newest = (sent_at, way_s)
        rising = self._rising
        while rising and rising[-1][1] >= way_s:
            rising.pop()
        rising.append(self._newest)
        group = self._group
        if group is not None and sent_at - self._first_sent <= GROUP_S:
            self._group = (sent_at, max(arrived_at, group[1]))
            return
        if group is not None:
            self._close_group(group)
        self._group, self._first_sent = (sent_at, arrived_at), sent_at

    def judge(self) -> None:
        """After the packets of one feedback."""
        if math.isinf(self._least):
            return
        sent_at, way_s = self._newest
        self._base.take(self._least, sent_at)
        self._least = math.inf
        base = self._base.value
        assert base is not None, "one was just taken"
        while sent_at - self._rising[0][0] > STANDING_S:
            self._rising.popleft()
        self.newest_s = max(0.0, way_s - base)
        self.standing_s = max(0.0, self._rising[0][1] - base)
        self.trend.judge()
        if sent_at - self._jumped_at > PAUSE_S:
            self.jump_s = 0.0

    def _close_group(self, group: tuple[float, float]) -> None:
        last = self._last_group
        if last is None:
            self._last_group = group
            return
        sent_s, arrived_s = group[0] - last[0], group[1] - last[1]
        if arrived_s < 0.0:
            return  # it was overtaken, which is no matter of queues
        self._last_group = group
        if arrived_s - sent_s > self.jump_s:
            self.jump_s, self._jumped_at = arrived_s - sent_s, group[0]
        if sent_s > PAUSE_S:
            self.trend.begin()
        else:
            self.trend.take(group[0], group[1], sent_s, arrived_s)
