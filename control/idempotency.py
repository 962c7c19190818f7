"""Commands that were named by a key: each is done once, however often it is asked for.

The table holds what its owner gives it (a future of the answer) under (who, key): while the command
runs, and for 60 s after. `now` is an argument; nothing here waits.

What is done is held in bounds of number and bytes. Beyond them the oldest goes of whoever holds
most, so that one busy backend does not have the commands of another done twice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from control.errors import ControlError, ErrorCode, exhausted

T = TypeVar("T")
Name = tuple[str | None, str]

# Longer than any client retries, short enough that the table stays small.
HELD_S: Final = 60.0
# More than forty connections have in flight; one more is refused.
RUNNING_MAX: Final = 10_000
# A thousand commands a second for a minute, at most a KiB each beside the answer.
DONE_MAX: Final = 60_000
# Answers are states of a few hundred bytes; a join carries an SDP of some KiB.
BYTES_MAX: Final = 33_554_432


@dataclass
class _Entry(Generic[T]):
    fingerprint: bytes
    value: T
    size_bytes: int = 0
    expires_at: float = 0.0


@dataclass
class _Share:
    """What one who holds: names, the oldest first, and the size of their answers."""

    names: OrderedDict[Name, None] = field(default_factory=OrderedDict)
    size_bytes: int = 0


class IdempotencyTable(Generic[T]):
    """Bounded by number and by bytes: when full, the oldest finished entry of whoever has most
    goes first."""

    def __init__(
        self,
        *,
        running_max: int = RUNNING_MAX,
        done_max: int = DONE_MAX,
        bytes_max: int = BYTES_MAX,
    ) -> None:
        self._running_max = running_max
        self._done_max = done_max
        self._bytes_max = bytes_max
        self._running: dict[Name, _Entry[T]] = {}
        self._done: OrderedDict[Name, _Entry[T]] = OrderedDict()
        self._shares: dict[str | None, _Share] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._running) + len(self._done)

    @property
    def running(self) -> int:
        """How many commands with a key are not done yet, of at most `RUNNING_MAX`."""
        return len(self._running)

    def find(self, name: Name, fingerprint: bytes, now: float) -> T | None:
        """What is held for this key. Raises conflict when the key named another command."""
        self._expire(now)
        entry = self._running.get(name) or self._done.get(name)
        if entry is None:
            return None
        if entry.fingerprint != fingerprint:
            raise ControlError(
                ErrorCode.CONFLICT, "this key was used for another command", detail={"field": "key"}
            )
        return entry.value

    def hold(self, name: Name, fingerprint: bytes, value: T) -> None:
        """Remember a command that begins. Raises resource_exhausted when too many are running."""
        assert name not in self._running and name not in self._done
        if len(self._running) >= self._running_max:
            raise exhausted(
                "idempotency_keys", "too many commands with a key at once", retry_after_ms=1_000
            )
        self._running[name] = _Entry(fingerprint, value)

    def settle(self, name: Name, now: float, *, size_bytes: int) -> None:
        """The command is done; its answer, of this size, is held from now on."""
        entry = self._running.pop(name)
        entry.size_bytes = size_bytes
        entry.expires_at = now + HELD_S
        self._done[name] = entry
        share = self._shares.setdefault(name[0], _Share())
        share.names[name] = None
        share.size_bytes += size_bytes
        self._bytes += size_bytes
        if len(self._done) > self._done_max:
            self._drop_oldest_of(lambda share: len(share.names))
        while self._bytes > self._bytes_max:
            self._drop_oldest_of(lambda share: share.size_bytes)

    def forget(self, name: Name) -> None:
        """The command came to nothing that is worth repeating: the key is free again."""
        del self._running[name]

    def _expire(self, now: float) -> None:
        while self._done:
            name, entry = next(iter(self._done.items()))
            if entry.expires_at > now:
                return
            self._drop(name)

    def _drop_oldest_of(self, most: Callable[[_Share], int]) -> None:
        share = max(self._shares.values(), key=most)
        self._drop(next(iter(share.names)))

    def _drop(self, name: Name) -> None:
        entry, share = self._done.pop(name), self._shares[name[0]]
        del share.names[name]
        share.size_bytes -= entry.size_bytes
        self._bytes -= entry.size_bytes
        if not share.names:
            del self._shares[name[0]]
