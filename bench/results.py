"""What a load measured: plain values that the loads fill and the reports read.

Everything here survives `dataclasses.asdict` and JSON. A figure's name ends in its unit (`_ms`,
`_us_per_packet`, `_kib_per_listener`, `_per_s`, `_ratio`, `_kbps_...`; a bare count has none), and
a figure that was not measured is absent rather than zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

JOIN_STAGES = ("offer", "answer", "ice", "dtls", "first_audio")

# Name -> value. The reports know these names; a load may add its own.
Figures = dict[str, float]


@dataclass(frozen=True)
class Meta:
    """Where and how a run was made: what a reader needs to repeat it."""

    load: str  # room, rooms, joins, churn, control, soak
    command: str
    started_at: str  # ISO 8601, UTC
    duration_s: float  # of the measured window
    version: str
    commit: str
    machine: str  # processor, as the kernel names it
    cpus: int
    kernel: str
    python: str
    server_cpus: tuple[int, ...]  # pinned to these; empty: not pinned
    load_cpus: tuple[int, ...]
    notes: tuple[str, ...] = ()


@dataclass
class Histogram:
    """Counts between edges: `counts[i]` values are below `edges[i]`, the last count has no upper
    edge.
    """

    unit: str
    edges: list[float]
    counts: list[int]

    def add(self, counts: Sequence[int]) -> None:
        """Add counts over the same edges."""
        for index, count in enumerate(counts):
            self.counts[index] += count

    @property
    def total(self) -> int:
        """How many values are in it."""
        return sum(self.counts)

    def quantile(self, share: float) -> float | None:
        """The value below which `share` (0..1) of all lie, by the bucket's upper edge, so never
        too good; `inf` beyond the last edge, None without values.
        """
        wanted = share * self.total
        if not self.total:
            return None
        seen = 0
        for edge, count in zip(self.edges, self.counts, strict=False):
            seen += count
            if seen >= wanted and seen:
                return edge
        return float("inf")


@dataclass(frozen=True)
class Second:
    """One second of the run; None where nothing was measured in it."""

    at_s: float  # since the measured window began; negative while clients join before it
    connected: int  # clients whose media flows
    joining: int
    packets_per_s: float  # received by all clients
    lost: int  # in this second, by those who are measured
    delay_p50_ms: float | None = None
    delay_p99_ms: float | None = None
    delay_p999_ms: float | None = None
    gap_p99_ms: float | None = None
    server_cpu_percent: float | None = None  # of one core
    cpu_us_per_packet: float | None = None
    server_rss_kib: float | None = None
    load_cpu_percent: float | None = None
    commands_per_s: float | None = None


@dataclass
class Series:
    """The run second by second, oldest first."""

    seconds: list[Second] = field(default_factory=list)

    def column(self, name: str) -> list[float | None]:
        """One field of every second."""
        return [getattr(second, name) for second in self.seconds]


@dataclass(frozen=True)
class Stage:
    """How long one stage of a join took, from the end of the stage before it."""

    name: str  # one of JOIN_STAGES, or "connected": the whole, from its start to the end of DTLS
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True)
class Joins:
    """All joins of a run."""

    attempted: int
    connected: int
    failed: int
    failures: Mapping[str, int]  # why -> how often
    stages: tuple[Stage, ...]  # in the order of JOIN_STAGES, then "connected"
    joins_per_s: float | None = None  # connected, over the time that joining took


@dataclass(frozen=True)
class Limit:
    """One thing that the load tester watches in itself."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def is_kept(self) -> bool:
        """Whether the value is at or below its limit."""
        return self.value <= self.limit


@dataclass(frozen=True)
class Verdict:
    """Whether the load tester kept up; without that no figure is told."""

    trustworthy: bool
    reasons: tuple[str, ...]  # which part was the bottleneck, with value and limit; empty if none
    watched: tuple[Limit, ...] = ()


@dataclass
class Run:
    """One load against one target."""

    meta: Meta
    target: str  # rostrum, janus, or an address
    options: dict[str, str | int | float | bool | None]
    figures: Figures
    series: Series
    joins: Joins
    distributions: dict[str, Histogram]  # delay, gap, lateness, listener_worst_gap, ...
    verdict: Verdict
    counters: dict[str, int] = field(default_factory=dict)  # of the server, over the window
