"""One listener's line: what it loses, and what it is sent beyond each packet for that.

A line is of a connection. Whoever moves to another room keeps it, for the network is the same;
whoever is replaced joins on a new one, of which nothing is known. While nothing is sent (a pause, a
silent room) nothing is learned, and protection stays as it is.
"""

from __future__ import annotations

from .loss import Counted, DownlinkLoss
from .protection import Protection


class Line:
    """`takes_red`: the listener negotiated RED; otherwise it is never sent copies."""

    __slots__ = ("_loss", "_protection")

    def __init__(self, *, takes_red: bool) -> None:
        self._loss = DownlinkLoss()
        self._protection = Protection() if takes_red else None

    @property
    def loss_ratio(self) -> float | None:
        """0 to 1, smoothed over reports; None until enough was sent."""
        return self._loss.ratio

    @property
    def copies(self) -> int:
        """How many earlier packets go along with each."""
        return 0 if self._protection is None else self._protection.copies

    def observe(self, reported: dict[int, Counted], now: float) -> bool:
        """Take a round of reports, by track; True when `copies` has changed."""
        loss_ratio = self._loss.observe(reported)
        if loss_ratio is None or self._protection is None:
            return False
        return self._protection.observe(loss_ratio, now)
