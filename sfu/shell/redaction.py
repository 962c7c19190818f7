"""Addresses in log lines, shortened to their network, so that lines name no participant's machine.

An IPv4 address keeps its first three numbers, an IPv6 address its first 48 bits: enough to see that
one network has trouble, not enough to find a household. Addresses of this machine stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from ipaddress import IPv6Address, ip_address
from typing import Any

# Lines of the daemon's own addresses, and of one that an operator may have to shut out.
SPARED = frozenset({"listening", "socket_buffer_clamped", "control_locked_out"})
_V4 = re.compile(r"(?<![\d.])(\d{1,3}\.\d{1,3}\.\d{1,3})\.\d{1,3}(?!\d|\.\d)")
_V6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:.]{2,46}(?![\w:])")
_HIDDEN = "x"


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor."""
    if event.get("event") not in SPARED:
        for name, value in event.items():
            event[name] = shortened(value)
    return event


def shortened(value: Any) -> Any:
    """The value with the addresses in its texts shortened; lists and maps are looked into."""
    if isinstance(value, str):
        return _V4.sub(_short_v4, _V6.sub(_short_v6, value))
    if isinstance(value, list | tuple):
        return [shortened(one) for one in value]
    if isinstance(value, dict):
        return {name: shortened(one) for name, one in value.items()}
    return value


def _short_v4(match: re.Match[str]) -> str:
    try:
        address = ip_address(match[0])
    except ValueError:
        return match[0]
    if address.is_loopback or address.is_unspecified:
        return match[0]
    return f"{match[1]}.{_HIDDEN}"


def _short_v6(match: re.Match[str]) -> str:
    text = match[0]
    for end in ("", ".", ":"):  # of a sentence, of what the address said
        try:
            address = IPv6Address(text.removesuffix(end))
        except ValueError:
            continue
        if address.ipv4_mapped is not None:  # also where it is written as hexadecimal groups
            return f"::ffff:{address.ipv4_mapped}{end}"  # to be shortened as what it is
        if address.is_loopback or address.is_unspecified:
            return text
        groups = address.exploded.split(":")[:3]
        network = ":".join(f"{int(group, 16):x}" for group in groups)
        return f"{network}:{_HIDDEN}{end}"
    return text
