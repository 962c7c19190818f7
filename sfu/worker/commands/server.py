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
from control.errors import ControlError, ErrorCode
from control.events import ServerUndrained
from sfu.worker.commands.methods import Methods
from sfu.worker.draining import begin_draining
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
        begin_draining(self._registry, command.deadline_s, now)
        return Empty()

    def _undrain(self, command: ServerUndrain, now: float) -> Empty:
        drain = self._registry.intake.drain
        if drain.is_final:
            raise ControlError(ErrorCode.FAILED_PRECONDITION, "this server is being stopped")
        if drain.end():
            self._registry.tell(ServerUndrained())
        return Empty()
