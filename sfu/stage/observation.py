"""What the room sees of one audible participant on a tick: the input of everything for the UI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfu.fast import SourceLevel

    from .dominant import Activity
    from .speakers import Voice

# How often levels are sampled. Fast enough for the eye, and one Volfin-Cohen medium window.
TICK_S = 0.1


@dataclass(slots=True)
class Observation:
    """A participant that may be heard, how loud it is, and the slot it holds.

    Of one tick: at the next it may say something else.
    """

    participant: str
    level: SourceLevel
    slot: int | None
    # What the judges remember of this participant: looked up once, not on every tick.
    activity: Activity | None = None
    voice: Voice | None = None
