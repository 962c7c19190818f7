"""Which tier a listener is on: down where its line does not carry it, up where it would carry more.

Theory. `reach` is the best tier that the line is known to carry; it begins at the top, and what the
room or the listener's wishes allow has no part in it. The tier is the best one allowed that is not
above `reach`. So a listener who asks for the mix and back is where it was at once.

    state      what it means                      leaves it when
    top        the best tier allowed: where a     the line is in trouble            -> lower, tested
               good line is for its life          nothing is told of what was sent  -> silent

    lower      the line carried no more: a        it is in trouble still            -> lower, or C
               tier below the best allowed        it was calm for long enough       -> probing/trial
                                                  nothing is told                   -> silent

    probing    copies beside the tier, for a      none of it waited                 -> lower or top
               second of talk                     a queue began to grow             -> lower

    trial      a step up without a probe, as      nothing is wrong for 10 s         -> lower or top
               it is without feedback or RED      it is in trouble                  -> lower

    tested     a step down although nothing       less is lost                      -> lower
               waits: is the loss by chance?      as much is lost                   -> where it was

    silent     B4 after 7.5 s without a word,     it is heard                       -> where it was
               C after 15 s                       10 to 60 s in C, for a try        -> lowest tier

    C          the lowest tier lost 60 %          10 to 60 s, for a try             -> lowest tier

What trouble is, and how far down it leads, stands in `trouble`; what calm is, how long it takes and
when a step up has failed in `climb`; how a probe ends in `probing`. One step at most is taken each
second and round trip. Loss by chance is not for the ladder: copies repair it (`protection`), and of
fewer octets as many would be lost. In a silent room there are no steps, and no time passes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from . import climb, trouble
from .climb import Climb
from .evidence import Evidence
from .feedback import Delivery
from .probing import Finding, Probe
from .protection import COPIES_MAX
from .tiers import RANK, Cause, Demand, Terms, Tier, cost_bps

STEP_S = 1.0
SILENT_S, GONE_S = 7.5, 15.0
# C is left for the lowest tier after this long, which doubles each time that it was in vain.
RETRY_S, RETRY_MAX_S = 10.0, 60.0
# The lowest tier that loses this share is no help to anybody.
LOSS_MOST = 0.60
# Talk changes hands: who had voice within this long may have it again at once.
TALKERS_S = 30.0
# What came by reports when the line was full is known for this long; with more than so many times
# that it is not tried again meanwhile.
CARRIED_S, CARRIED_RATIO = 60.0, 1.3
# Loss that a step down did not lessen to this share is by chance, and is known as such so long.
LESS_RATIO = 0.8
CHANCE_S = 120.0
TEST_WORDS = 6  # of feedback, which are two each second
CHANCE_RATIO, CHANCE_MORE = 1.5, 0.1
# After a probe that met a queue, this empties.
PROBED_S = 2.0


class Ladder:
    """The tier of one listener; `tier` never is A0, which is A1 with copies."""

    __slots__ = (
        "_before_silence",
        "_before_test",
        "_carried",
        "_chance_loss",
        "_chance_until",
        "_climb",
        "_finding",
        "_found",
        "_may_stop",
        "_quiet_until",
        "_reach",
        "_retry_s",
        "_shortage",
        "_silent_at",
        "_stood",
        "_talkers",
        "_talkers_at",
        "_terms",
        "cause",
        "changed_at",
        "is_best",
        "probe",
        "proven_bps",
        "tier",
        "wants_rebase",
    )

    def __init__(self, now: float) -> None:
        self.tier = self._reach = Tier.A1
        self.cause = Cause.JOIN
        self.changed_at = now
        self.is_best = True  # nothing better is allowed
        self.probe: Probe | None = None
        self.proven_bps: float | None = None  # what the last probe showed that the line carries
        self.wants_rebase = False  # what waits does not wait for us
        self._finding = Finding.DONE
        self._found: Tier | None = None  # by a probe, for when the step is due
        self._may_stop = True
        self._terms: Terms | None = None
        self._climb = Climb(now)
        self._shortage = trouble.Shortage()
        self._before_silence: Tier | None = None
        self._before_test: tuple[Tier, float] | None = None  # and how much was lost there
        self._chance_until = self._quiet_until = self._silent_at = -math.inf
        self._chance_loss = 0.0
        self._carried = (math.inf, -math.inf)  # by reports, at the last step down, and when
        self._stood: trouble.Standing | None = None  # why the last step was down, if so
        self._retry_s = RETRY_S
        self._talkers, self._talkers_at = 1, -math.inf

    @property
    def is_steady(self) -> bool:
        """The best tier there is, and nothing that only time would change."""
        return (
            self.is_best
            and self.tier is not Tier.C
            and self.probe is None
            and self._before_silence is None
            and self._before_test is None
            and not self._shortage.is_begun
            and not self.is_on_trial
        )

    @property
    def is_on_trial(self) -> bool:
        """Whether the last step was up, not long ago."""
        return self._climb.loss_before is not None

    def decide(self, evidence: Evidence, demand: Demand, terms: Terms) -> bool:
        """Follow the evidence; True when `tier` has changed."""
        before = self.tier
        self.wants_rebase, self.proven_bps = False, None
        allowed = self._keep(demand, terms, evidence.now)
        self._follow_silence(evidence, allowed)
        if not evidence.is_active:
            self._climb.rest(evidence.now)
            self.probe = None
        elif self.tier is not Tier.C:
            self._follow_line(evidence, allowed, demand)
        self.is_best = self.tier is allowed[0]
        return self.tier is not before

    def fit(self, demand: Demand, terms: Terms, now: float) -> bool:
        """Follow the terms alone; True when `tier` has changed."""
        before = self.tier
        self.is_best = self._keep(demand, terms, now)[0] is self.tier
        return self.tier is not before

    def learn_chance(self, loss: float, now: float) -> None:
        """So much is lost by chance, as copies have shown that did not make it more."""
        is_known = now < self._chance_until
        self._chance_loss = max(loss, self._chance_loss) if is_known else loss
        self._chance_until = now + CHANCE_S

    def observe_probe(self, deliveries: Sequence[Delivery], newest_s: float, now: float) -> None:
        """A feedback that came while a probe runs."""
        if self.probe is not None and self._finding is Finding.OPEN:
            self._finding = self.probe.observe(deliveries, newest_s, now)

    def _keep(self, demand: Demand, terms: Terms, now: float) -> list[Tier]:
        """Be on one of the tiers that there are to choose from, and tell which they are."""
        allowed = self._allowed(demand, terms, now)
        self._settle(allowed, self._cause_of(terms), now)
        return allowed

    def _allowed(self, demand: Demand, terms: Terms, now: float) -> list[Tier]:
        """The tiers to choose from: those with sound that cost no more than they may, or C."""
        self._may_stop = Tier.C in terms.rungs
        if demand.talkers >= self._talkers or now - self._talkers_at >= TALKERS_S:
            self._talkers, self._talkers_at = demand.talkers, now
        sounding: list[Tier] = [tier for tier in terms.rungs if tier is not Tier.C]
        if terms.max_bps is not None:
            worst, most = self._worst(demand), terms.max_bps
            sounding = [t for t in sounding if cost_bps(t, worst) <= most] or sounding[-1:]
        return sounding or [Tier.C]

    def _cause_of(self, terms: Terms) -> Cause:
        """What a change is put down to that the line has no part in."""
        before, self._terms = self._terms, terms
        if before is None:
            return Cause.JOIN
        return Cause.SLOTS if before == terms else terms.cause

    def _worst(self, demand: Demand) -> Demand:
        """As many talkers as there were lately."""
        return replace(demand, talkers=max(self._talkers, demand.talkers))

    def _settle(self, allowed: Sequence[Tier], cause: Cause, now: float) -> None:
        """Take the best tier that is allowed and not above what the line carries."""
        if self._reach is Tier.C and self._may_stop:
            tier = Tier.C
        else:
            rank = RANK[self._reach]
            tier = next((tier for tier in allowed if RANK[tier] >= rank), allowed[-1])
        if tier is not self.tier:
            self._change(tier, cause, now)

    def _go(self, tier: Tier, cause: Cause, now: float) -> None:
        """The line carries `tier` and no more, as far as is known."""
        self._reach = tier
        if tier is not self.tier:
            self._change(tier, cause, now)

    def _change(self, tier: Tier, cause: Cause, now: float) -> None:
        self.tier, self.cause, self.changed_at = tier, cause, now
        self.probe = self._found = None
        self._shortage.begin()

    def _follow_silence(self, evidence: Evidence, allowed: Sequence[Tier]) -> None:
        now, before = evidence.now, self._before_silence
        if before is not None and evidence.heard_at > self._silent_at:
            self._before_silence, self._reach = None, before
            self._retry_s = RETRY_S
            self._settle(allowed, Cause.RECOVERED, now)
        elif self._reach is Tier.C:
            self._retry(allowed, now)
        elif evidence.silent_s >= GONE_S:
            if self._may_stop:
                self._fall_silent(Tier.C, now)
        elif evidence.silent_s >= SILENT_S and RANK[self.tier] < RANK[Tier.B4]:
            far = (tier for tier in allowed if RANK[tier] >= RANK[Tier.B4])
            self._fall_silent(next(far, allowed[-1]), now)

    def _fall_silent(self, tier: Tier, now: float) -> None:
        if self._before_silence is None:
            self._before_silence, self._silent_at = self._reach, now
        self._go(tier, Cause.SILENCE, now)

    def _retry(self, allowed: Sequence[Tier], now: float) -> None:
        """Nothing can be learned of a line on which nothing is sent."""
        if now - self.changed_at >= self._retry_s:
            self._retry_s = min(2.0 * self._retry_s, RETRY_MAX_S)
            self._go(allowed[-1], Cause.RECOVERED, now)

    def _follow_line(self, evidence: Evidence, allowed: Sequence[Tier], demand: Demand) -> None:
        now = evidence.now
        self._climb.look(evidence)
        if self.probe is not None:
            self._follow_probe(self.probe, evidence, allowed, demand)
            return
        is_new = self.cause is not Cause.JOIN and now - self.changed_at < STEP_S + evidence.rtt_s
        if is_new or now < self._quiet_until:
            return
        if self._ends_test(evidence, allowed):
            return
        cause = self._trouble(evidence, demand)
        if cause is not None:
            self._fall(evidence, cause, allowed, demand)
        else:
            self._rise(evidence, allowed, demand)

    def _trouble(self, evidence: Evidence, demand: Demand) -> Cause | None:
        if trouble.is_queueing(evidence, self.changed_at):
            return Cause.DELAY
        loss_before = self._climb.loss_before
        if loss_before is not None and trouble.is_losing_more(evidence, loss_before):
            return Cause.LOSS
        is_tested = self._before_test is not None and evidence.waits is not True
        if trouble.is_losing(evidence) and not is_tested and not self._is_by_chance(evidence):
            return Cause.LOSS
        if self._shortage.lasts(evidence, self.tier, demand):
            return Cause.ESTIMATE
        return None

    def _is_by_chance(self, evidence: Evidence) -> bool:
        """Whether this loss is known as one that going down does not lessen."""
        assert evidence.loss is not None, "it is losing"
        most = CHANCE_RATIO * self._chance_loss + CHANCE_MORE
        if evidence.waits is True or evidence.now >= self._chance_until or evidence.loss > most:
            return False
        self._chance_until = evidence.now + CHANCE_S
        return True

    def _fall(
        self, evidence: Evidence, cause: Cause, allowed: Sequence[Tier], demand: Demand
    ) -> None:
        self._found = None
        if self._waits_in_vain(evidence, cause, demand):
            self._stood, self.wants_rebase = None, True
            self._climb.excuse(evidence.now - self.changed_at)
            return
        tier = trouble.lower(evidence, cause, self.tier, allowed, demand)
        if tier is not None:
            self._stood = trouble.standing(evidence, cause)
            self._climb.went_down(evidence.now)
            if not evidence.has_feedback and evidence.acked_bps is not None:
                self._carried = (evidence.acked_bps, evidence.now)
            is_test = cause is Cause.LOSS and evidence.waits is not True
            self._before_test = (self._reach, evidence.loss or 0.0) if is_test else None
            self._go(tier, cause, evidence.now)
        elif (
            self._may_stop
            and evidence.bad >= (trouble.SURE_MIN if evidence.has_feedback else trouble.BAD_MIN)
            and (evidence.loss or 0.0) >= LOSS_MOST
        ):
            self._go(Tier.C, Cause.LOSS, evidence.now)

    def _waits_in_vain(self, evidence: Evidence, cause: Cause, demand: Demand) -> bool:
        """Whether packets wait although the last step down would have emptied their queue."""
        if self._stood is None or cause is not Cause.DELAY:
            return False
        sent_bps = cost_bps(self.tier, demand, is_stamped=evidence.has_feedback)
        return self._stood.outlasts(evidence, sent_bps, evidence.now - self.changed_at)

    def _ends_test(self, evidence: Evidence, allowed: Sequence[Tier]) -> bool:
        """Back where it was, if going down did not lessen the loss."""
        words = TEST_WORDS if evidence.has_feedback else trouble.BAD_MIN
        if self._before_test is None or evidence.loss is None or evidence.told < words:
            return False
        (reach, loss), self._before_test = self._before_test, None
        if evidence.waits is True or evidence.loss < LESS_RATIO * loss:
            return False
        self._chance_until = evidence.now + CHANCE_S
        self._chance_loss = evidence.loss
        self._reach = reach
        self._settle(allowed, Cause.RECOVERED, evidence.now)
        return True

    def _rise(self, evidence: Evidence, allowed: Sequence[Tier], demand: Demand) -> None:
        now, above = evidence.now, climb.better(self.tier, allowed)
        if not above:
            return
        worst = self._worst(demand)
        copies_max = self._copies_max(worst) if evidence.can_probe else 0
        if not copies_max:
            self._try(evidence, above, worst)
        elif self._found is not None:
            if self._climb.is_due(now, self.changed_at):
                self._ascend(self._found, evidence.loss or 0.0, now)
        elif self._climb.may_probe(now, self.changed_at):
            self.probe = self._climb.probe(evidence, self.tier, above, worst, copies_max)
            self._finding = Finding.OPEN

    def _copies_max(self, demand: Demand) -> int:
        """How many copies the most rate leaves to a probe."""
        most = None if self._terms is None else self._terms.max_bps
        if most is None:
            return COPIES_MAX
        return sum(cost_bps(self.tier, demand, n + 1) <= most for n in range(COPIES_MAX))

    def _try(self, evidence: Evidence, above: Sequence[Tier], demand: Demand) -> None:
        """Without copies there is no probe: a step up tells."""
        now, is_seen = evidence.now, evidence.has_feedback
        if not self._climb.is_due(now, self.changed_at, is_seen=is_seen):
            return
        carries_bps = evidence.carries_bps
        if not is_seen and now - self._carried[1] < CARRIED_S:
            carries_bps = min(carries_bps, CARRIED_RATIO * self._carried[0])
        tier = climb.on_trial(self.tier, above, demand, carries_bps, is_quick=is_seen)
        self._ascend(tier, evidence.loss or 0.0, now)

    def _ascend(self, tier: Tier | None, loss: float, now: float) -> None:
        if tier is not None:
            self._climb.went_up(tier, now, loss)
            self._stood = None  # what waits now waits for more
            self._go(tier, Cause.RECOVERED, now)

    def _follow_probe(
        self, probe: Probe, evidence: Evidence, allowed: Sequence[Tier], demand: Demand
    ) -> None:
        now = evidence.now
        if self._finding is Finding.OPEN and probe.check_time(now) is Finding.OPEN:
            return
        self.probe = None
        carried_bps = min(probe.carried_bps or 0.0, evidence.carries_bps)
        is_clean = not probe.is_full and probe.is_last_stage
        above = climb.better(self.tier, allowed)
        if above:
            worst = self._worst(demand)
            self._found = climb.after_probe(self.tier, above, worst, carried_bps, is_clean=is_clean)
        if self._found is None:
            self._climb.probed(now, is_sure=probe.is_full)
        if probe.is_full:
            self._quiet_until = now + PROBED_S
        else:
            self.proven_bps = carried_bps
