"""Whose packets carry transport-wide numbers: those whose lines want it, but not of thousands.

The client of a stamped listener tells some ten times a second when each packet came. That is the
best there is to judge a line by, and costs 0.2 % of a core for each. Newcomers want it, whoever is
on a lower tier than it could be, and whose reports tell of trouble. That may be very many at once:
all who waited for the first word of a meeting. Then some do without: their reports tell the same,
a little later. Whoever has told nothing for a while is asked in any case, for it may be gone, and
if it is, it costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sfu.fast import Forwarder
from sfu.listening import Line
from sfu.worker.peers import Peer

# So many at once, a quarter of a core; half of them newcomers, of whose line nothing bad is known.
STAMPED_MAX = 128
NEWCOMERS_MAX = 64
LOSS_LOW = 0.02
# Browsers report every 5 s on average.
SILENT_S = 5.0


class Stamps:
    """Of one worker; counts `stampings`: how often stamping began."""

    def __init__(self, forwarder: Forwarder, counters: Counter[str]) -> None:
        self._forwarder = forwarder
        self._counters = counters
        self._stamped = 0
        counters["stampings"] = 0

    def recount(self, peers: Iterable[Peer], now: float) -> None:
        """Only those who are sent anything cost something: others hold no place.

        Some may have left or never come, and others begun to be sent.
        """
        self._stamped = sum(peer.is_stamped and peer.line.is_sent_anything(now) for peer in peers)

    def follow(self, peer: Peer, now: float) -> None:
        """Stamp its packets, or no longer."""
        self._stamp(peer, peer.line.wants_stamps and self._may(peer, now))

    def end(self, peer: Peer) -> None:
        """It pauses, so that nothing will be told of its line."""
        self._stamp(peer, False)

    def _stamp(self, peer: Peer, is_wanted: bool) -> None:
        if is_wanted == peer.is_stamped:
            return
        peer.is_stamped = is_wanted
        # Whoever was sent nothing at the last count was not in it.
        self._stamped = max(0, self._stamped + (1 if is_wanted else -1))
        self._counters["stampings"] += is_wanted
        self._forwarder.set_stamped(peer.row, is_wanted)

    def _may(self, peer: Peer, now: float) -> bool:
        """Whether there is room for one more, or still for this one."""
        if not peer.room.is_flowing:
            return peer.is_stamped  # nothing is sent that could be stamped
        others = self._stamped - peer.is_stamped
        if _is_unharmed(peer.line):
            return others < NEWCOMERS_MAX
        return others < STAMPED_MAX or now - peer.told_at >= SILENT_S


def _is_unharmed(line: Line) -> bool:
    """Whether nothing has befallen it since it joined."""
    return len(line.history) <= 1 and (line.loss_ratio or 0.0) <= LOSS_LOW
