"""Commands about the daemon itself."""

from __future__ import annotations

from collections.abc import Callable

from control.commands import ServerInfo, ServerInfoResult, ServerStats, ServerStatsResult
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
        wall_at_zero: float,
        counters: Callable[[], dict[str, int]],
    ) -> None:
        self._registry = registry
        self._epoch = epoch
        self._started_at_ms = round(wall_at_zero * 1000)
        self._counters = counters

    def methods(self) -> Methods:
        """By command."""
        return {ServerInfo: self._info, ServerStats: self._stats}

    def _info(self, command: ServerInfo, now: float) -> ServerInfoResult:
        settings = self._registry.settings
        limits = {"rooms": settings.max_rooms, "participants": settings.max_participants}
        use = {"rooms": len(self._registry.rooms), "participants": len(self._registry.peers)}
        return ServerInfoResult(
            version=settings.version,
            protocol_versions=PROTOCOL_VERSIONS,
            node=settings.node,
            epoch=self._epoch,
            started_at=self._started_at_ms,
            draining=self._registry.is_draining,
            load=max(self._registry.load, *(use[name] / limit for name, limit in limits.items())),
            limits=limits,
            use=use,
        )

    def _stats(self, command: ServerStats, now: float) -> ServerStatsResult:
        return ServerStatsResult(counters=self._counters())
