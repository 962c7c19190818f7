"""One listener's line: what it can carry, and what its listener is therefore sent.

A line is of a connection. Whoever moves to another room keeps it, for the network is the same;
whoever is replaced joins on a new one, of which nothing is known. While nothing is sent (a pause, a
silent room) nothing is learned, and nothing changes.

Its owner tells it what was observed, asks `decide`, and carries out what `tier`, `copies`,
`probe_bps` and `wants_stamps` say. A line that `is_settled` need not be asked before something is
observed again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from .loss import Counted, DownlinkLoss
from .protection import Protection
from .tiers import Demand, Terms, Tier

# Changes that are remembered for whoever asks why a listener is where it is.
HISTORY_MAX = 16


class Cause(StrEnum):
    """Why the tier is what it is; the texts are those of the control protocol."""

    JOIN = "join"
    REQUESTED = "requested"  # mode, most rate, pause: the listener's or its backend's wish
    SLOTS = "slots"  # how many talk changes what fits into the most rate
    LOSS = "loss"
    DELAY = "delay"
    ESTIMATE = "estimate"
    SILENCE = "silence"  # no reports came although something was sent
    RECOVERED = "recovered"
    UNAVAILABLE = "unavailable"  # the tier is not to be had any more


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


class Change(NamedTuple):
    """A step of the ladder: since when (monotonic s), to what, and why."""

    at: float
    tier: Tier
    cause: Cause


class Line:
    """`takes_red`: the listener negotiated RED, otherwise it is never sent copies.

    `takes_feedback`: it negotiated transport-cc, and answers to stamped packets.
    """

    __slots__ = (
        "_loss",
        "_protection",
        "_takes_feedback",
        "cause",
        "estimate_bps",
        "history",
        "probe_bps",
        "rtt_s",
        "tier",
        "wants_stamps",
    )

    def __init__(self, *, takes_red: bool, takes_feedback: bool = False, now: float = 0.0) -> None:
        self._loss = DownlinkLoss()
        self._protection = Protection() if takes_red else None
        self._takes_feedback = takes_feedback
        self.tier = Tier.A1
        self.cause = Cause.JOIN
        self.rtt_s: float | None = None  # as last reported
        self.estimate_bps: float | None = None  # what it carries; None: nothing known
        self.probe_bps = 0.0  # send so much more than the tier costs, to see if it would fit
        self.wants_stamps = takes_feedback
        self.history: deque[Change] = deque([Change(now, self.tier, self.cause)], HISTORY_MAX)

    @property
    def loss_ratio(self) -> float | None:
        """0 to 1, smoothed; None until enough was sent."""
        return self._loss.ratio

    @property
    def copies(self) -> int:
        """How many earlier packets go along with each, for what the line loses."""
        return 0 if self._protection is None else self._protection.copies

    @property
    def copies_sent(self) -> int:
        """The same, or more while a probe asks for more octets: what to subscribe to."""
        return self.copies

    @property
    def is_settled(self) -> bool:
        """Whether `decide` has nothing to do before something is observed."""
        return not self.copies and not self.wants_stamps

    def observe(self, reported: dict[int, Counted], now: float) -> bool:
        """Take a round of reports, by track; True when `copies` has changed."""
        loss_ratio = self._loss.observe(reported)
        if loss_ratio is None or self._protection is None:
            return False
        return self._protection.observe(loss_ratio, now)

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
        self.rtt_s = rtt_s if rtt_s is not None else self.rtt_s
        self.observe(counted, now)

    def observe_deliveries(self, deliveries: Sequence[Delivery], now: float) -> None:
        """Take one transport-wide feedback, in the order in which the packets were sent."""

    def observe_remb(self, bps: float, now: float) -> None:
        """Take the receiver's own estimate: never more than that is sent while it is fresh."""

    def observe_sent(self, packets: int, now: float) -> None:
        """So many packets have been sent to it in all, since it is connected.

        Without packets the silence of a listener means nothing. Tell it before each `decide`; a
        smaller number than before starts anew.
        """

    def decide(self, demand: Demand, terms: Terms, now: float) -> bool:
        """Follow what was observed; True when `tier`, `copies` or `copies_sent` has changed.

        `demand` is what the room would send, `terms` what this listener may get now.
        """
        if self.tier in terms.tiers:
            return False
        self.tier = terms.rungs[0]
        return True
