"""How many copies of earlier packets a listener is sent with each (RED), by what its line loses.

    copies   up when the loss is at least     down when it stays below
    0        3 %   -> 1 copy
    1        15 %  -> 2 copies                 1 %  for 30 s -> 0
    2        60 %  -> 0: the line is full      5 %  for 30 s -> 1

One copy repairs single losses, two repair pairs; in-band FEC repairs what is below. A copy costs
about half of a packet again, headers included. So there are more only while nothing waits on the
line: on a full one each copy pushes out a packet. A line may be full without a queue, because its
operator drops what is beyond a rate. So what copies do is looked at. Such a line carries no more
than before, and of what is `k` times as much it loses

    policed = 1 - (1 - loss) / k

If two words later most of that way is gone, the copies go again, and the line counts as full
(`is_hurt`). If after three words it is less than half of it, the loss is by chance, for a line that
carries half as much again was not full (`harmless_loss`): no other test is needed. Beyond 60 % it
is not chance that loses packets. Down is slow, because loss comes in waves and a repaired stream
that breaks again is worse than some bytes too many.
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
# Whether copies made it worse is known after so many words of loss: one may be of 25 packets, and
# so by chance a tenth off.
WORSE_WORDS = 2
# What a copy adds to the rate, at least: its packet's headers are there already.
COPY_COST = 0.5
# So much of the way to what a policed line would lose is worse; up to so much is none.
WORSE_SHARE, HARMLESS_SHARE = 0.8, 0.5


class _Judged:
    """Copies that were added lately, by what is lost since; `loss_ratio` and `copies` before."""

    __slots__ = ("_lost", "_most", "_policed", "_words", "copies", "loss_ratio")

    def __init__(self, loss_ratio: float, before: int, after: int) -> None:
        self.loss_ratio, self.copies = loss_ratio, before
        ratio = (1.0 + COPY_COST * after) / (1.0 + COPY_COST * before)
        self._policed = 1.0 - (1.0 - loss_ratio) / ratio
        self._lost = self._most = 0.0
        self._words = 0

    def hear(self, loss_ratio: float) -> None:
        """A word, not smoothed: what was before is not to dampen it."""
        self._lost += loss_ratio
        self._most = max(self._most, loss_ratio)
        self._words += 1

    @property
    def lost(self) -> float:
        """On average since they were added."""
        return self._lost / self._words if self._words else self.loss_ratio

    @property
    def is_suspect(self) -> bool:
        """Whether more is lost, by as many words as there are."""
        way = WORSE_SHARE * (self._policed - self.loss_ratio)
        return self.lost > self.loss_ratio + way

    @property
    def is_worse(self) -> bool:
        """Whether enough words say so."""
        return self._words >= WORSE_WORDS and self.is_suspect

    @property
    def is_over(self) -> bool:
        """Whether enough was heard."""
        return self._words > WORSE_WORDS

    @property
    def is_harmless(self) -> bool:
        """Whether the line cannot have been full, not even while most talked."""
        way = self._policed - self.loss_ratio
        is_most = self._most > self.loss_ratio + WORSE_SHARE * way
        return not is_most and self.lost <= self.loss_ratio + HARMLESS_SHARE * way


class Protection:
    """The copies of one listener; `observe` is told the smoothed loss of its line (0 to 1)."""

    __slots__ = ("_blocked_until", "_calm_since", "_judged", "copies", "harmless_loss", "is_hurt")

    def __init__(self) -> None:
        self.copies = 0
        self.is_hurt = False  # copies made the loss worse, at what is sent now
        self.harmless_loss: float | None = None  # what was lost when copies were found not to
        self._calm_since: float | None = None
        self._blocked_until = -math.inf
        self._judged: _Judged | None = None

    @property
    def is_testing(self) -> bool:
        """Whether it is still to be seen what copies do, and nothing bad has been so far."""
        return self._judged is not None and not self._judged.is_suspect

    def begin(self) -> None:
        """What is sent has changed: what copies did before is another matter."""
        self.is_hurt = False
        self._judged = self.harmless_loss = None

    def drop(self) -> None:
        """Less is sent, and what that does is to be seen without copies."""
        self._set(0)

    def withdraw(self, now: float) -> bool:
        """Packets wait: the line is full. True when `copies` has changed."""
        self._blocked_until = now + BLOCKED_S
        return self._set(0)

    def observe(
        self, loss_ratio: float, now: float, *, is_clear: bool, latest: float | None = None
    ) -> bool:
        """A word of loss; `is_clear`: nothing waits. True when `copies` has changed.

        `latest` is the word itself, where it is known apart.
        """
        latest = loss_ratio if latest is None else latest
        if loss_ratio >= COLLAPSE_FROM:
            self.is_hurt = self._judged is not None
            return self.withdraw(now)
        before = self._judge(latest)
        if before is not None:
            self._blocked_until = now + BLOCKED_S
            self.is_hurt = True
            return self._set(before)
        wanted = sum(loss_ratio >= threshold for threshold in UP_FROM)
        if wanted > self.copies:
            self._calm_since = None
            is_possible = is_clear and now >= self._blocked_until
            return is_possible and self._add(wanted, max(loss_ratio, latest))
        return self._reduce(loss_ratio, now)

    def _set(self, copies: int) -> bool:
        is_changed = copies != self.copies
        self.copies = copies
        self._judged = self._calm_since = None
        if not copies:
            self.harmless_loss = None
        return is_changed

    def _add(self, wanted: int, loss_ratio: float) -> bool:
        """Those that were added last are judged first."""
        if self._judged is not None:
            return False
        before = self.copies
        self._set(wanted)
        self._judged = _Judged(loss_ratio, before, wanted)
        return True

    def _judge(self, latest: float) -> int | None:
        """Judge the last copies that were added, once: how many there were if it is worse."""
        judged = self._judged
        if judged is None:
            return None
        judged.hear(latest)
        if judged.is_worse:
            return judged.copies
        if judged.is_over:
            if judged.is_harmless:
                self.harmless_loss = judged.lost
            self._judged = None
        return None

    def _reduce(self, loss_ratio: float, now: float) -> bool:
        if self.copies == 0 or loss_ratio >= DOWN_BELOW[self.copies]:
            self._calm_since = None
            return False
        if self._calm_since is None:
            self._calm_since = now
        return now - self._calm_since >= CALM_S and self._set(self.copies - 1)
