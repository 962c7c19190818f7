"""How listeners' lines are at the moment, looked at when somebody asks.

Of ten thousand listeners not all are asked each time: the next thousand are, and a share of those
is as good a figure. These are asked some at a time, for media waits meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator

from sfu.worker.peers import Peers
from sfu.worker.tally import Tally

# Some microseconds each, a few milliseconds in all.
SURVEYED_MAX = 1_000
# Of these in one step, so that nothing waits for more than a fraction of a millisecond.
SURVEYED_PER_STEP = 64
LOSS_EDGES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
JITTER_EDGES_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
RTT_EDGES_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


class Survey:
    """Of one worker: `loss` (0 to 1), `jitter_s`, `rtt_s` of who has reported any."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        # Whose turn is yet to come. Rows and not peers: whoever leaves is not to be held by them.
        self._rows: list[int] = []
        self.loss, self.jitter_s, self.rtt_s = _blank()

    def steps(self) -> Iterator[None]:
        """Ask the next; what was found before holds until the last step is done."""
        if not self._rows:
            self._rows = self._peers.rows()
        turn, self._rows = self._rows[:SURVEYED_MAX], self._rows[SURVEYED_MAX:]
        tallies = _blank()
        for begin in range(0, len(turn), SURVEYED_PER_STEP):
            for row in turn[begin : begin + SURVEYED_PER_STEP]:
                self._ask(row, tallies)
            yield
        self.loss, self.jitter_s, self.rtt_s = tallies

    def _ask(self, row: int, tallies: tuple[Tally, Tally, Tally]) -> None:
        peer = self._peers.by_row(row)
        if peer is None:
            return  # it has left
        reporter = peer.transport.reporter
        values = peer.line.loss_ratio, reporter.jitter_s, reporter.rtt_s
        for tally, value in zip(tallies, values, strict=True):
            if value is not None:
                tally.add(value)


def _blank() -> tuple[Tally, Tally, Tally]:
    return Tally(LOSS_EDGES), Tally(JITTER_EDGES_S), Tally(RTT_EDGES_S)
