"""One listener's line: what it can carry, and what its listener is therefore sent.

A line is of a connection. Whoever moves to another room keeps it, for the network is the same;
whoever is replaced joins on a new one, of which nothing is known. While nothing is sent (a pause, a
silent room) nothing is learned, and nothing changes.

Its owner tells it what was observed, asks `decide`, and carries out what `tier`, `copies_sent` and
`wants_stamps` say. It is asked after each observation, and once a second while it is not settled
(so that silence is noticed); a line that `is_settled` need not be asked before something is
observed again, or its demand or terms change.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from . import reports, trouble
from .evidence import Evidence
from .feedback import Delivery, Feedback
from .ladder import Ladder
from .loss import Counted, DownlinkLoss, LossSince
from .protection import Protection
from .rates import LossLimit, Remb
from .tiers import Cause, Demand, Terms, Tier, cost_bps, packet_bits

# Changes that are remembered for whoever asks why a listener is where it is.
HISTORY_MAX = 16
# Whoever joins is watched closely for this long.
JOIN_STAMPS_S = 10.0
# Longer in a queue than this is waiting; what packets of different sizes take is less.
WAITS_S = 0.1
LOSS_LOW = 0.02
_FALLS = (Cause.LOSS, Cause.DELAY, Cause.ESTIMATE)
# What a listener was sent goes on until the new mix flows, and ends in a little silence.
SWITCH_S = 0.4
ROUND_TRIP_S = 0.1  # until one is reported


class Change(NamedTuple):
    """A step: since when (monotonic s), to what, and why."""

    at: float
    tier: Tier
    cause: Cause


class Line:
    """`takes_red`: the listener negotiated RED, otherwise it is never sent copies.

    `takes_feedback`: it negotiated transport-cc, and answers to stamped packets.
    """

    __slots__ = (
        "_feedback",
        "_demand",
        "_has_news",
        "_has_word",
        "_is_steady",
        "_ladder",
        "_limit",
        "_loss",
        "_loss_since",
        "_protection",
        "_remb",
        "_reports",
        "_sending_since",
        "_takes_feedback",
        "_takes_repeats",
        "_terms",
        "cause",
        "copies",
        "copies_sent",
        "estimate_bps",
        "history",
        "probe_bps",
        "tier",
        "wants_stamps",
    )

    def __init__(
        self, *, takes_red: bool, takes_feedback: bool, takes_repeats: bool = False, now: float
    ) -> None:
        self.tier = Tier.A1
        self.cause = Cause.JOIN  # of the last change of the tier
        self.copies = 0  # earlier packets that go along with each, for what the line loses
        self.copies_sent = 0  # the same, or more while a probe asks for it: what to subscribe to
        self.probe_bps = 0.0  # how much more than the tier is sent, to see if the line carries it
        self.estimate_bps: float | None = None  # None: no limit is known
        self.wants_stamps = takes_feedback
        self.history: deque[Change] = deque(maxlen=HISTORY_MAX)
        self._takes_feedback, self._takes_repeats = takes_feedback, takes_repeats
        self._loss = DownlinkLoss()
        self._loss_since = LossSince()
        self._reports = reports.Reports()
        self._feedback = Feedback() if takes_feedback else None
        self._limit = LossLimit()
        self._remb = Remb()
        self._protection = Protection() if takes_red else None
        self._ladder = Ladder(now)
        self._has_word = False  # of loss, that nothing was made of yet
        self._has_news = False  # of anything else
        self._is_steady = False  # the best tier, and nothing under way
        self._demand: Demand | None = None  # at the last look, as `_terms`
        self._terms: Terms | None = None
        self._sending_since: float | None = None

    @property
    def loss_ratio(self) -> float | None:
        """0 to 1, smoothed over reports; None until enough was sent."""
        return self._loss.ratio

    @property
    def rtt_s(self) -> float | None:
        """As last reported; None before that."""
        return self._reports.rtt_s

    @property
    def is_settled(self) -> bool:
        """Whether `decide` has nothing to do before something is observed."""
        return (
            self._ladder.is_steady
            and not self.copies_sent
            and not (self.wants_stamps and self._sending_since is not None)
            and not self._reports.is_awaiting
        )

    def observe_reports(
        self,
        counted: dict[int, Counted],
        *,
        rtt_s: float | None,
        jitter_s: float | None,
        now: float,
    ) -> None:
        """Take what one RTCP packet of the listener told, by track; {} if it told of no track.

        `jitter_s` is the worst of its tracks; None for both where it did not tell.
        """
        self._has_news = True
        self._reports.observe(rtt_s, jitter_s, now)
        if self._loss.observe(counted, now) is None:
            return
        self._reports.note_sending(now)
        latest = self._loss.latest
        assert latest is not None, "a round that said enough"
        if not self._has_feedback(now) and self._loss_since.take_report(latest):
            self._has_word = True

    def observe_deliveries(self, deliveries: Sequence[Delivery], now: float) -> None:
        """Take one transport-wide feedback, in the order in which the packets were sent."""
        if self._feedback is None or not deliveries:
            return
        self._reports.hear(now)
        self._reports.note_sending(now)
        loss_ratio = self._feedback.observe(deliveries, now)
        if loss_ratio is not None:
            self._loss_since.take_feedback(loss_ratio)
            self._has_word = self._has_news = True
        self._has_news |= self._feedback.is_waiting(WAITS_S)
        self._ladder.observe_probe(deliveries, self._feedback.newest_s, now)

    def observe_remb(self, bps: float, now: float) -> None:
        """Take the receiver's own estimate: never more than that is sent while it is fresh."""
        self._has_news = True
        self._reports.hear(now)
        self._remb.observe(bps, now)

    def observe_sent(self, packets: int, now: float) -> None:
        """So many packets have been sent to it in all, since it is connected.

        Without packets the silence of a listener means nothing. Tell it before each `decide`; a
        smaller number than before starts anew.
        """
        if self._reports.observe_sent(packets, now) and self._feedback is not None:
            self._feedback.note_sent(now)
        if packets and self._sending_since is None:
            self._sending_since = now

    def is_sent_anything(self, now: float) -> bool:
        """Whether something was lately: not before it is connected, nor in a silent room."""
        return self._reports.is_active(now)

    def decide(self, demand: Demand, terms: Terms, now: float) -> bool:
        """Follow what was observed; True when `tier`, `copies` or `copies_sent` has changed.

        `demand` is what the room would send, `terms` what this listener may get now.
        """
        if self._is_steady and self._has_nothing_new(demand, terms, now):
            return False
        before = (self.tier, self.copies, self.copies_sent)
        evidence = self._evidence(now)
        sent_per_s, latest = self._reports.sent_per_s, self._loss.latest
        if sent_per_s is not None and latest is not None and not evidence.has_feedback:
            bits = packet_bits(self.tier, demand, self.copies)
            evidence.acked_bps = sent_per_s * (1.0 - latest) * bits
        if self._has_word:
            self._take_word(evidence, demand)
        evidence.is_testing = self._is_testing(demand, terms)
        if not self._gives_way(evidence, demand):
            self._follow_ladder(evidence, demand, terms)
        elif self._ladder.fit(demand, terms, now):
            self._begin(now, SWITCH_S)
        self._set_copies(demand, terms)
        self._name_tier(now)
        self.estimate_bps = None if math.isinf(evidence.estimate_bps) else evidence.estimate_bps
        self.wants_stamps = self._wants_stamps(now)
        self._demand, self._terms, self._has_news = demand, terms, False
        is_plain = not self.copies_sent and terms.max_bps is None
        self._is_steady = is_plain and self._ladder.is_steady
        return before != (self.tier, self.copies, self.copies_sent)

    def _has_nothing_new(self, demand: Demand, terms: Terms, now: float) -> bool:
        """Whether a look at a line that is as good as can be would find it so: thousands are."""
        if self._has_news or terms is not self._terms or demand != self._demand:
            return False
        stamps_end = self.wants_stamps and self._wants_stamps(now) is False
        return not stamps_end and self._reports.silent_s(now) < reports.ASK_S

    def _evidence(self, now: float) -> Evidence:
        """Everything that is known at `now`."""
        told, lost = self._reports, self._loss_since
        evidence = Evidence(
            now,
            is_active=told.is_active(now),
            loss=lost.ratio,
            bad=lost.bad,
            told=lost.told,
            is_whole=lost.is_whole,
            standing_s=told.waiting_s,
            standing_at=told.told_at,
            rtt_s=ROUND_TRIP_S if told.rtt_s is None else told.rtt_s,
            silent_s=told.silent_s(now) - (0.0 if self._takes_feedback else reports.REPORT_S),
            heard_at=told.heard_at,
            can_protect=self._protection is not None and not self._protection.is_hurt,
            can_repeat=self._takes_repeats,
        )
        evidence.carries_bps = _least(self._limit.bps(now), self._remb.bps(now))
        evidence.estimate_bps = evidence.carries_bps
        feedback = self._feedback
        if feedback is not None and feedback.is_fresh(now):
            self._add_feedback(evidence, feedback)
        elif evidence.standing_s is not None:
            evidence.waits = evidence.standing_s > WAITS_S
        return evidence

    def _add_feedback(self, evidence: Evidence, feedback: Feedback) -> None:
        """What is known better by feedback."""
        evidence.has_feedback = True
        evidence.can_probe = self._protection is not None
        evidence.standing_s, evidence.standing_at = feedback.standing_s, evidence.now
        evidence.is_draining = feedback.is_draining
        evidence.over_s = feedback.over_s
        evidence.newest_s, evidence.is_sudden = feedback.newest_s, feedback.is_sudden
        if evidence.standing_s is not None:
            evidence.waits = evidence.standing_s > WAITS_S or evidence.over_s > 0.0
            if not evidence.waits:  # then loss says nothing of what the line carries
                evidence.carries_bps = _least(self._remb.bps(evidence.now))
        if evidence.waits or evidence.bad:  # else nobody asks
            evidence.acked_bps = feedback.acked_bps
        evidence.estimate_bps = _least(evidence.carries_bps, feedback.limit.bps)

    def _take_word(self, evidence: Evidence, demand: Demand) -> None:
        """A new word of loss: copies for what is by chance, less of an estimate for the rest."""
        self._has_word = False
        loss_ratio, now = evidence.loss, evidence.now
        if loss_ratio is None:
            return
        if self._protection is not None:
            cost = cost_bps(self.tier, demand, self.copies + 1)
            is_clear = evidence.waits is False and evidence.estimate_bps >= cost
            self._protect(self._protection, evidence, is_clear=is_clear)
        is_full = evidence.waits is not False and not evidence.is_draining
        if is_full or loss_ratio <= LOSS_LOW:
            sent_bps = cost_bps(self.tier, demand, self.copies)
            self._limit.observe(loss_ratio, sent_bps, evidence.rtt_s, now)

    def _protect(self, protection: Protection, evidence: Evidence, *, is_clear: bool) -> None:
        """What copies do shows whether the loss is by chance, if they are really sent."""
        assert evidence.loss is not None, "it is a word"
        latest, was_sent = self._loss_since.latest, self.copies == protection.copies
        protection.observe(evidence.loss, evidence.now, is_clear=is_clear, latest=latest)
        if was_sent and protection.harmless_loss is not None and evidence.waits is False:
            self._ladder.learn_chance(protection.harmless_loss, evidence.now)
        evidence.can_protect = not protection.is_hurt

    def _is_testing(self, demand: Demand, terms: Terms) -> bool:
        """Whether copies were added, are really sent, and are still to show what they do."""
        protection = self._protection
        if protection is None or not protection.is_testing:
            return False
        return self._copies_within(demand, terms) == protection.copies

    def _gives_way(self, evidence: Evidence, demand: Demand) -> bool:
        """On a full line copies go first; whether that may be enough."""
        if self._protection is None or not self._protection.copies:
            return False
        if not trouble.is_queueing(evidence, self._ladder.changed_at):
            return False
        self._protection.withdraw(evidence.now)
        plain = trouble.DOWN_RATIO * cost_bps(self.tier, demand, is_stamped=evidence.has_feedback)
        is_far = evidence.has_feedback and (evidence.acked_bps or 0.0) < plain
        if is_far:
            return False
        self._begin(evidence.now)
        return True

    def _follow_ladder(self, evidence: Evidence, demand: Demand, terms: Terms) -> None:
        ladder, now = self._ladder, evidence.now
        was_probing = ladder.probe is not None
        is_changed = ladder.decide(evidence, demand, terms)
        if ladder.wants_rebase:
            self._reports.rebase()
        if self._feedback is not None:
            if ladder.wants_rebase:
                self._feedback.rebase()
            if ladder.proven_bps is not None:
                self._feedback.limit.learn(ladder.proven_bps)
        if is_changed and self._protection is not None and ladder.cause in _FALLS:
            self._protection.drop()
        if is_changed:
            self._begin(now, SWITCH_S)
        elif was_probing and ladder.probe is None:
            self._begin(now)
        if is_changed and ladder.tier is Tier.C:
            self._reports.await_anew()

    def _begin(self, now: float, switch_s: float = 0.0) -> None:
        """What is sent has changed, or will have after `switch_s`: what was before says nothing."""
        ladder = self._ladder
        was_bad = ladder.cause is Cause.LOSS and ladder.changed_at == now
        self._loss_since.begin(is_more=ladder.is_on_trial, was_bad=was_bad)
        self._reports.begin()
        if self._feedback is not None:
            self._feedback.begin(now + switch_s)
        if self._protection is not None:
            self._protection.begin()

    def _set_copies(self, demand: Demand, terms: Terms) -> None:
        """As many as the tier and the terms allow; the tier's name follows."""
        tier, probe = self._ladder.tier, self._ladder.probe
        copies = self.copies = self._copies_within(demand, terms)
        sent = copies if probe is None else max(copies, probe.copies)
        # A probe keeps to the most rate too when more begin to talk meanwhile.
        self.copies_sent = self._limited(sent, copies, demand, terms)
        plain = cost_bps(tier, demand, copies)
        self.probe_bps = cost_bps(tier, demand, self.copies_sent) - plain

    def _copies_within(self, demand: Demand, terms: Terms) -> int:
        """Of those that the line needs as many as may go along."""
        tier = self._ladder.tier
        copies = 0 if self._protection is None else self._protection.copies
        if tier is Tier.C or (tier is Tier.A1 and Tier.A0 not in terms.tiers):
            return 0
        return self._limited(copies, 0, demand, terms)

    def _limited(self, copies: int, least: int, demand: Demand, terms: Terms) -> int:
        """As many copies as the most rate leaves room for, but `least` in any case."""
        if terms.max_bps is None:
            return copies
        while copies > least and cost_bps(self._ladder.tier, demand, copies) > terms.max_bps:
            copies -= 1
        return copies

    def _name_tier(self, now: float) -> None:
        """A1 with copies is A0: loss is what brings them, and what their end is a recovery of."""
        ladder = self._ladder
        tier = Tier.A0 if ladder.tier is Tier.A1 and self.copies else ladder.tier
        if tier is self.tier and self.history:
            return
        if {tier, self.tier} == {Tier.A0, Tier.A1}:
            self.cause = Cause.LOSS if self.copies else Cause.RECOVERED
        else:
            self.cause = ladder.cause
        self.tier = tier
        self.history.append(Change(now, tier, self.cause))

    def _wants_stamps(self, now: float) -> bool:
        """Whether what comes when would tell something: it costs the line and the machine."""
        if not self._takes_feedback:
            return False
        if self._sending_since is None or now - self._sending_since < JOIN_STAMPS_S:
            return True
        waiting_s = self._reports.waiting_s
        return (
            not self._ladder.is_best
            or self._ladder.is_on_trial
            or (self.loss_ratio or 0.0) > LOSS_LOW
            or (waiting_s is not None and waiting_s > WAITS_S)
            or self._reports.silent_s(now) >= reports.ASK_S
        )

    def _has_feedback(self, now: float) -> bool:
        return self._feedback is not None and self._feedback.is_fresh(now)


def _least(*limits: float | None) -> float:
    """Of those that there are; infinite without any."""
    return min((bps for bps in limits if bps is not None), default=math.inf)
