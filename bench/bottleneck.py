"""A line with a rate and a queue, as a listener's downlink: what does not fit any more is dropped.

Pure: datagrams and the time go in, datagrams and when they had passed come out.
"""

from __future__ import annotations

from collections import deque

# What a queue takes beside its milliseconds: routers count packets, so a whole one always fits.
DATAGRAM_BYTES = 1_500


class Bottleneck:
    """`rate_bps` of everything on the wire; 0 is a line that passes all at once."""

    def __init__(self, rate_bps: float, queue_s: float) -> None:
        self.rate_bps = self._narrow_bps = rate_bps
        self._queue_bytes = round(rate_bps * queue_s / 8) + DATAGRAM_BYTES
        self._queue: deque[tuple[int, int, bytes]] = deque()  # arrival, size, datagram
        self._queued_bytes = 0
        self._free_ns = 0  # when the one before had passed
        self.drops_ns: list[int] = []
        self.passed_bytes = 0

    def open(self) -> None:
        """From now on the line is no bottleneck; what waits passes with the next `take`."""
        self.rate_bps = 0.0

    def narrow(self) -> None:
        """Back to the rate it was made with."""
        self.rate_bps = self._narrow_bps

    def put(self, datagram: bytes, size: int, now_ns: int) -> bool:
        """A datagram that takes `size` bytes on the wire; False when the queue is full."""
        if self.rate_bps and self._queued_bytes + size > self._queue_bytes:
            self.drops_ns.append(now_ns)
            return False
        self._queue.append((now_ns, size, datagram))
        self._queued_bytes += size
        return True

    def take(self, now_ns: int) -> list[tuple[int, bytes]]:
        """What has passed by now, each with the moment in which its last bit did."""
        passed = []
        while self._queue:
            arrived_ns, size, datagram = self._queue[0]
            spent_ns = round(size * 8e9 / self.rate_bps) if self.rate_bps else 0
            done_ns = max(arrived_ns, self._free_ns) + spent_ns
            if self.rate_bps and done_ns > now_ns:
                break
            self._queue.popleft()
            self._queued_bytes -= size
            self._free_ns = done_ns = min(done_ns, now_ns)
            self.passed_bytes += size
            passed.append((done_ns, datagram))
        return passed
