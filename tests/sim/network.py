"""A seeded network: one `Link` for each direction of each client, with its own random numbers.

A link decides, for each datagram, when it arrives: never (loss, a full queue, a black hole), once
or twice. Conditions are data and may change at any moment; what is under way is not touched.
Jitter keeps the order of datagrams, as a queue in a router does; only `reorder` lets one be
overtaken.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

# IPv4 and UDP headers count against the rate of a link.
HEADER_BYTES = 28


@dataclass(frozen=True, slots=True)
class Bursts:
    """Gilbert-Elliott loss: a good state that loses nothing and a bad one that loses `bad_loss`.

    The probabilities are per datagram; the mean burst is `1 / leave` datagrams.
    """

    enter: float
    leave: float
    bad_loss: float = 1.0

    @property
    def mean_loss(self) -> float:
        """The long-run share of datagrams lost."""
        return self.bad_loss * self.enter / (self.enter + self.leave)


@dataclass(frozen=True, slots=True)
class Runs:
    """Loss of exactly `length` datagrams in a row, each row beginning with this probability."""

    begin: float
    length: int = 2


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a link is like now. `loss`, `reorder`, `duplicate` are probabilities, times seconds."""

    latency_s: float = 0.020
    jitter_s: float = 0.0
    loss: float = 0.0
    bursts: Bursts | None = None
    runs: Runs | None = None
    reorder: float = 0.0
    # How much later a reordered datagram comes: three frames of 20 ms are overtaken at most.
    reorder_s: float = 0.060
    duplicate: float = 0.0
    duplicate_s: float = 0.005
    rate_bps: float | None = None
    # At 64 kbit/s this is a quarter of a second of waiting, as home routers have.
    queue_bytes: int = 2_000
    blackhole: bool = False


@dataclass(slots=True)
class LinkCounts:
    """The truth of a link since it began, in datagrams."""

    offered: int = 0
    lost: int = 0
    overflowed: int = 0
    swallowed: int = 0
    reordered: int = 0
    duplicated: int = 0

    @property
    def dropped(self) -> int:
        """All that never arrive, whatever the cause."""
        return self.lost + self.overflowed + self.swallowed


class Link:
    """One direction between a client and the server."""

    def __init__(self, seed: str, conditions: Conditions | None = None) -> None:
        self.conditions = conditions if conditions is not None else Conditions()
        self.counts = LinkCounts()
        # A str seeds by SHA-512, whatever the hash randomisation.
        self._random = random.Random(seed)
        self._bad = False
        self._run = 0
        self._busy_until = 0.0
        self._last_arrival = 0.0

    def transit(self, size_bytes: int, now: float) -> tuple[float, ...]:
        """When a datagram that enters now comes out: no, one or two times, the copy last."""
        conditions = self.conditions
        self.counts.offered += 1
        if conditions.blackhole:
            self.counts.swallowed += 1
            return ()
        if self._is_lost(conditions):
            self.counts.lost += 1
            return ()
        leaves = self._leave_queue(size_bytes + HEADER_BYTES, now, conditions)
        if leaves is None:
            self.counts.overflowed += 1
            return ()
        return self._arrivals(leaves, conditions)

    def _is_lost(self, conditions: Conditions) -> bool:
        chance = self._random.random
        if conditions.loss and chance() < conditions.loss:
            return True
        if conditions.runs is not None and self._is_in_run(conditions.runs):
            return True
        bursts = conditions.bursts
        if bursts is None:
            return False
        self._bad = chance() >= bursts.leave if self._bad else chance() < bursts.enter
        return self._bad and chance() < bursts.bad_loss

    def _is_in_run(self, runs: Runs) -> bool:
        if self._run == 0 and self._random.random() < runs.begin:
            self._run = runs.length
            return True
        # The one after a row always comes, so that no two rows make a longer one.
        self._run = max(0, self._run - 1)
        return self._run > 0

    def stall(self, until: float) -> None:
        """Hold everything back until then; it comes at once, in order."""
        self._last_arrival = max(self._last_arrival, until)

    def _leave_queue(self, size_bytes: int, now: float, conditions: Conditions) -> float | None:
        """When the last bit has left the bottleneck, None when its queue has no room."""
        if conditions.rate_bps is None:
            return now
        start = max(now, self._busy_until)
        waiting_bytes = (start - now) * conditions.rate_bps / 8
        if waiting_bytes + size_bytes > conditions.queue_bytes:
            return None
        self._busy_until = start + size_bytes * 8 / conditions.rate_bps
        return self._busy_until

    def _arrivals(self, leaves: float, conditions: Conditions) -> tuple[float, ...]:
        chance = self._random.random
        arrival = leaves + conditions.latency_s
        if conditions.jitter_s:
            arrival += chance() * conditions.jitter_s
        if conditions.reorder and chance() < conditions.reorder:
            self.counts.reordered += 1
            arrival += chance() * conditions.reorder_s
        else:
            arrival = max(arrival, self._last_arrival)
            self._last_arrival = arrival
        if conditions.duplicate and chance() < conditions.duplicate:
            self.counts.duplicated += 1
            return arrival, arrival + chance() * conditions.duplicate_s
        return (arrival,)
