"""Commands about the daemon itself."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from control.commands.command import Command, Empty
from control.types import Value


class ServerInfoResult(Value, frozen=True, kw_only=True):
    """What this daemon is and how full it is; `limits` and `use` have the same keys."""

    version: str
    protocol_versions: list[int]
    node: str
    epoch: str
    started_at: int
    draining: bool
    load: float
    limits: dict[str, int]
    use: dict[str, int]


class ServerStatsResult(Value, frozen=True, kw_only=True):
    """Counters since start, by name."""

    counters: dict[str, int]


class ServerInfo(Command[ServerInfoResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "server.info"
    result: ClassVar[Any] = ServerInfoResult
    mutates: ClassVar[bool] = False


class ServerStats(Command[ServerStatsResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "server.stats"
    result: ClassVar[Any] = ServerStatsResult
    mutates: ClassVar[bool] = False


class ServerDrain(Command[Empty], frozen=True, kw_only=True):
    """Take nobody new; whoever is still here after `deadline_s` leaves with reason `drained`.

    Given again, the newer deadline counts. The process goes on.
    """

    method: ClassVar[str] = "server.drain"
    result: ClassVar[Any] = Empty
    deadline_s: Annotated[int, Meta(ge=0, le=86_400)]


class ServerUndrain(Command[Empty], frozen=True, kw_only=True):
    """Take newcomers again."""

    method: ClassVar[str] = "server.undrain"
    result: ClassVar[Any] = Empty
