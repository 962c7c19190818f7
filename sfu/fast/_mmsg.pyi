"""The only compiled IO: many datagrams per system call, on non-blocking sockets that the caller
owns.
"""

from sfu.fast._batch import Batch

class Mmsg:
    """Receive and send batches on an IPv4 and an IPv6 UDP socket (descriptors, -1 for none)."""

    def __init__(self, fd_v4: int, fd_v6: int, segments: bool = True) -> None:
        """With `segments`, datagrams that follow each other to one address leave in one segmented
        send (UDP_SEGMENT), if they are equally long but for the last, which may be shorter.
        """
    @property
    def segments(self) -> bool:
        """Whether that is still tried: False once the kernel has refused it."""
    def receive(self, fd: int, batch: Batch, limit: int = 1024) -> int:
        """Clear `batch`, fill it with up to `limit` datagrams that wait on `fd`; returns how many.

        Where the socket has SO_TIMESTAMPNS, `batch.waited_s` says how long the first has waited.

        A datagram longer than DATAGRAM_BYTES_MAX is counted and left out. OSError when the socket
        itself fails.
        """
    def send(self, batch: Batch) -> int:
        """Send everything in `batch` by each address's family; returns how many the kernel took.

        What the kernel refuses is dropped and counted by reason, never queued.
        """
    def counters(self) -> dict[str, int]:
        """`received received_bytes truncated kernel_drops sent sent_bytes receive_calls send_calls
        segmented segmentation_refused`, and `dropped_<reason>` for reason in would_block,
        unreachable, refused, no_socket, too_big, other. `segmented` counts datagrams.
        """
