"""How many copies of earlier packets a listener is sent with each (RED), by what its line loses.

    copies   up when the loss is at least     down when it stays below
    0        3 %   -> 1 copy
    1        15 %  -> 2 copies                 1 %  for 30 s -> 0
    2        60 %  -> 0: the line is full      5 %  for 30 s -> 1

One copy repairs single losses, two repair pairs; in-band FEC repairs what is below. A copy costs
about half of a packet again, headers included. So there are more only while nothing waits on the
line: on a full one each copy pushes out a packet. A line may be full without a queue, because its
operator drops what is beyond a rate. So what copies do is looked at: if more is lost two words
later, they go again, and the line counts as full (`is_hurt`). Beyond 60 % it is not chance that
loses packets. Down is slow, because loss comes in waves and a repaired stream that breaks again is
worse than some bytes too many.
"""

from __future__ import annotations

import math

COPIES_MAX = 2
# Loss from which there is one more copy than the index says.
UP_FROM = (0.03, 0.15)
# Loss below which, for CALM_S, there is one less.
DOWN_BELOW = (0.0, 0.01, 0.05)
COLLAPSE_FROM = 0.60
CALM_S = 30.0
# After a collapse, a queue or more loss nothing is tried again for this long.
BLOCKED_S = 30.0
# Copies made it worse if so much more is lost, after so many words of loss. The first word may be
# of 25 packets, and so by chance a tenth off; a full line loses a third more by one copy.
WORSE_RATIO, WORSE_MORE = 1.5, 0.15
WORSE_WORDS = 2


class Protection:
    """The copies of one listener; `observe` is told the smoothed loss of its line (0 to 1)."""

    __slots__ = ("_before", "_blocked_until", "_calm_since", "_words", "copies", "is_hurt")

    def __init__(self) -> None:
        self.copies = 0
        self.is_hurt = False  # copies made the loss worse, at what is sent now
        self._calm_since: float | None = None
        self._blocked_until = -math.inf
        self._before: tuple[float, int] | None = None  # loss and copies, until it is judged
        self._words = 0

    def begin(self) -> None:
        """What is sent has changed: what copies did before is another matter."""
        self.is_hurt = False
        self._before = None

    def drop(self) -> None:
        """Less is sent, and what that does is to be seen without copies."""
        self._set(0)

    def withdraw(self, now: float) -> bool:
        """Packets wait: the line is full. True when `copies` has changed."""
        self._blocked_until = now + BLOCKED_S
        return self._set(0)

    def observe(self, loss_ratio: float, now: float, *, is_clear: bool) -> bool:
        """A word of loss; `is_clear`: nothing waits. True when `copies` has changed."""
        if loss_ratio >= COLLAPSE_FROM:
            self.is_hurt = self._before is not None
            return self.withdraw(now)
        if self._is_worse(loss_ratio):
            assert self._before is not None, "it is worse than something"
            self._blocked_until = now + BLOCKED_S
            self.is_hurt = True
            return self._set(self._before[1])
        wanted = sum(loss_ratio >= threshold for threshold in UP_FROM)
        if wanted > self.copies:
            self._calm_since = None
            return self._add(wanted, loss_ratio, now, is_clear=is_clear)
        return self._reduce(loss_ratio, now)

    def _set(self, copies: int) -> bool:
        is_changed = copies != self.copies
        self.copies = copies
        self._before = self._calm_since = None
        return is_changed

    def _add(self, wanted: int, loss_ratio: float, now: float, *, is_clear: bool) -> bool:
        is_judging = self._before is not None
        if is_judging or not is_clear or now < self._blocked_until:
            return False
        before = self.copies
        self._set(wanted)
        self._before, self._words = (loss_ratio, before), 0
        return True

    def _is_worse(self, loss_ratio: float) -> bool:
        """Judge the last copies that were added, once."""
        if self._before is None:
            return False
        self._words += 1
        if loss_ratio > WORSE_RATIO * self._before[0] + WORSE_MORE and self._words >= WORSE_WORDS:
            return True
        if self._words > WORSE_WORDS:
            self._before = None
        return False

    def _reduce(self, loss_ratio: float, now: float) -> bool:
        if self.copies == 0 or loss_ratio >= DOWN_BELOW[self.copies]:
            self._calm_since = None
            return False
        if self._calm_since is None:
            self._calm_since = now
        return now - self._calm_since >= CALM_S and self._set(self.copies - 1)
