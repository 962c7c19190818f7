"""How often one may do what: token buckets, in this process.

Several club processes count for themselves, so that a visitor who is spread over them by a proxy
may do as many times more; what must hold over all of them (codes for one number) is counted in
the database as well.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from deploy.club.refusal import N_, Refused

# A bucket is some 200 bytes. Beyond that the one that was used longest ago is forgotten.
BUCKETS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `burst` at once, and `burst` more in each `per_s` seconds."""

    burst: int
    per_s: float


# Keys are an address for strangers (a household or an office shares one) and a member's id for
# members.
RATES: dict[str, Rate] = {
    "change": Rate(240, 60),  # everything that changes something, together
    "code.send": Rate(20, 3600),  # by address; by number the door counts itself
    "code.try": Rate(60, 600),  # by address; a code has tries of its own
    "sign_up": Rate(20, 3600),  # by address
    "invitation.look": Rate(60, 600),  # by address, against guessing codes
    "invite": Rate(30, 3600),
    "profile": Rate(30, 600),
    "picture": Rate(10, 600),
    "follow": Rate(120, 3600),
    "block": Rate(60, 3600),
    "report": Rate(10, 3600),
    "export": Rate(5, 3600),
    "room.new": Rate(10, 3600),
    "room.change": Rate(60, 600),
    "attend": Rate(120, 3600),
    "ping": Rate(20, 3600),
    "join": Rate(30, 60),
    "act": Rate(60, 30),
    "socket": Rate(60, 60),
}


@dataclass(slots=True)
class _Bucket:
    left: float
    at: datetime


class Limits:
    """The buckets of one process. `rates` replaces some of RATES, for tests."""

    def __init__(self, rates: dict[str, Rate] | None = None) -> None:
        self._rates = RATES | (rates or {})
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def take(self, kind: str, key: str, now: datetime) -> None:
        """Count one `kind` of `key`. Raises Refused `too_many` with `retry_after_s` when none is
        left; KeyError for a kind that has no rate.
        """
        rate = self._rates[kind]
        bucket = self._buckets.setdefault((kind, key), _Bucket(rate.burst, now))
        self._buckets.move_to_end((kind, key))
        if len(self._buckets) > BUCKETS_MAX:
            self._buckets.popitem(last=False)
        gained = (now - bucket.at).total_seconds() * rate.burst / rate.per_s
        bucket.left = min(rate.burst, bucket.left + max(0.0, gained))
        bucket.at = now
        if bucket.left < 1:
            wait_s = math.ceil((1 - bucket.left) * rate.per_s / rate.burst)
            raise Refused(
                "too_many",
                429,
                N_("That was too often. Try again in %(retry_after_s)s seconds."),
                retry_after_s=wait_s,
            )
        bucket.left -= 1
