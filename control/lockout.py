"""Who proved wrong too often is kept out for a while. Pure: `now` is seconds of any steady clock.

Guessing a secret of 32 bytes is hopeless anyway. This stops what guesses short ones, keeps the log
readable, and makes a backend with an old secret notice soon. It counts addresses, not key ids:
otherwise anybody could lock out a backend by naming its key.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

# A person who mistypes, or a deployment that starts with the old secret, gets that many tries.
FAILURES_MAX: Final = 5
WINDOW_S: Final = 60.0
LOCKED_S: Final = 60.0
# Some hundred KiB. A table that is full forgets the address that failed longest ago.
ADDRESSES_MAX: Final = 4_096
# Who has one IPv6 address has at least the 2^64 of its subnet (RFC 4291 2.5.1).
_IPV6_PREFIX: Final = 64


def origin_of(host: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 one."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))


@dataclass
class _Record:
    since: float
    failures: int = 0
    locked_until: float = 0.0


class Lockout:
    """Failures by origin, bounded."""

    def __init__(
        self, *, failures_max: int = FAILURES_MAX, addresses_max: int = ADDRESSES_MAX
    ) -> None:
        self._failures_max = failures_max
        self._addresses_max = addresses_max
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def fail(self, origin: str, now: float) -> bool:
        """Somebody there proved wrong. True when that locks the origin out."""
        record = self._records.pop(origin, None)
        if record is None or now - record.since >= WINDOW_S:
            record = _Record(since=now)
        self._records[origin] = record
        if len(self._records) > self._addresses_max:
            self._records.popitem(last=False)
        record.failures += 1
        if record.failures < self._failures_max:
            return False
        record.since, record.failures = now, 0
        record.locked_until = now + LOCKED_S
        return True

    def remaining_s(self, origin: str, now: float) -> float:
        """How long it is still kept out; 0 when it is not."""
        record = self._records.get(origin)
        return 0.0 if record is None else max(0.0, record.locked_until - now)
