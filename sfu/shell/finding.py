"""What a look at the machine found: a value."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Level(Enum):
    """How much it matters."""

    OK = "ok"
    ADVICE = "advice"
    FAULT = "fault"


class Finding(NamedTuple):
    """One line: what was looked at, how it is, and what mends it (empty when nothing has to)."""

    check: str
    level: Level
    text: str
    fix: str = ""
