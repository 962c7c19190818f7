"""The packets of a source that are not due yet, in the order of their times."""

from __future__ import annotations

from bisect import bisect_left

from .orders import Packet

# 120 ms of the shortest packets (2.5 ms) and as many again of a burst.
PACKETS_MAX = 96


class Waiting:
    """At most `PACKETS_MAX` packets; of more the oldest go."""

    __slots__ = ("_packets", "_times", "dropped")

    def __init__(self) -> None:
        self.dropped = 0
        self._packets: list[Packet] = []
        self._times: list[int] = []

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def first(self) -> Packet | None:
        """The earliest, None when there is none."""
        return self._packets[0] if self._packets else None

    def add(self, packet: Packet) -> bool:
        """False when one for that time is there already."""
        at = bisect_left(self._times, packet.time_ticks)
        if at < len(self._times) and self._times[at] == packet.time_ticks:
            return False
        self._times.insert(at, packet.time_ticks)
        self._packets.insert(at, packet)
        if len(self._packets) > PACKETS_MAX:
            self.pop()
            self.dropped += 1
        return True

    def pop(self) -> Packet:
        """Take the earliest."""
        del self._times[0]
        return self._packets.pop(0)

    def clear(self) -> None:
        """Forget all of them."""
        self._packets.clear()
        self._times.clear()
