"""Addresses in log lines, shortened to their network, so that lines name no participant's machine.

An IPv4 address keeps its first three numbers, an IPv6 address its first 48 bits: enough to see that
one network has trouble, not enough to find a household. Addresses of this machine stay as they are.

Whatever a value is, its text is looked through, as it would stand in the line: lists, maps and
their names, objects, exceptions. Of bytes only the number is told, for a packed address looks like
anything. Most texts have neither enough dots nor enough colons for an address, which is soon seen.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, MutableMapping
from ipaddress import IPv6Address
from typing import Any

# Lines of the daemon's own addresses, and of one that an operator may have to shut out.
SPARED = frozenset({"listening", "socket_buffer_clamped", "control_locked_out"})
# Values within values; no line of ours has more than three, and one within itself has no end.
DEPTH_MAX = 8
# The least that an address is written with.
_V4_DOTS = 3
_V6_COLONS = 6  # where it ends as an IPv4 address; any with fewer has two side by side
# A name may stand before it, with a dot between; five numbers are none.
_V4 = re.compile(r"(?<!\d)(?<!\d\.)(\d{1,3}\.\d{1,3}\.\d{1,3})\.\d{1,3}(?!\d|\.\d)")
# As much as could be one, with what stands around it without a gap.
_V6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
# Of an address in full with a word before it or a port behind, or both.
_V6_COLONS_AND_PORT = (8, 9, 10)
_HIDDEN = "x"
_PLAIN = (int, float, type(None))
_BYTES = (bytes, bytearray, memoryview)
_LISTS = (list, tuple, set, frozenset, deque)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor."""
    if event.get("event") in SPARED:
        return event
    for name, value in event.items():
        event[name] = shortened(value)
    return event if all(map(str.isidentifier, event)) else _renamed(event)


def shortened(value: Any, depth: int = 0) -> Any:
    """The value with the addresses in it shortened; what is no list, map or number is its text."""
    if isinstance(value, str):
        return _in_text(value)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, _BYTES):
        return f"<{len(value)} bytes>"
    if depth >= DEPTH_MAX:
        return "..."
    if isinstance(value, _LISTS):
        return [shortened(one, depth + 1) for one in value]
    if isinstance(value, Mapping):
        return _renamed({one: shortened(value[one], depth + 1) for one in value})
    return _in_text(_told(value))


def _renamed(values: Mapping[Any, Any]) -> dict[str, Any]:
    """With names that are shortened texts, each of them there once."""
    renamed: dict[str, Any] = {}
    for one, value in values.items():
        name = first = _in_text(one if isinstance(one, str) else _told(one))
        number = 1
        while name in renamed:
            number += 1
            name = f"{first} ({number})"
        renamed[name] = value
    return renamed


def _told(value: object) -> str:
    """What a line would say of it."""
    if isinstance(value, _BYTES):
        return f"<{len(value)} bytes>"
    try:
        return str(value) if type(value).__module__ == "ipaddress" else repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _in_text(text: str) -> str:
    if "::" in text or text.count(":") >= _V6_COLONS:
        text = _V6.sub(_short_v6, text)
    return _V4.sub(_short_v4, text) if text.count(".") >= _V4_DOTS else text


def _short_v4(match: re.Match[str]) -> str:
    numbers = [int(number) for number in match[0].split(".")]
    is_none = max(numbers) > 255
    if is_none or numbers[0] == 127 or not any(numbers):
        return match[0]
    return f"{match[1]}.{_HIDDEN}"


def _short_v6(match: re.Match[str]) -> str:
    text = match[0]
    colons = text.count(":")
    if colons < _V6_COLONS and "::" not in text:
        return text
    before = match.string[: match.start()][-1:]
    is_in_word = before.isalnum() or before == "_"
    if colons in _V6_COLONS_AND_PORT and "::" not in text and not is_in_word:
        return ":".join([*text.split(":")[:3], _HIDDEN])  # where it begins, nobody knows
    for begin, end in _bounds(text, is_in_word):
        try:
            address = IPv6Address(text[begin:end])
        except ValueError:
            continue
        return f"{text[:begin]}{_network(address, text[begin:end])}{text[end:]}"
    return ":".join([*text.split(":")[:3], _HIDDEN]) if colons in _V6_COLONS_AND_PORT else text


def _bounds(text: str, is_in_word: bool) -> Iterator[tuple[int, int]]:
    """Where in the text it may begin and end, without a word or a port around it."""
    first = text.index(":")
    begins = [text.rfind(".", 0, first) + 1]
    if is_in_word or first == 0:
        begins.append(first + 1)
    if is_in_word and not any(map(str.isdigit, text)):
        begins = begins[1:]  # std::add
    ends = [len(text), len(text.rstrip(".:")), text.rfind(".")]
    host, _, port = text.rpartition(":")
    if port.isdecimal():
        ends.append(len(host))
    for end in ends:
        for begin in begins:
            if end > begin:
                yield begin, end


def _network(address: IPv6Address, text: str) -> str:
    if address.ipv4_mapped is not None:  # also where it is written as hexadecimal groups
        return f"::ffff:{address.ipv4_mapped}"  # to be shortened as what it is
    if address.is_loopback or address.is_unspecified:
        return text
    groups = address.exploded.split(":")[:3]
    return ":".join([*(f"{int(group, 16):x}" for group in groups), _HIDDEN])
