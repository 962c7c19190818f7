"""What the groups of commands have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from control.commands import AnyCommand

# From a command's type to what does it; the answer is its result.
Methods = dict[type[AnyCommand], Callable[[Any, float], Any]]
