"""When a line does not carry what it is sent, and what it would carry instead.

Judged by what was sent since the last change, in this order:

    delay      a queue has grown for 300 ms, to 80 ms; or what is sent stands in one for 150 ms
               that does not empty; or the last round trip took 150 ms more than the least
    loss       over 10 % in two reports or a second of feedback, if packets wait too, or if it is
               not known whether they do, or if neither copies nor repetitions are any help;
               over 25 % in any case
    estimate   less than 1.1 of what is sent for 3 s

Loss with nothing waiting is by chance: copies repair it, and fewer octets would be lost alike.
Beyond a quarter that is tested, since a line that polices its rate loses without a queue: by what
copies do, which are the answer anyway, or where there are none by a step down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .evidence import Evidence
from .tiers import RANK, Cause, Demand, Tier, cost_bps

OVERUSE_S = 0.3
# A path that takes 40 ms more from now on looks like a queue that grows, for a second or two.
GROWN_S = 0.08
STANDING_S = 0.15
# A round trip that was measured sooner after a change is still that of the queue before it.
ROUND_TRIP_SETTLED_S = 3.0
LOSS_HIGH, LOSS_QUARTER = 0.10, 0.25
# Words of loss: a report is one, a second of feedback two.
BAD_MIN = 2
# Of feedback, where nothing waits: a few packets are lost in a row by chance too.
SURE_MIN = 4
DOWN_RATIO = 1.1
# What came by a report, of 5 s in which talk came and went.
REPORTED_RATIO = 1.3
# A repetition that takes longer there and back comes when nobody waits for it any more.
REPEATS_WITHIN_S = 0.2
ESTIMATE_S = 3.0
# Packets that wait so much of what they waited before a step down do not wait for us, if what came
# before it says that by now the queue would be empty. Without feedback that is not known so well.
STOOD_RATIO, STOOD_SEEN_RATIO = 0.8, 0.4
LOSS_LOW = 0.02


def is_queueing(evidence: Evidence, changed_at: float) -> bool:
    """Whether more is sent than the line carries, by delay."""
    if evidence.over_s >= OVERUSE_S and evidence.newest_s >= GROWN_S:
        return evidence.acked_bps is not None  # soon it is: one step is better than two
    if evidence.standing_s is None or evidence.standing_s < STANDING_S or evidence.is_draining:
        return False
    return evidence.standing_at >= changed_at + ROUND_TRIP_SETTLED_S


def is_losing(evidence: Evidence) -> bool:
    """Whether loss is a reason to go down."""
    loss = evidence.loss
    if loss is None or evidence.bad < BAD_MIN or loss <= LOSS_HIGH:
        return False
    if evidence.waits is True:
        return not evidence.is_draining
    if evidence.waits is None:
        return True
    if evidence.is_testing:
        return False
    is_sure = evidence.bad >= SURE_MIN or not evidence.has_feedback
    is_repaired = evidence.can_repeat and evidence.rtt_s < REPEATS_WITHIN_S
    return is_sure and (loss > LOSS_QUARTER or not (evidence.can_protect or is_repaired))


def is_losing_more(evidence: Evidence, before: float) -> bool:
    """Whether a step up, without feedback, is what packets are lost by: a single report says so."""
    loss = evidence.loss
    return not evidence.has_feedback and loss is not None and loss > before + LOSS_HIGH


class Standing(NamedTuple):
    """A queue in front of a step down: how long packets waited in it, and what came out of it."""

    waits_s: float
    came_bps: float | None
    is_sudden: bool

    def outlasts(self, evidence: Evidence, sent_bps: float, elapsed_s: float) -> bool:
        """Whether packets still wait so, when they would not if the queue were ours alone.

        Since the step down `sent_bps` have been sent for `elapsed_s`, and nothing is lost.
        """
        waits_s = evidence.standing_s
        if waits_s is None or evidence.over_s >= OVERUSE_S or (evidence.loss or 0.0) >= LOSS_LOW:
            return False
        if not evidence.has_feedback:
            return waits_s >= STOOD_RATIO * self.waits_s
        least_s = STOOD_SEEN_RATIO * self.waits_s
        return waits_s >= least_s and self._left_s(sent_bps, elapsed_s) < least_s

    def _left_s(self, sent_bps: float, elapsed_s: float) -> float:
        if self.is_sudden:
            return 0.0  # it never was
        if not self.came_bps:
            return self.waits_s
        return self.waits_s - elapsed_s * (1.0 - sent_bps / self.came_bps)


def standing(evidence: Evidence, cause: Cause) -> Standing | None:
    """The queue that `cause` is put down to; None for one that grows packet by packet: it is ours.

    What stands, or came from one packet to the next, may be no queue at all but a longer way.
    """
    waits_s = evidence.newest_s if evidence.is_sudden else evidence.standing_s
    is_growing = evidence.over_s >= OVERUSE_S and not evidence.is_sudden
    if cause is not Cause.DELAY or waits_s is None or is_growing:
        return None
    return Standing(waits_s, evidence.acked_bps, evidence.is_sudden)


class Shortage:
    """Whether the estimate has been too low for long enough."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: float | None = None

    def begin(self) -> None:
        """What is sent has changed."""
        self._since = None

    @property
    def is_begun(self) -> bool:
        """Whether it is too low, however long."""
        return self._since is not None

    def lasts(self, evidence: Evidence, tier: Tier, demand: Demand) -> bool:
        """After each look at the line."""
        # Where nothing waits, what comes shows that the estimate by delay is too low.
        is_clear = evidence.waits is False
        estimate_bps = evidence.carries_bps if is_clear else evidence.estimate_bps
        if evidence.is_draining or estimate_bps >= DOWN_RATIO * cost_bps(tier, demand):
            self._since = None
            return False
        if self._since is None:
            self._since = evidence.now
        return evidence.now - self._since >= ESTIMATE_S


def lower(
    evidence: Evidence, cause: Cause, tier: Tier, allowed: Sequence[Tier], demand: Demand
) -> Tier | None:
    """The tier to go down to; None at the lowest.

    What arrives while a queue grows is what the line carries: with feedback the best tier for
    1 / 1.1 of that, unless it may be no queue. Without it the next one, but beyond a quarter of
    loss the best for 1 / 1.3 of what the report says that came.
    """

    def cost(candidate: Tier) -> float:
        return cost_bps(candidate, demand, is_stamped=evidence.has_feedback)

    below = [
        candidate
        for candidate in allowed
        if RANK[candidate] > RANK[tier] and cost(candidate) < cost(tier)
    ]
    if not below:
        return None
    rate, margin = evidence.acked_bps, DOWN_RATIO
    if cause is Cause.ESTIMATE:
        rate = evidence.estimate_bps
    elif not evidence.has_feedback:
        is_far = cause is Cause.LOSS and (evidence.loss or 0.0) > LOSS_QUARTER
        rate, margin = (rate if is_far else None), REPORTED_RATIO
    if rate is None or (cause is Cause.DELAY and evidence.is_sudden):
        return below[0]
    return next((candidate for candidate in below if cost(candidate) <= rate / margin), below[-1])
