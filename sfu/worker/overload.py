"""Which limits of the server turn newcomers away, told when that begins and when it is over.

A limit is overloaded from the first refusal on. It has recovered when its use is down to
`RECOVERED_SHARE` of it and nobody was refused for `RECOVERY_S`: a server that is full to the brim,
one leaving and one coming, tells so once and not a hundred times.
"""

from __future__ import annotations

from collections.abc import Mapping

# Room for some newcomers, not for one.
RECOVERED_SHARE = 0.9
# Longer than the retries of those who were refused.
RECOVERY_S = 5.0


class Overload:
    """When each limit last refused somebody; only those that have not recovered since."""

    def __init__(self) -> None:
        self._refused_at: dict[str, float] = {}

    @property
    def limits(self) -> tuple[str, ...]:
        """What is overloaded, in the order in which it began."""
        return tuple(self._refused_at)

    def refuse(self, limit: str, now: float) -> bool:
        """Somebody was refused; True when that is news."""
        is_news = limit not in self._refused_at
        self._refused_at[limit] = now
        return is_news

    def observe(
        self, use: Mapping[str, float], limits: Mapping[str, float], now: float
    ) -> list[str]:
        """What has recovered since the last look."""
        recovered = [
            limit
            for limit, refused_at in self._refused_at.items()
            if now - refused_at >= RECOVERY_S and use[limit] <= RECOVERED_SHARE * limits[limit]
        ]
        for limit in recovered:
            del self._refused_at[limit]
        return recovered
