"""What receiver reports tell of a line: round trip, jitter, and that somebody is there at all.

A browser reports every 2.5 to 7.5 s (5 on average). Whoever was sent something and tells nothing is
silent; without feedback one lost report is not silence.
"""

from __future__ import annotations

import math

from .delay import Least

# From then on feedback is asked for: if the listener is there, it comes at once.
ASK_S = 5.0
# Of who gives none one report may be lost on its way, and that is no silence yet.
REPORT_S = 5.0
# Less than this sent since it was heard last, and its silence means nothing (a pause, comfort
# noise); the lowest tier sends 8 a second.
SENT_MIN = 25
# Nothing sent for this long: the room is silent or the listener paused.
IDLE_S = 2.0
# Less than this since it was looked at last: there was a pause. The lowest tier sends 8 a second.
PAUSED_BELOW_PER_S = 4.0
# How many are sent is counted over as long.
RATE_S = 2.0
# Round trips change when a network does; half to one minute is kept.
ROUND_TRIP_LEAST_S = 60.0
# From so many reports on the least is taken for that of an empty line.
KNOWN_MIN = 2


class Reports:
    """Round trips and silence of one line."""

    __slots__ = (
        "_awaited_since",
        "_jitter_least",
        "_known",
        "_least",
        "_packets",
        "_sent_at",
        "_sent_since",
        "_window",
        "has_reported",
        "heard_at",
        "jitter_s",
        "rtt_s",
        "sent_per_s",
        "told_at",
    )

    def __init__(self) -> None:
        self.rtt_s: float | None = None  # as last reported
        self.told_at = -math.inf
        self.heard_at = -math.inf
        self.jitter_s: float | None = None
        self.has_reported = False
        self._least = Least(ROUND_TRIP_LEAST_S)
        self._jitter_least = Least(ROUND_TRIP_LEAST_S)
        self._known = 0
        self._packets = 0
        self._sent_at = -math.inf
        self._sent_since = 0
        self._window: tuple[float, int] | None = None  # when `sent_per_s` began, and packets then
        self.sent_per_s: float | None = None  # packets, lately and since the last change
        self._awaited_since: float | None = None

    def observe(self, rtt_s: float | None, jitter_s: float | None, now: float) -> None:
        """What one report told."""
        self.has_reported = True
        if rtt_s is not None:
            self.rtt_s = rtt_s
            self._least.take(rtt_s, now)
        if jitter_s is not None:
            self.jitter_s = jitter_s
            self._jitter_least.take(jitter_s, now)
        if rtt_s is not None or jitter_s is not None:
            self.told_at = now
            self._known += 1
        self.hear(now)

    def hear(self, now: float) -> None:
        """The listener is there: a report, a feedback."""
        self.heard_at = now
        self.await_anew()

    def await_anew(self) -> None:
        """What was sent so far is not waited for."""
        self._awaited_since = None
        self._sent_since = 0

    def observe_sent(self, packets: int, now: float) -> bool:
        """So many in all; whether there were any since it was told last."""
        more = packets - self._packets if packets >= self._packets else packets
        self._packets = packets
        self._measure(packets, now)
        if not more:
            return False
        idle_s = now - self._sent_at
        if idle_s >= IDLE_S and more < PAUSED_BELOW_PER_S * idle_s:
            self.await_anew()
        self._sent_at = now
        self._sent_since += more
        if self._awaited_since is None:
            self._awaited_since = now
        return True

    def begin(self) -> None:
        """What is sent has changed."""
        self._window = self.sent_per_s = None

    def _measure(self, packets: int, now: float) -> None:
        """How many packets are sent in a second."""
        if self._window is None or packets < self._window[1]:
            self._window = (now, packets)
        elapsed_s = now - self._window[0]
        if elapsed_s >= RATE_S:
            self.sent_per_s = (packets - self._window[1]) / elapsed_s
            self._window = (now, packets)

    def note_sending(self, now: float) -> None:
        """Something was sent, as what came back shows."""
        self._sent_at = now

    def is_active(self, now: float) -> bool:
        """Whether something was sent lately."""
        return now - self._sent_at < IDLE_S

    def silent_s(self, now: float) -> float:
        """For how long it has told nothing of what it was sent."""
        if self._awaited_since is None or not self.has_reported or self._sent_since < SENT_MIN:
            return 0.0
        return now - self._awaited_since

    @property
    def is_awaiting(self) -> bool:
        """Whether something was sent that nothing was told of yet."""
        return self._awaited_since is not None

    @property
    def waiting_s(self) -> float | None:
        """How much longer than the least round trip the last was; None while too little is known.

        Jitter, which grows with a queue too, counts only where there are no round trips.
        """
        value, least = self.rtt_s, self._least.value
        if value is None:
            value, least = self.jitter_s, self._jitter_least.value
        if value is None or least is None or self._known < KNOWN_MIN:
            return None
        return value - least

    def rebase(self) -> None:
        """What it takes now is the least."""
        self._least = Least(ROUND_TRIP_LEAST_S)
        self._jitter_least = Least(ROUND_TRIP_LEAST_S)
        if self.rtt_s is not None:
            self._least.take(self.rtt_s, self.told_at)
        if self.jitter_s is not None:
            self._jitter_least.take(self.jitter_s, self.told_at)
