"""What one connection still has to send: whole frames, and a limit in bytes.

asyncio's transport keeps a small buffer of its own, and everything beyond waits here. So a reader
who is too slow can be told why it is cut off: the frames that wait here are dropped, the last word
goes out after what the transport already has, and the stream stays well framed to its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

# One write call's worth; also what a blocked transport may take in beyond its high-water mark.
WRITE_BYTES: Final = 65_536


class Outbox:
    """Frames in order. `write` is the transport's; `put` says False when the limit is passed."""

    def __init__(self, write: Callable[[bytes], None], bytes_max: int) -> None:
        self._write = write
        self._bytes_max = bytes_max
        self._frames: deque[bytes] = deque()
        self._is_blocked = False
        self.waiting_bytes = 0

    def put(self, frame: bytes) -> bool:
        """Queue a frame. False: there is more than the limit now, the reader is too slow."""
        self._frames.append(frame)
        self.waiting_bytes += len(frame)
        return self.waiting_bytes <= self._bytes_max

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and the transport would take more."""
        return not self._is_blocked and not self._frames

    def block(self) -> None:
        """The transport has enough."""
        self._is_blocked = True

    def unblock(self) -> None:
        """The transport takes more."""
        self._is_blocked = False
        self.flush()

    def flush(self) -> None:
        """Write what waits, until the transport has enough (it calls `block` from inside write)."""
        while self._frames and not self._is_blocked:
            self._write(self._next_chunk())

    def clear(self) -> None:
        """Forget what waits."""
        self._frames.clear()
        self.waiting_bytes = 0

    def finish(self, last: bytes) -> None:
        """Write everything and `last`, whether or not the transport has enough."""
        self._frames.append(last)
        self._write(b"".join(self._frames))
        self.clear()

    def _next_chunk(self) -> bytes:
        chunk = [self._frames.popleft()]
        size = len(chunk[0])
        while self._frames and size + len(self._frames[0]) <= WRITE_BYTES:
            chunk.append(self._frames.popleft())
            size += len(chunk[-1])
        self.waiting_bytes -= size
        return b"".join(chunk)
