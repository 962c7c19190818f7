"""Commands about the daemon itself."""

from __future__ import annotations

from collections.abc import Callable

from control.commands import (
    Empty,
    ServerDrain,
    ServerInfo,
    ServerInfoResult,
    ServerStats,
    ServerStatsResult,
    ServerUndrain,
)
from control.events import ServerDraining, ServerUndrained
from sfu.worker.commands.methods import Methods
from sfu.worker.registry import Registry

PROTOCOL_VERSIONS = [1]


class ServerCommands:
    """`counters` gives everything counted since the start."""

    def __init__(
        self,
        registry: Registry,
        *,
        epoch: str,
        started_at_ms: int,
        counters: Callable[[], dict[str, int]],
    ) -> None:
        self._registry = registry
        self._epoch = epoch
        self._started_at_ms = started_at_ms
        self._counters = counters

    def methods(self) -> Methods:
        """By command."""
        return {
            ServerInfo: self._info,
            ServerStats: self._stats,
            ServerDrain: self._drain,
            ServerUndrain: self._undrain,
        }

    def _info(self, command: ServerInfo, now: float) -> ServerInfoResult:
        settings = self._registry.settings
        intake = self._registry.intake
        return ServerInfoResult(
            version=settings.version,
            protocol_versions=PROTOCOL_VERSIONS,
            node=settings.node,
            epoch=self._epoch,
            started_at=self._started_at_ms,
            draining=intake.drain.is_on,
            load=intake.fullness(),
            limits=dict(intake.limits),
            use=intake.use(now),
        )

    def _stats(self, command: ServerStats, now: float) -> ServerStatsResult:
        return ServerStatsResult(counters=self._counters())

    def _drain(self, command: ServerDrain, now: float) -> Empty:
        self._registry.intake.drain.begin(now + command.deadline_s)
        self._registry.tell(ServerDraining(deadline_ms=command.deadline_s * 1_000))
        return Empty()

    def _undrain(self, command: ServerUndrain, now: float) -> Empty:
        if self._registry.intake.drain.end():
            self._registry.tell(ServerUndrained())
        return Empty()
