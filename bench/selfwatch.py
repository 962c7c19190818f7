"""The load tester watches itself: when it was the bottleneck, its figures are about itself.

Each limit says from where on the load tester would colour a figure. One that is passed takes all
figures of the run with it, because nobody can tell which ones it left alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.quantiles import quantile
from bench.results import Limit, Verdict

# A speaker's packet that leaves later than this is jitter that the server did not make.
LAG_P99_MS_MAX = 10.0
# Below what a client's receive buffer holds, and below the first retransmissions of handshakes.
LAG_MAX_MS_MAX = 250.0
# Long rounds delay the next ones; a few are the system's.
OVERRUN_RATIO_MAX = 0.1
LATE_SENDS_RATIO_MAX = 0.01
# Steps that were never sent: the server had less to do than the report would say.
SKIPPED_RATIO_MAX = 0.001
# Beyond this the queue in front of a process grows without an end.
CPU_PERCENT_MAX = 90.0
# Waiting for a core that somebody else uses.
WAITED_PERCENT_MAX = 20.0
# The same of the server: its figures would be about who took its core.
SERVER_WAITED_PERCENT_MAX = 20.0
# Arrivals without the kernel's time are as late as this process is.
UNSTAMPED_RATIO_MAX = 0.001


@dataclass(frozen=True)
class _Mark:
    """Totals when the watch began."""

    wall_s: float
    cpu_s: float
    waited_s: float
    totals: dict[str, int]


class SelfWatch:
    """Told of every round of work; judges what happened since `begin`."""

    def __init__(self) -> None:
        self._lags_ms: list[float] = []
        self._overruns = 0
        self._mark = _mark({})

    def begin(self, totals: Mapping[str, int]) -> None:
        """Forget what was; `totals` are the swarm's."""
        self._lags_ms.clear()
        self._overruns = 0
        self._mark = _mark(totals)

    def round(self, lag_s: float, took_s: float, limit_s: float) -> None:
        """A round of work began `lag_s` late and took so long; `limit_s` is what it may take."""
        self._lags_ms.append(lag_s * 1e3)
        self._overruns += took_s > limit_s

    @property
    def cpu_s(self) -> float:
        """CPU seconds of this process since `begin`."""
        return time.process_time() - self._mark.cpu_s

    def judge(self, totals: Mapping[str, int]) -> Verdict:
        """Whether the figures since `begin` can be trusted."""
        watched = tuple(self._limits(totals))
        reasons = tuple(complaint(one) for one in watched if not one.is_kept)
        return Verdict(not reasons, reasons, watched)

    def _limits(self, totals: Mapping[str, int]) -> list[Limit]:
        begun, now = self._mark, _mark(totals)
        wall_s = max(now.wall_s - begun.wall_s, 1e-9)
        delta = {name: now.totals[name] - begun.totals.get(name, 0) for name in now.totals}
        sent, received = max(1, delta.get("sent", 0)), max(1, delta.get("received", 0))
        lags = self._lags_ms or [0.0]
        skipped = delta.get("skipped_steps", 0)
        return [
            Limit("loop lag p99", quantile(lags, 0.99), LAG_P99_MS_MAX, "ms"),
            Limit("loop lag", max(lags), LAG_MAX_MS_MAX, "ms"),
            Limit(
                "rounds of work that took too long",
                self._overruns / len(lags),
                OVERRUN_RATIO_MAX,
                "of all",
            ),
            Limit("late sends", delta.get("late_sends", 0) / sent, LATE_SENDS_RATIO_MAX, "of all"),
            Limit("steps not sent", skipped / (sent + skipped), SKIPPED_RATIO_MAX, "of all"),
            Limit("packets dropped in own sockets", delta.get("socket_drops", 0), 0, ""),
            Limit(
                "arrivals without kernel time",
                delta.get("unstamped", 0) / received,
                UNSTAMPED_RATIO_MAX,
                "of all",
            ),
            Limit("own CPU", 100 * (now.cpu_s - begun.cpu_s) / wall_s, CPU_PERCENT_MAX, "%"),
            Limit(
                "waiting for a core",
                100 * (now.waited_s - begun.waited_s) / wall_s,
                WAITED_PERCENT_MAX,
                "%",
            ),
        ]


def complaint(limit: Limit) -> str:
    """What to tell of a limit that was passed."""
    value, most = (
        " ".join(filter(None, (number, limit.unit)))
        for number in (f"{limit.value:.4g}", f"{limit.limit:g}")
    )
    return f"{limit.name} was {value}, its limit is {most}"


def waited_s(pid: int | str = "self") -> float:
    """How long a process's first thread has waited for a core since its start; 0.0 when the kernel
    does not tell.
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _mark(totals: Mapping[str, int]) -> _Mark:
    return _Mark(time.monotonic(), time.process_time(), waited_s(), dict(totals))
