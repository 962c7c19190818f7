"""The names in a verified client certificate, as `ssl` tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ALTERNATIVE = ("DNS", "URI")


def names_in(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The dNSName and URI alternative names, or without any of those the common name.

    `certificate` is what `getpeercert()` gives: None or empty without a verified one. A common name
    beside alternative names does not count (RFC 6125 6.4.4).
    """
    if not certificate:
        return ()
    alternative = tuple(
        name for kind, name in certificate.get("subjectAltName", ()) if kind in _ALTERNATIVE
    )
    if alternative:
        return alternative
    fields = [field for part in certificate.get("subject", ()) for field in part]
    return tuple(value for name, value in fields if name == "commonName")
