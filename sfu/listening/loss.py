"""How much a listener loses on its own line.

Theory. A receiver report tells the share of sequence numbers that did not come. But the forwarder
shows a publisher's own losses as gaps, so that decoders conceal them; every listener of that
publisher reports them. They are no fault of the listener's line, and sending it more would not
bring them back. So the share that never was there to be sent is taken out:

    lost = expected - received                      as reported
    missing = expected - sent                       gaps that the listener was shown
    loss of the line = (lost - missing) / sent      never below 0

Both sides count the same sequence numbers, so it does not matter when a report was made, only which
number it ends with.
"""

from __future__ import annotations

from dataclasses import dataclass

# An interval with fewer packets than this says nothing: one lost packet would be 10 %.
SENT_MIN = 25
# Two reports of 5 s say most of it; one burst alone is half believed.
SMOOTHING = 0.5


@dataclass(frozen=True, slots=True)
class Counted:
    """A track as counted up to one report: numbers that a listener lost, and packets it was sent.

    `lost` and `highest` are the report's; `sent` is how many packets had left with numbers up to
    `highest`.
    """

    highest: int
    lost: int
    sent: int


class DownlinkLoss:
    """The smoothed loss ratio (0 to 1) of one listener's line, over all its tracks."""

    __slots__ = ("_last", "ratio")

    def __init__(self) -> None:
        self.ratio: float | None = None  # None until enough was sent
        self._last: dict[int, Counted] = {}

    def observe(self, reported: dict[int, Counted]) -> float | None:
        """Take a round of reports, by SSRC; the new ratio, None when they say too little.

        A track whose numbers went backwards has begun anew, and is left out once.
        """
        lost = sent = 0
        for ssrc, counted in reported.items():
            last = self._last.get(ssrc)
            self._last[ssrc] = counted
            if last is None or counted.highest < last.highest or counted.sent < last.sent:
                continue
            step = counted.sent - last.sent
            missing = counted.highest - last.highest - step
            lost += max(0, counted.lost - last.lost - max(0, missing))
            sent += step
        if sent < SENT_MIN:
            return None
        ratio = min(1.0, lost / sent)
        self.ratio = ratio if self.ratio is None else self.ratio + SMOOTHING * (ratio - self.ratio)
        return self.ratio
