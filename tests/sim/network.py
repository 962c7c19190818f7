"""A seeded network: one `Link` for each direction of each client, with its own random numbers.

A link decides, for each datagram, when it arrives: never (loss, a full queue, a black hole), once
or twice. Conditions are data and may change at any moment; what is under way is not touched.
Jitter keeps the order of datagrams, as a queue in a router does; only `reorder` lets one be
overtaken.

With a rate there is a bottleneck before all that: a queue that holds so many bytes. What finds it
full is dropped, and what waits in it is delayed, as on the narrow lines that people have. A bucket
before it lets through so much at once.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass

# IPv4 and UDP headers count against the rate of a link.
HEADER_BYTES = 28
# What a narrow line's queue holds at least, and for how long it delays at most beyond that.
QUEUE_BYTES_MIN = 1_500
QUEUE_S = 0.4


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
    # What passes at once after a while of less, as shapers made of a token bucket let it.
    bucket_bytes: int = 0
    blackhole: bool = False


def narrow(rate_bps: float, latency_s: float = 0.020, *, bucket_bytes: int = 0) -> Conditions:
    """A line of this rate whose queue holds 0.4 s of it, or one large datagram."""
    return Conditions(
        latency_s=latency_s,
        rate_bps=rate_bps,
        queue_bytes=max(QUEUE_BYTES_MIN, round(rate_bps * QUEUE_S / 8)),
        bucket_bytes=bucket_bytes,
    )


@dataclass(slots=True)
class LinkCounts:
    """The truth of a link since it began, in datagrams."""

    offered: int = 0
    lost: int = 0
    overflowed: int = 0
    swallowed: int = 0
    reordered: int = 0
    duplicated: int = 0
    # When a datagram last found the queue full; negative for never.
    overflowed_at: float = -1.0

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
        # What has not left the bottleneck: when each will have, and its bytes.
        self._queue: deque[tuple[float, int]] = deque()
        self._queued_bytes = 0
        # When the rate would have carried all that came; before now by what the bucket saved.
        self._carried_at = -math.inf
        self._last_arrival = 0.0
        self.was_stalled = False

    def transit(
        self, size_bytes: int, now: float, header_bytes: int = HEADER_BYTES
    ) -> tuple[float, ...]:
        """When a datagram that enters now comes out: no, one or two times, the copy last."""
        conditions = self.conditions
        self.counts.offered += 1
        if conditions.blackhole:
            self.counts.swallowed += 1
            return ()
        if self._is_lost(conditions):
            self.counts.lost += 1
            return ()
        leaves = self._leave_queue(size_bytes + header_bytes, now, conditions)
        if leaves is None:
            self.counts.overflowed += 1
            self.counts.overflowed_at = now
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
        self.was_stalled = True
        self._last_arrival = max(self._last_arrival, until)

    def _leave_queue(self, size_bytes: int, now: float, conditions: Conditions) -> float | None:
        """When the last bit has left the bottleneck, None when its queue has no room.

        What waits leaves at the rate there was when it came, and what comes later after it.
        """
        queue = self._queue
        while queue and queue[0][0] <= now:
            self._queued_bytes -= queue.popleft()[1]
        if conditions.rate_bps is None:
            return queue[-1][0] if queue else now
        if self._queued_bytes + size_bytes > conditions.queue_bytes:
            return None
        saved_s = conditions.bucket_bytes * 8 / conditions.rate_bps
        start = queue[-1][0] if queue else max(self._carried_at, now - saved_s)
        self._carried_at = start + size_bytes * 8 / conditions.rate_bps
        leaves = max(now, self._carried_at)
        queue.append((leaves, size_bytes))
        self._queued_bytes += size_bytes
        return leaves

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
