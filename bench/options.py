"""What a load is asked to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from bench.speech import Talk

Segmentation = Literal["on", "off", "auto"]


@dataclass(frozen=True)
class LoadOptions:
    """The options of one load; those that a load does not know are left at their defaults."""

    load: str
    rooms: int = 1
    speakers: int = 3  # of each room
    listeners: int = 100  # of each room
    slots: int = 3
    duration_s: float = 30.0  # of the measured window
    join_rate: float = 100.0  # per s, while the rooms fill
    talk: Talk = "always"
    seed: int = 1
    segmentation: Segmentation = "auto"
    decrypt_every: int = 1
    joins: int = 1_000  # joins: newcomers
    within_s: float = 10.0  # joins: they come in this time
    churn_rate: float = 20.0  # churn, soak: joins per s, and as many leaves
    stay_s: float = 5.0  # churn, soak: how long a visitor stays
    pipeline: int = 64  # control: commands under way at once, unless there is a rate
    rate: float = 0.0  # control: commands a second; 0: as many as `pipeline` makes

    def as_values(self) -> dict[str, str | int | float | bool | None]:
        """For the report."""
        return asdict(self)
