"""What every group of calls needs: something that can ask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

from control.commands import Command

R = TypeVar("R")


class Asker(ABC):
    """Whatever can ask the daemon to do a command."""

    @abstractmethod
    async def call(self, command: Command[R]) -> R:
        """Ask, and wait for the result."""
