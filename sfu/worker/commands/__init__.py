"""What each command of the control protocol does. Each is one method; the answer is its result.

Refusals are ControlErrors; a refused command has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from control.commands import AnyCommand
from control.errors import ControlError, ErrorCode
from sfu.worker.commands.participants import ParticipantCommands
from sfu.worker.commands.rooms import RoomCommands
from sfu.worker.commands.server import ServerCommands
from sfu.worker.commands.stage import StageCommands
from sfu.worker.commands.subscription import SubscriptionCommands
from sfu.worker.registry import Registry


class Commands:
    """Executes command values against the registry."""

    def __init__(
        self,
        registry: Registry,
        *,
        epoch: str,
        started_at_ms: int,
        counters: Callable[[], dict[str, int]],
    ) -> None:
        server = ServerCommands(
            registry, epoch=epoch, started_at_ms=started_at_ms, counters=counters
        )
        self._methods = {
            **server.methods(),
            **RoomCommands(registry, epoch=epoch).methods(),
            **ParticipantCommands(registry).methods(),
            **StageCommands(registry).methods(),
            **SubscriptionCommands(registry).methods(),
        }

    def execute(self, command: AnyCommand, now: float) -> Any:
        """The command's result; raises ControlError when it is refused."""
        method = self._methods.get(type(command))
        if method is None:
            raise ControlError(ErrorCode.UNIMPLEMENTED, f"no command {command.method} here")
        return method(command, now)
