"""Which number a browser waits for a code of: in a sealed cookie of its own, not on the server.

So the address of the second page names no number, nobody types it twice, and the server keeps no
number in the clear even for the minutes that a code is good.
"""

from __future__ import annotations

import hmac
from datetime import datetime

from deploy.club.door.pace import CODE_LIFE
from deploy.club.settings import Settings
from deploy.club.tokens import keyed_hash, octets

PENDING_COOKIE = "club-number"
# Digits, a time and a hash; longer ones are nobody's of ours.
CHARS_MAX = 128


def seal(settings: Settings, phone: str, now: datetime) -> str:
    """A cookie's value for `phone` (E.164), good as long as the code that was sent."""
    until = int((now + CODE_LIFE).timestamp())
    said = f"{phone.removeprefix('+')}.{until}"
    return f"{said}.{_mac(settings, said)}"


def unseal(settings: Settings, value: str, now: datetime) -> str | None:
    """The number (E.164) in a cookie's value; None for what is not ours or too old."""
    said, _, mac = value.rpartition(".")
    if len(value) > CHARS_MAX or not said:
        return None
    if not hmac.compare_digest(_mac(settings, said).encode(), octets(mac)):
        return None
    digits, _, until = said.partition(".")
    return f"+{digits}" if now.timestamp() < int(until) else None


def _mac(settings: Settings, said: str) -> str:
    return keyed_hash(settings.secret, "pending", said)
