"""Network addresses as the compiled core keeps them: 16 bytes of IPv6 (IPv4 mapped) and a port."""

from __future__ import annotations

import ipaddress

_MAPPED = bytes(10) + b"\xff\xff"


def pack_address(host: str, port: int) -> bytes:
    """The 18-byte form of a numeric host and port; ValueError when the host is not numeric."""
    ip = ipaddress.ip_address(host.partition("%")[0])
    packed = ip.packed if ip.version == 6 else _MAPPED + ip.packed
    return packed + port.to_bytes(2, "big")


def unpack_address(address: bytes) -> tuple[str, int]:
    """The numeric host and port of an 18-byte address; a mapped IPv4 comes back dotted."""
    port = int.from_bytes(address[16:18], "big")
    if address.startswith(_MAPPED):
        return str(ipaddress.IPv4Address(address[12:16])), port
    return str(ipaddress.IPv6Address(address[:16])), port


def is_ipv4(address: bytes) -> bool:
    """Whether the 18-byte address is a mapped IPv4 one."""
    return address.startswith(_MAPPED)
