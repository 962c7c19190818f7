"""What one participant's input may cost when it meets a bug: this participant, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from control.types import LeaveReason
from sfu.worker.peers import Peer
from sfu.worker.registry import Registry


class Guard:
    """Counts `bugs` and tells `on_bug` of each; without that they are raised."""

    def __init__(self, registry: Registry, on_bug: Callable[[Exception], None] | None) -> None:
        self._registry = registry
        self._on_bug = on_bug

    def give(self, peer: Peer, now: float, take: Callable[..., Any], *arguments: Any) -> None:
        """Give something to a peer's transport, and do what follows."""
        try:
            take(*arguments)
            self._registry.settle(peer, now)
        except Exception as error:
            self.note(peer, error, now)

    def note(self, peer: Peer, error: Exception, now: float) -> None:
        """What `peer` caused is a bug: it is removed, and the rest goes on."""
        self._registry.counters["bugs"] += 1
        if self._on_bug is None:
            raise error
        self._on_bug(error)
        if self._registry.peers.is_here(peer):
            self._registry.depart(peer, LeaveReason.WORKER_LOST, now)
