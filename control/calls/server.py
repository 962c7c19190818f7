"""(client) Calls about the daemon itself."""

from __future__ import annotations

from control.calls.asker import Asker
from control.commands import (
    Ping,
    ServerDrain,
    ServerInfo,
    ServerInfoResult,
    ServerStats,
    ServerUndrain,
)


class ServerCalls(Asker):
    """Needs scope `read` to ask, `admin` to drain."""

    async def ping(self) -> None:
        """Wait for the daemon to answer."""
        await self.call(Ping())

    async def server_info(self) -> ServerInfoResult:
        """Version, node, load and limits of the daemon."""
        return await self.call(ServerInfo())

    async def server_stats(self) -> dict[str, int]:
        """Counters since the daemon's start, by name."""
        return (await self.call(ServerStats())).counters

    async def server_drain(self, *, deadline_s: int) -> None:
        """Take nobody new; whoever is still there after `deadline_s` seconds leaves (`drained`).

        Again, the newer deadline counts. The process goes on.
        """
        await self.call(ServerDrain(deadline_s=deadline_s))

    async def server_undrain(self) -> None:
        """Take newcomers again; nothing happens when it was not draining."""
        await self.call(ServerUndrain())
