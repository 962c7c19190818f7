"""What a daemon tells of its mixing: read twice, the difference is a window's."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.results import Figures

_COUNTER: Final = re.compile(
    r"^rostrum_mix_(?P<name>late|skipped)_ticks_total (?P<value>\S+)$", re.M
)
_BUCKET: Final = re.compile(
    r'^rostrum_mix_tick_seconds_bucket\{le="(?P<edge>[^"]+)"\} (?P<value>\S+)$', re.M
)


@dataclass(frozen=True)
class MixTotals:
    """Since the start of the daemon."""

    cpu_s: float  # of all its threads but the first
    late: int
    skipped: int
    ticks: tuple[tuple[float, int], ...]  # s, and how many took no longer; the last is infinite


def read_mix_totals(metrics: str, pids: Iterable[int]) -> MixTotals:
    """From the text of the daemon's metrics and the kernel's account of its threads."""
    counters = {one["name"]: int(float(one["value"])) for one in _COUNTER.finditer(metrics)}
    ticks = [(float(one["edge"]), int(float(one["value"]))) for one in _BUCKET.finditer(metrics)]
    return MixTotals(
        cpu_s=sum(_side_threads_s(pid) for pid in pids),
        late=counters.get("late", 0),
        skipped=counters.get("skipped", 0),
        ticks=tuple(ticks),
    )


def _side_threads_s(pid: int) -> float:
    """CPU seconds of the threads of a process that are not its first (proc(5), schedstat)."""
    spent_ns = 0
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        if thread.name != str(pid):
            with contextlib.suppress(OSError):  # it ended meanwhile
                spent_ns += int((thread / "schedstat").read_text().split()[0])
    return spent_ns / 1e9


def mix_figures(begun: MixTotals, ended: MixTotals, span_s: float) -> Figures:
    """Of the window between; of ticks nothing where none was counted."""
    figures: Figures = {
        "mixing_cpu_percent": 100 * (ended.cpu_s - begun.cpu_s) / span_s,
        "mix_skipped_ticks": float(ended.skipped - begun.skipped),
    }
    before = dict(begun.ticks)
    within = [(edge, count - before.get(edge, 0)) for edge, count in ended.ticks]
    total = within[-1][1] if within else 0
    if total:
        figures["mix_late_ticks_ratio"] = (ended.late - begun.late) / total
        edge_s = next(edge for edge, count in within if count >= 0.99 * total)
        figures["mix_tick_p99_ms"] = 1e3 * edge_s if math.isfinite(edge_s) else math.inf
    return figures
