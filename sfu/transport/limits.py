"""Token buckets: how often something may happen, and for whom. Pure arithmetic on `now`."""

from __future__ import annotations


class TokenBucket:
    """Lets `burst` through at once and `rate` per second after that."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Use one token; False when there is none."""
        tokens = self._tokens + (now - self._at) * self._rate
        if tokens > self._burst:  # by hand: every check and report passes here
            tokens = self._burst
        self._at = now
        is_enough = tokens >= 1.0
        self._tokens = tokens - 1.0 if is_enough else tokens
        return is_enough

    def give_back(self) -> None:
        """Return the token of something that turned out to be welcome."""
        self._tokens = min(self._burst, self._tokens + 1.0)


class StunLimiter:
    """How many unauthenticated STUN messages each source network may send, for a whole worker.

    `take` comes before any HMAC; `give_back` after the message proved authentic, so that any
    number of participants behind one NAT are not held against each other and only strangers run
    dry. A source is an IPv4 address or an IPv6 /64, which is what one customer usually has.
    """

    # A browser sends about 20 checks a second on each pair while it connects.
    RATE = 50.0
    BURST = 100.0
    # About 1 MiB. Beyond it the source that was new longest ago is forgotten, which gives it a full
    # bucket again: a flood from that many networks is beyond what counting by source can hold.
    SOURCES_MAX = 4096

    def __init__(
        self, rate: float = RATE, burst: float = BURST, sources: int = SOURCES_MAX
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._sources_max = sources
        self._buckets: dict[bytes, TokenBucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, address: bytes, now: float) -> bool:
        """Whether a message from this 18-byte address may be looked at."""
        key = self._source(address)
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._sources_max:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, now)
        return bucket.take(now)

    def give_back(self, address: bytes) -> None:
        """The message from `address` was authentic: it does not count."""
        bucket = self._buckets.get(self._source(address))
        if bucket is not None:
            bucket.give_back()

    @staticmethod
    def _source(address: bytes) -> bytes:
        """The network that is held responsible for an address."""
        return address[:16] if address.startswith(_MAPPED) else address[:8]


_MAPPED = bytes(10) + b"\xff\xff"
