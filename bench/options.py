"""What a load is asked to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from bench.speech import Talk

Segmentation = Literal["on", "off", "auto"]
Mode = Literal["auto", "forward", "mix"]
LINES_KBPS = "400,150,80,45,28,20,14"


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
    settle_s: float = 2.0  # from the last join until the measured window begins
    talk: Talk = "always"
    seed: int = 1
    segmentation: Segmentation = "auto"
    decrypt_every: int = 1
    joins: int = 1_000  # joins: newcomers
    within_s: float = 10.0  # joins: they come in this time
    churn_rate: float = 20.0  # churn, soak: joins per s, and as many leaves
    stay_s: float = 5.0  # churn, soak: how long a visitor stays
    pipeline: int = 64  # control: commands under way at once, unless there is a rate
    mode: Mode = "auto"  # what listeners ask for
    max_kbps: str = "0"  # the most that listeners may be sent, in turn; 0: what their line takes
    m_lines: int = 0  # that a listener offers; 0: see `listener_lines`
    lines: str = LINES_KBPS  # ladder: the speeds of its lines
    queue_ms: float = 300.0  # ladder: what a line's queue holds, beside one datagram
    flap_s: float = 0.0  # ladder: until then lines open and narrow again, for so long each; 0: no
    open_s: float = 40.0  # ladder: how long the lines are watched after they have opened
    rate: float = 0.0  # control: commands a second; 0: as many as `pipeline` makes

    @property
    def listener_lines(self) -> int:
        """The m-lines of a listener: one for each slot, one more where the mix is wanted, too."""
        wants_mix = self.mode == "mix" or self.load == "ladder"
        return self.m_lines or self.slots + wants_mix

    @property
    def line_rates_kbps(self) -> list[int]:
        """The speeds of the ladder's lines. ValueError when that is no list of whole numbers."""
        rates = [int(one) for one in self.lines.split(",")]
        if not rates or min(rates) < 1:
            raise ValueError("a line has at least 1 kbit/s")
        return rates

    @property
    def limits_kbps(self) -> tuple[int, ...]:
        """`max_kbps` one by one. ValueError when that is no list of whole numbers."""
        limits = tuple(int(one) for one in self.max_kbps.split(","))
        if min(limits) < 0:
            raise ValueError("--max-kbps is 0 or more")
        return limits

    def as_values(self) -> dict[str, str | int | float | bool | None]:
        """For the report."""
        return asdict(self)
