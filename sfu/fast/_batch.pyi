"""A fixed-size arena of datagrams: `Mmsg` fills and sends it, `Forwarder` reads and writes it."""

from collections.abc import Iterator

ADDRESS_BYTES: int
DATAGRAM_BYTES_MAX: int

class Batch:
    """Up to `datagrams` datagrams in `size_bytes` of memory, in order.

    An address is 18 bytes: 16 of IPv6 (IPv4 mapped, `::ffff:a.b.c.d`), then the port in network
    order.
    """

    waited_s: float  # how long the first had waited in the kernel when it was received; else 0

    def __init__(self, datagrams: int = 256, size_bytes: int = 524_288) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> tuple[bytes, bytes]:
        """The datagram at `index` and its address. IndexError outside the batch."""
    def __iter__(self) -> Iterator[tuple[bytes, bytes]]: ...
    def append(self, data: bytes, address: bytes) -> bool:
        """Add one datagram; False when it does not fit. ValueError for a bad address or over-long
        data.
        """
    def clear(self) -> None: ...
    @property
    def used_bytes(self) -> int: ...
