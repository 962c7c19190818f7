"""How many copies of earlier packets a listener is sent with each (RED), by what its line loses.

    copies   up when the loss is at least     down when it stays below
    0        3 %   -> 1 copy
    1        15 %  -> 2 copies                 1 %  for 30 s -> 0
    2        60 %  -> 0: the line is full      5 %  for 30 s -> 1

One copy repairs single losses, two repair pairs; in-band FEC repairs what is below. A copy costs
about half of a packet again, headers included. Beyond 60 % more bytes only make it worse: then it
is not chance that loses packets. Down is slow, because loss comes in waves and a repaired stream
that breaks again is worse than some bytes too many.
"""

from __future__ import annotations

COPIES_MAX = 2
# Loss from which there is one more copy than the index says.
UP_FROM = (0.03, 0.15)
# Loss below which, for CALM_S, there is one less.
DOWN_BELOW = (0.0, 0.01, 0.05)
COLLAPSE_FROM = 0.60
CALM_S = 30.0
# After a collapse nothing is tried again for this long.
COLLAPSED_S = 30.0


class Protection:
    """The copies of one listener; `observe` is told the smoothed loss of its line (0 to 1)."""

    __slots__ = ("_calm_since", "_collapsed_until", "copies")

    def __init__(self) -> None:
        self.copies = 0
        self._calm_since: float | None = None
        self._collapsed_until = 0.0

    def observe(self, loss_ratio: float, now: float) -> bool:
        """True when `copies` has changed."""
        before = self.copies
        if loss_ratio >= COLLAPSE_FROM:
            self.copies = 0
            self._collapsed_until = now + COLLAPSED_S
        elif now >= self._collapsed_until:
            self._follow(loss_ratio, now)
        if self.copies != before:
            self._calm_since = None
        return self.copies != before

    def _follow(self, loss_ratio: float, now: float) -> None:
        wanted = sum(loss_ratio >= threshold for threshold in UP_FROM)
        if wanted > self.copies:
            self.copies = wanted
        elif loss_ratio >= DOWN_BELOW[self.copies]:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        elif now - self._calm_since >= CALM_S:
            self.copies -= 1
