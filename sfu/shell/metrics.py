"""Prometheus metrics, computed when asked for from the counters that the parts keep anyway.

Nothing here runs per packet. No series carries a room or a participant: their number has no bound;
who wants them asks by the control protocol. Every name begins with `rostrum_`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import ProcessCollector

from sfu.shell.exposition import (
    NAMESPACE,
    Constant,
    Distribution,
    Gauges,
    Histograms,
    Numbers,
    Read,
    Text,
    Wrapped,
)
from sfu.worker.tally import Tally

__all__ = ["LABELS", "NAMESPACE", "Distribution", "Metrics"]

# Every label that a series may have; each has a small closed set of values.
LABELS = frozenset(
    {
        *("cause", "certificate", "copies", "le", "limit", "python", "reason", "role", "stage"),
        *("tier", "version"),
    }
)
# Counters `dropped_<reason>` become one series with a label, and so do the others: listeners by
# tier, changes of tier by cause, and who is protected by how many earlier packets go along.
_GROUPED = {
    "dropped": "reason",
    "listeners": "tier",
    "participants": "role",
    "protected": "copies",
    "refused": "limit",
    "tier_changes": "cause",
}
# A tick of sound is 20 ms; what is above 5 ms is felt as jitter, what is above 100 ms is heard.
LAG_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)


class Metrics:
    """What one daemon shows, in the order in which it was added."""

    def __init__(self, version: str) -> None:
        self._lag = Tally(LAG_BUCKETS_S)
        self._gc_pause = Tally(LAG_BUCKETS_S)
        self._preparations: list[Callable[[], Iterator[None]]] = []
        self._texts: list[Text] = []
        self.add_distribution(
            "loop_lag_seconds",
            "How late the event loop ran a timer.",
            LAG_BUCKETS_S,
            lambda: distribution_of(self._lag),
        )
        self.add_distribution(
            "gc_pause_seconds",
            "How long the garbage collector stopped everything.",
            LAG_BUCKETS_S,
            lambda: distribution_of(self._gc_pause),
        )
        build = {"version": version, "python": platform.python_version()}
        self._texts.append(Constant(f"{NAMESPACE}_build_info", "What is running.", build))
        self._texts.append(Wrapped(ProcessCollector(namespace=NAMESPACE, registry=None)))

    def add_preparation(self, steps: Callable[[], Iterator[None]]) -> None:
        """Have this done before anything is read for a scrape; each step of it is short."""
        self._preparations.append(steps)

    def add_counters(self, prefix: str, read: Read) -> None:
        """Expose counters that only grow: `rostrum_<prefix>_<name>_total` for each name."""
        self._texts.append(Numbers(prefix, read, grouped=_GROUPED))

    def add_gauges(self, prefix: str, read: Read) -> None:
        """Expose how much there is of something now: `rostrum_<prefix>_<name>` for each name."""
        self._texts.append(Numbers(prefix, read, grouped=_GROUPED, is_gauge=True))

    def add_distribution(
        self, name: str, text: str, edges: Sequence[float], read: Callable[[], Distribution]
    ) -> None:
        """Expose a histogram that somebody else keeps."""
        self.add_distributions(name, text, edges, "", lambda: {"": read()})

    def add_distributions(
        self,
        name: str,
        text: str,
        edges: Sequence[float],
        label: str,
        read: Callable[[], Mapping[str, Distribution]],
    ) -> None:
        """The same with one histogram for each value of a label."""
        self._texts.append(Histograms(f"{NAMESPACE}_{name}", text, edges, label, read))

    def add_labelled_gauge(self, name: str, text: str, label: str, read: Read) -> None:
        """Expose one number for each value of a label."""
        self._texts.append(Gauges(f"{NAMESPACE}_{name}", text, label, read))

    def observe_lag(self, lag_s: float) -> None:
        """Note by how many seconds a timer was late."""
        self._lag.add(lag_s)

    def observe_gc_pause(self, pause_s: float) -> None:
        """Note how long one garbage collection took."""
        self._gc_pause.add(pause_s)

    def parts(self) -> Iterator[str]:
        """The text that Prometheus scrapes, bit by bit: each takes a part of a millisecond."""
        for steps in self._preparations:
            for _ in steps():
                yield ""
        for source in self._texts:
            yield source.text()


def distribution_of(tally: Tally) -> Distribution:
    """What was counted there so far."""
    return Distribution(tally.counts, tally.total)
