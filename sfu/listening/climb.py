"""When a listener may go up again, and whether it should be tried out first.

`wait` is 10 s of calm: nothing lost beyond chance, nothing waiting, something being sent. A step up
that did not last 10 s has failed: it doubles `wait`, up to 60 s, and for a minute steps up are 10 s
apart instead of 5. One that lasts on the same tier sets `wait` back. After five turns within a
minute (a step down, or the first of some up) there is no step up.

With feedback and RED a step is taken after a probe, to the best tier of which 1.3 times the cost
is proven. Without RED it is tried, to twice the rate at most: too much shows within a second. By
reports alone it shows after one or two of them: so it is tried after 20 s more of calm, one tier at
a time, each judged by a report of its own.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from .evidence import Evidence
from .probing import BUCKET_BYTES, Probe
from .tiers import RANK, Demand, Tier, cost_bps

LOSS_LOW = 0.02
# A line that was full from the start has no round trip without a queue to compare with.
LOSS_HIGH = 0.10
UP_RATIO = 1.3
WAIT_S, WAIT_MAX_S = 10.0, 60.0
LASTS_S = 10.0
# Without feedback a step too far is heard for a report or two: so much more calm is asked for.
UNSEEN_S = 20.0
DWELL_S, DWELL_FAILED_S, FAILED_KNOWN_S = 5.0, 10.0, 60.0
# A line that comes and goes is followed no more than so often: up only after at most so many turns.
# What goes down again at once is one of them, and a way up of many steps is.
TURNS_MAX, TURNS_S, AGAIN_S = 4, 60.0, 5.0
# A probe takes this long at most, where steps are narrow; it may end when the step is due.
PROBE_S = 4.2
# After one that met a queue, and after one that said nothing (a pause of the talk).
PROBE_AGAIN_S, PROBE_UNSURE_S = 8.0, 2.0
# One step is dared beyond what a clean probe showed: slots of a room where one talks take no more
# of a line. A mix does.
DARE_RATIO = 1.5
# Without copies there is no probe: a step to at most so many times what is sent.
TRIAL_RATIO = 2.0
# Longer between two looks, and it was not looked at; they are a second apart, or more under load.
LOOK_MAX_S = 3.0


class Climb:
    """The way up of one listener."""

    __slots__ = (
        "_calm_s",
        "_failed_at",
        "_is_calm",
        "_is_rising",
        "_looked_at",
        "_loss",
        "_failed_rank",
        "_probe_at",
        "_rank",
        "_turns",
        "_up_at",
        "wait_s",
    )

    def __init__(self, now: float) -> None:
        self.wait_s = WAIT_S
        self._calm_s = 0.0
        self._is_calm: bool | None = None  # at the last look
        self._turns: deque[float] = deque(maxlen=TURNS_MAX + 1)
        self._is_rising = False  # the last step was up
        self._looked_at = now
        self._failed_at = self._probe_at = -math.inf
        self._up_at: float | None = None  # of a step up that has not lasted yet
        self._loss = 0.0
        self._rank = 0  # of the tier that it led to
        self._failed_rank = len(RANK)  # of the one that did not last

    def look(self, evidence: Evidence) -> None:
        """Count calm; each time that the line is judged while something is sent."""
        now = evidence.now
        elapsed_s = now - self._looked_at
        self._looked_at = now
        if self._up_at is not None and now - self._up_at >= LASTS_S:
            self._up_at = None
            if self._rank <= self._failed_rank:
                self.wait_s, self._failed_rank = WAIT_S, len(RANK)
        self._is_calm = is_calm(evidence)
        if self._is_calm is False:
            self._calm_s = 0.0
        elif self._is_calm and elapsed_s <= LOOK_MAX_S:
            self._calm_s += elapsed_s

    def excuse(self, seconds: float) -> None:
        """What spoke against more for so long was no matter of the line: it was calm."""
        self._calm_s = max(self._calm_s, seconds)

    def rest(self, now: float) -> None:
        """Nothing is sent: time passes without a meaning."""
        self._looked_at = now

    @property
    def loss_before(self) -> float | None:
        """How much was lost before the last step up, until that has lasted; else None."""
        return None if self._up_at is None else self._loss

    def went_up(self, tier: Tier, now: float, loss: float = 0.0) -> None:
        """A step up to `tier` was made, when `loss` was lost by chance."""
        self._up_at, self._rank, self._loss = now, RANK[tier], loss
        if not self._is_rising:
            self._turns.append(now)
        self._is_rising = True

    def went_down(self, now: float) -> None:
        """A step down was made: was the one up too early?"""
        self._calm_s = 0.0
        if not self._turns or now - self._turns[-1] >= AGAIN_S or self._up_at is not None:
            self._turns.append(now)
        self._is_rising = False
        if self._up_at is not None:
            self.wait_s = min(2.0 * self.wait_s, WAIT_MAX_S)
            self._failed_at, self._failed_rank = now, self._rank
            self._up_at = None

    def probed(self, now: float, *, is_sure: bool) -> None:
        """A probe ended without a step."""
        self._probe_at = now + (PROBE_AGAIN_S if is_sure else PROBE_UNSURE_S)

    def probe(
        self, evidence: Evidence, tier: Tier, above: Sequence[Tier], demand: Demand, copies_max: int
    ) -> Probe:
        """A probe for a step up; after one that failed a larger bucket is to be emptied."""
        return Probe(
            needs=needs(tier, above, demand),
            waits_s=evidence.standing_s or 0.0,
            loss_ratio=evidence.loss or 0.0,
            now=evidence.now,
            copies_max=copies_max,
            bucket_bytes=BUCKET_BYTES * self.wait_s / WAIT_S,
        )

    def is_due(
        self, now: float, changed_at: float, *, is_seen: bool = True, before_s: float = 0.0
    ) -> bool:
        """Whether it has been calm for long enough, or will have been in `before_s`.

        `is_seen`: feedback tells what a step does.
        """
        if len(self._turns) > TURNS_MAX and now - self._turns[0] < TURNS_S:
            return False
        if not is_seen and (not self._is_calm or self._calm_s < self.wait_s + UNSEEN_S):
            return False
        has_failed = now - self._failed_at < FAILED_KNOWN_S
        dwell_s = DWELL_FAILED_S if has_failed else DWELL_S
        return self._calm_s + before_s >= self.wait_s and now + before_s - changed_at >= dwell_s

    def may_probe(self, now: float, changed_at: float) -> bool:
        """Whether a probe that begins now ends when the step is due."""
        return now >= self._probe_at and self.is_due(now, changed_at, before_s=PROBE_S)


def is_calm(evidence: Evidence) -> bool | None:
    """Whether nothing speaks against more; None while it is not known yet."""
    if evidence.waits is True or evidence.over_s > 0.0:
        return False
    if evidence.has_feedback:
        return evidence.loss is None or evidence.loss < LOSS_LOW or evidence.waits is False
    if evidence.loss is None or not evidence.is_whole:
        return None  # the first report of what is sent now is still to come
    return evidence.loss < (LOSS_LOW if evidence.waits is None else LOSS_HIGH)


def better(tier: Tier, allowed: Sequence[Tier]) -> list[Tier]:
    """The tiers above, the best first."""
    return [candidate for candidate in allowed if RANK[candidate] < RANK[tier]]


def needs(tier: Tier, above: Sequence[Tier], demand: Demand) -> list[float]:
    """What of a line a step up to each of those `above` needs, and what it dares on."""
    all_bps = [UP_RATIO * cost_bps(candidate, demand) for candidate in above]
    return [*all_bps, all_bps[-1] / DARE_RATIO] if tier.is_forwarded else all_bps


def after_probe(
    tier: Tier, above: Sequence[Tier], demand: Demand, carried_bps: float, *, is_clean: bool
) -> Tier | None:
    """The tier for what a probe found; on slots a clean one is dared on for one step."""
    needed = needs(tier, above, demand)
    for candidate, needs_bps in zip(above, needed, strict=False):
        if needs_bps <= carried_bps:
            return candidate
    return above[-1] if is_clean and needed[-1] <= carried_bps else None


def on_trial(
    tier: Tier, above: Sequence[Tier], demand: Demand, carries_bps: float, *, is_quick: bool
) -> Tier | None:
    """The tier to try without a probe; `is_quick`: feedback tells at once if it is too much."""
    limit = TRIAL_RATIO * cost_bps(tier, demand) if is_quick else 0.0
    for candidate in above:
        cost = cost_bps(candidate, demand)
        is_next = candidate is above[-1]
        if (cost <= limit or is_next) and UP_RATIO * cost <= carries_bps:
            return candidate
    return None
