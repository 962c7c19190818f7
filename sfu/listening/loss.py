"""How much a listener loses on its own line.

Theory. A receiver report tells how many of the numbers so far did not come. But the forwarder shows
a publisher's own losses as gaps, so that decoders conceal them; every listener of that publisher
reports them. They are no fault of the listener's line, and sending it more would not bring them
back. What was sent again, because the listener asked, hides losses of the line likewise. So:

    lost = expected - received                      as reported
    missing = expected - sent                       gaps shown, less what was sent twice
    loss of the line = (lost - missing) / sent      never below 0

Both sides count the same sequence numbers, so it does not matter when a report was made, only which
number it ends with. What was sent after that number is taken for complete: a gap that was under way
then counts too early as missing, and so makes the next difference too large by as much. Hence what
an interval has too little, at most as much as was under way, is taken off the next one; and of the
first one as much as was under way then, and of a track that was silent meanwhile what did not come
at its end. So no gap is ever taken for a loss, nor a loss of long ago for one of now.
"""

from __future__ import annotations

from dataclasses import dataclass

# With fewer packets a report says nothing, and is added to the next: one lost would be 10 %.
SENT_MIN = 25
# Two reports of 5 s say most of it; one burst alone is half believed.
SMOOTHING = 0.5
# Of feedback there is a word each second.
FEEDBACK_SMOOTHING = 0.3
BAD_FROM = 0.10


@dataclass(frozen=True, slots=True)
class Counted:
    """A track as counted up to one report: numbers that a listener lost, and packets it was sent.

    `lost` and `highest` are the report's; `sent` is how many packets had left with numbers up to
    `highest`, `under_way` how many numbers came after it.
    """

    highest: int
    lost: int
    sent: int
    under_way: int = 0


def count(*, highest: int, lost: int, last_sequence: int, packets: int) -> Counted:
    """A report of a track of which `packets` have left, the newest with `last_sequence`.

    `highest` is the report's: its upper half counts what the listener took for roll-overs, so only
    the lower 16 bits say which number was meant. One that was never sent is as good as the newest.
    """
    under_way = (last_sequence - highest) & 0xFFFF
    if under_way >= 0x8000:
        under_way = 0
    return Counted(last_sequence - under_way, lost, max(0, packets - under_way), under_way)


class DownlinkLoss:
    """The smoothed loss ratio (0 to 1) of one listener's line, over all its tracks."""

    __slots__ = ("_excess", "_last", "latest", "ratio")

    def __init__(self) -> None:
        self.latest: float | None = None  # of the last round that said enough
        self.ratio: float | None = None  # None until enough was sent
        self._last: dict[int, Counted] = {}
        # By track, not above 0: by how much the last interval had too little.
        self._excess: dict[int, int] = {}

    def observe(self, reported: dict[int, Counted]) -> float | None:
        """Take a round of reports, by track; the new ratio, None when they say too little.

        A track whose numbers went backwards has begun anew, and is left out once.
        """
        known = {
            track: counted for track, counted in reported.items() if self._knows(track, counted)
        }
        sent = sum(counted.sent - self._last[track].sent for track, counted in known.items())
        if sent < SENT_MIN:
            return None
        lost = sum(self._lost(track, counted) for track, counted in known.items())
        ratio = self.latest = min(1.0, lost / sent)
        self.ratio = ratio if self.ratio is None else self.ratio + SMOOTHING * (ratio - self.ratio)
        return self.ratio

    def _knows(self, track: int, counted: Counted) -> bool:
        """Whether there is something to compare with; from now on there is."""
        last = self._last.get(track)
        if last is not None and counted.highest >= last.highest:
            return True
        self._last[track] = counted
        self._excess[track] = -counted.under_way  # it may all have been a gap
        return False

    def _lost(self, track: int, counted: Counted) -> int:
        """What the line lost of a track since it was counted last."""
        last = self._last[track]
        missing = (counted.highest - last.highest) - (counted.sent - last.sent)
        lost = counted.lost - last.lost - missing + self._excess[track]
        self._last[track] = counted
        if counted == last:  # silent: what did not come at its end is lost already
            self._excess[track] = -counted.under_way
        else:
            self._excess[track] = max(-counted.under_way, min(0, lost))
        return max(0, lost)


class LossSince:
    """What is lost of what is sent since the last change: smoothed, and how often it was bad.

    A round of reports covers 5 s, and the first after a change some of what was before. Feedback
    covers a second of packets sent since, and more of them than a report is of on a low tier: its
    word counts as two.
    """

    __slots__ = ("_is_mixed", "_takes_mixed", "bad", "is_whole", "latest", "ratio", "told")

    def __init__(self) -> None:
        self.begin()
        self._is_mixed = False

    def begin(self, *, is_more: bool = False, was_bad: bool = False) -> None:
        """What is sent has changed.

        `is_more`: nothing was wrong before, so what is now is of the change. `was_bad`: the last
        word was, so that the next one is not the first.
        """
        self.ratio: float | None = None
        self.latest: float | None = None  # the last word, not smoothed
        self.bad = int(was_bad)  # in a row
        self.told = 0
        self.is_whole = False  # a word was of nothing but what is sent now
        self._is_mixed = True
        self._takes_mixed = is_more

    def take_report(self, ratio: float) -> bool:
        """Of a round of reports; whether it counts."""
        is_mixed, self._is_mixed = self._is_mixed, False
        if is_mixed and not self._takes_mixed:
            return False
        self._take(ratio, SMOOTHING, 1)
        self.is_whole = not is_mixed
        return True

    def take_feedback(self, ratio: float) -> None:
        """Of a second of feedback."""
        self._take(ratio, FEEDBACK_SMOOTHING, 2)
        self.is_whole = True

    def _take(self, ratio: float, smoothing: float, weight: int) -> None:
        self.latest = ratio
        self.ratio = ratio if self.ratio is None else self.ratio + smoothing * (ratio - self.ratio)
        self.told += weight
        is_bad = ratio > BAD_FROM and self.ratio > BAD_FROM
        self.bad = self.bad + weight if is_bad else 0
