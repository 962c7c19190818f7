"""A narrow line between a server and one listener, second by second, for a `Line` to play against.

Deterministic: time goes in steps of 20 ms, chance is seeded. There is a queue of so many octets
before a rate, a bucket of so many that pass as fast as they come after a while of less, latency
both ways and loss by chance. The room has three publishers, who talk all at
once, one after the other or not at all, and the listener is sent what the line's tier says, headers
and all. It reports every 5 s, answers stamped packets every 100 ms, and tells a REMB if asked to.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from sfu.listening import LADDER, Demand, Line, Terms, Tier, count
from sfu.listening.tiers import MIXES

STEP_S = 0.02
REPORT_S, FEEDBACK_S, LOOK_S = 5.0, 0.1, 1.0
BESIDE_S, BESIDE_BYTES = 1.25, (100, 150)  # a sender report or an answer, one after the other
QUEUE_S, QUEUE_BYTES_MIN = 0.4, 1_500
MIX_STARTS_S, HUSH_S = 0.2, 0.1
RECEIVER_CLOCK_S = 1_000.0
PAYLOAD_BPS, SPREAD = 32_000.0, 0.2
SLOTS, MIX = 3, 3

Talk = Callable[[float], int]


def all_talk(_now: float) -> int:
    """Everybody at once."""
    return SLOTS


def one_talks(_now: float) -> int:
    """One at a time."""
    return 1


def nobody(_now: float) -> int:
    """Silence."""
    return 0


def turns(now: float) -> int:
    """One, two, all, a pause of 2 s, and again."""
    return (1, 2, 3, 1, 0)[int(now / 2.0) % 5]


class Sent(NamedTuple):
    """A packet on its way, as feedback tells of it."""

    sent_at: float
    arrived_at: float | None
    size: int


@dataclass(slots=True)
class Track:
    """One m-line: what left on it and what came."""

    packets: int = 0
    last: int = -1
    highest: int = -1
    received: int = 0
    transit_s: float | None = None
    jitter_s: float = 0.0
    under_way: deque[tuple[float, int, float]] = field(default_factory=deque)

    def come(self, now: float) -> None:
        """What has arrived by `now`."""
        while self.under_way and self.under_way[0][0] <= now:
            arrived_at, number, sent_at = self.under_way.popleft()
            self.highest, self.received = number, self.received + 1
            transit_s = arrived_at - sent_at
            if self.transit_s is not None:
                self.jitter_s += (abs(transit_s - self.transit_s) - self.jitter_s) / 16
            self.transit_s = transit_s


class LineModel:
    """`rate_bps` None is a wide line, 0 one that is away; conditions may change at any time."""

    def __init__(
        self,
        rate_bps: float | None = None,
        *,
        talk: Talk = all_talk,
        loss: float = 0.0,
        report_loss: float = 0.0,
        source_loss: float = 0.0,
        latency_s: float = 0.03,
        has_queue: bool = True,
        burst_bytes: float = 0.0,
        takes_red: bool = True,
        takes_feedback: bool = True,
        reports: bool = True,
        remb_bps: float | None = None,
        terms: Terms | None = None,
        seed: int = 1,
    ) -> None:
        self.rate_bps, self.talk, self.loss = rate_bps, talk, loss
        self.report_loss, self.source_loss = report_loss, source_loss
        self.latency_s, self.has_queue, self.remb_bps = latency_s, has_queue, remb_bps
        self.burst_bytes, self.reports = burst_bytes, reports
        self.terms = terms if terms is not None else Terms(LADDER)
        self.now = 0.0
        self.clock_s = RECEIVER_CLOCK_S  # how far the receiver's clock is ahead
        self.line = Line(takes_red=takes_red, takes_feedback=takes_feedback, now=0.0)
        self.changes: list[tuple[float, Tier]] = []
        self.drops: list[float] = []  # when a packet found the queue full
        self.waits: list[tuple[float, float]] = []  # when it was sent, how long it waited
        self.stamped = 0
        self.sent_bits = 0.0
        self._random = random.Random(seed)
        self._backlog = 0.0  # octets in the queue; below 0, in the bucket
        self._tracks = [Track() for _ in range(SLOTS + 1)]
        self._stamped: deque[Sent] = deque()
        self.packets = 0  # sent in all
        self._steps = 0
        self._carried = Tier.A1  # what is sent, a little after what the line says
        self._switch_at = self._hush_until = 0.0
        self._voiced_at = [-100.0] * SLOTS
        self._payloads: dict[int, deque[int]] = {n: deque(maxlen=2) for n in range(SLOTS + 1)}
        self._packed: dict[int, list[int]] = {n: [] for n in range(SLOTS)}

    def run(self, seconds: float) -> None:
        """So much later."""
        for _ in range(round(seconds / STEP_S)):
            self._step()

    @property
    def tier(self) -> Tier:
        """Now."""
        return self.line.tier

    def changes_since(self, at: float) -> list[tuple[float, Tier]]:
        """Of the tier, without copies alone."""
        return [change for change in self.changes if change[0] >= at]

    @property
    def demand(self) -> Demand:
        """Who had voice in the last 3 s."""
        talkers = sum(self.now - at < 3.0 for at in self._voiced_at)
        return Demand(talkers=talkers, slot_payload_bps=PAYLOAD_BPS)

    def _step(self) -> None:
        self._steps += 1
        self.now = now = self._steps * STEP_S
        if self.rate_bps is not None:
            left = self._backlog - self.rate_bps * STEP_S / 8
            self._backlog = max(-self.burst_bytes, left)
        self._speak(now)
        if self._is_due(BESIDE_S):
            turn = round(now / BESIDE_S) % len(BESIDE_BYTES)
            self._carry(BESIDE_BYTES[turn])
        for track in self._tracks:
            track.come(now - self.latency_s)  # known here a latency later
        self._tell(now)

    def _is_due(self, period_s: float) -> bool:
        return self._steps % round(period_s / STEP_S) == 0

    def _tell(self, now: float) -> None:
        is_told = False
        if self._is_due(FEEDBACK_S):
            is_told = self._give_feedback(now)
        is_away = self.rate_bps == 0
        if self._is_due(REPORT_S) and self.reports and not is_away:
            if self._random.random() >= self.report_loss:
                self._report(now)
                is_told = True
        if is_told or self._is_due(LOOK_S):
            self._decide(now)

    def _decide(self, now: float) -> None:
        before = self.line.tier
        self.line.observe_sent(self.packets, now)
        self.line.decide(self.demand, self.terms, now)
        after = self.line.tier
        if after is not before and {after, before} != {Tier.A0, Tier.A1}:
            self.changes.append((now, after))

    def _report(self, now: float) -> None:
        counted = {
            index: count(
                highest=track.highest,
                lost=track.highest + 1 - track.received,
                last_sequence=track.last,
                packets=track.packets,
            )
            for index, track in enumerate(self._tracks)
            if track.received
        }
        wait_s = 0.0 if not self.rate_bps else max(0.0, self._backlog) * 8 / self.rate_bps
        jitter_s = max(track.jitter_s for track in self._tracks)
        rtt_s = 2 * self.latency_s + wait_s
        self.line.observe_reports(counted, rtt_s=rtt_s, jitter_s=jitter_s, now=now)
        if self.remb_bps is not None:
            self.line.observe_remb(self.remb_bps, now)

    def _give_feedback(self, now: float) -> bool:
        """Of all that came, and of what did not come before it."""
        known = now - self.latency_s
        came = [
            index
            for index, sent in enumerate(self._stamped)
            if sent.arrived_at is not None and sent.arrived_at <= known
        ]
        if not came or self.rate_bps == 0:
            return False
        told = [self._stamped.popleft() for _ in range(came[-1] + 1)]
        self.line.observe_deliveries(
            [
                Sent(
                    sent.sent_at,
                    None if sent.arrived_at is None else sent.arrived_at + self.clock_s,
                    sent.size,
                )
                for sent in told
            ],
            now,
        )
        return True

    def _switch(self, now: float) -> None:
        """A mix is carried once it flows; slots that end do so in 100 ms of silence."""
        if self.line.tier is self._carried:
            self._switch_at = now + MIX_STARTS_S
        elif self.line.tier not in MIXES or now >= self._switch_at:
            if self._carried not in MIXES and self.line.tier in MIXES:
                self._hush_until = now + HUSH_S
            self._carried = self.line.tier
        if now < self._hush_until:
            for slot in range(SLOTS):
                self._send(slot, 3, 24)

    def _speak(self, now: float) -> None:
        self._switch(now)
        talkers = self.talk(now)
        for slot in range(SLOTS):
            if slot < talkers:
                self._voiced_at[slot] = now
                self._say(slot)
        mix = MIXES.get(self._carried)
        if mix is not None and talkers and self._is_due(mix.frame_ms / 1e3):
            self._send(MIX, self._payload(mix.rate_bps, mix.frame_ms), 12 if mix.is_lean else 24)

    def _say(self, slot: int) -> None:
        """20 ms of somebody who talks."""
        payload = self._payload(PAYLOAD_BPS, 20)
        if self._carried in (Tier.A0, Tier.A1):
            self._send(slot, payload, 24)
        elif self._carried is Tier.A2:
            packed = self._packed[slot]
            packed.append(payload)
            if len(packed) == 3:
                self._send(slot, sum(packed) + 3, 24)
                packed.clear()

    def _payload(self, rate_bps: float, frame_ms: float) -> int:
        spread = 1.0 + SPREAD * (2.0 * self._random.random() - 1.0)
        return round(rate_bps * frame_ms / 8_000 * spread)

    def _send(self, index: int, payload: int, header: int) -> None:
        track, now = self._tracks[index], self.now
        track.last += 1
        if self._random.random() < self.source_loss:
            return
        track.packets += 1
        self.packets += 1
        before = self._payloads[index]
        size = 20 + 8 + 16 + header + payload
        copies = list(before)[-self.line.copies_sent :] if self.line.copies_sent else []
        size += sum(4 + copy for copy in copies) + bool(copies)
        before.append(payload)
        is_stamped = self.line.wants_stamps
        if is_stamped:
            size += 8 if header == 12 else 4
            self.stamped += 1
        arrived_at = self._carry(size)
        if is_stamped:
            self._stamped.append(Sent(now, arrived_at, size))
        if arrived_at is not None:
            track.under_way.append((arrived_at, track.last, now))

    def _carry(self, size: int) -> float | None:
        """When it comes out of the line."""
        self.sent_bits += size * 8
        if self.rate_bps == 0:
            return None
        wait_s = 0.0
        if self.rate_bps is not None:
            queue = max(QUEUE_BYTES_MIN, self.rate_bps * QUEUE_S / 8) if self.has_queue else 600.0
            if self._backlog + size > queue:
                self.drops.append(self.now)
                return None
            self._backlog += size
            wait_s = max(0.0, self._backlog) * 8 / self.rate_bps
        self.waits.append((self.now, wait_s))
        if self._random.random() < self.loss:
            return None
        return self.now + wait_s + self.latency_s
