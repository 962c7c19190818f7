"""Prometheus metrics, computed when asked for from the counters that the parts keep anyway.

Nothing here runs per packet. No series carries a room or a participant: their number has no bound;
who wants them asks by the control protocol. Every name begins with `rostrum_`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

# A second series for every histogram, which only says when the process started.
disable_created_metrics()  # type: ignore[no-untyped-call]

NAMESPACE = "rostrum"
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

Read = Callable[[], Mapping[str, float]]


class Distribution(NamedTuple):
    """How many values there were up to each of some edges and, last, above; and their sum."""

    counts: Sequence[int]
    total: float


@dataclass(frozen=True, slots=True)
class Source:
    """Where numbers come from: `rostrum_<prefix>_<name>` for each name that `read` returns."""

    prefix: str
    read: Read
    is_gauge: bool = False


class _Collector(Collector):
    def __init__(self, sources: list[Source]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """One family per name, in the order of the sources."""
        for source in self._sources:
            families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
            for key, value in source.read().items():
                name, label, labelled = _split(key)
                if name not in families:
                    families[name] = _family(source, name, label)
                families[name].add_metric([labelled] if label else [], value)
            yield from families.values()


def _split(key: str) -> tuple[str, str, str]:
    """`dropped_muted` is ("dropped", "reason", "muted"); an ordinary name has no label."""
    for name, label in _GROUPED.items():
        if key.startswith(f"{name}_"):
            return name, label, key.removeprefix(f"{name}_")
    return key, "", ""


def _family(source: Source, name: str, label: str) -> CounterMetricFamily | GaugeMetricFamily:
    labels = [label] if label else []
    full = "_".join(part for part in (NAMESPACE, source.prefix, name) if part)
    text = name.replace("_", " ")
    if source.is_gauge:
        return GaugeMetricFamily(full, f"{text}, now.", labels=labels)
    return CounterMetricFamily(full, f"{text}, since the start.", labels=labels)


class Metrics:
    """The registry of one daemon."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._sources: list[Source] = []
        self._lag = Histogram(
            "loop_lag_seconds",
            "How late the event loop ran a timer.",
            namespace=NAMESPACE,
            buckets=LAG_BUCKETS_S,
            registry=self._registry,
        )
        self._gc_pause = Histogram(
            "gc_pause_seconds",
            "How long the garbage collector stopped everything.",
            namespace=NAMESPACE,
            buckets=LAG_BUCKETS_S,
            registry=self._registry,
        )
        build = {"version": version, "python": platform.python_version()}
        self._build = GaugeMetricFamily(
            f"{NAMESPACE}_build_info", "What is running.", labels=list(build)
        )
        self._build.add_metric(list(build.values()), 1)
        self._registry.register(_Collector(self._sources))
        self._registry.register(_Constant(self._build))
        ProcessCollector(namespace=NAMESPACE, registry=self._registry)

    def add_counters(self, prefix: str, read: Read) -> None:
        """Expose counters that only grow."""
        self._sources.append(Source(prefix, read))

    def add_gauges(self, prefix: str, read: Read) -> None:
        """Expose how much there is of something now."""
        self._sources.append(Source(prefix, read, is_gauge=True))

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
        self._registry.register(_Histogram(f"{NAMESPACE}_{name}", text, edges, label, read))

    def add_labelled_gauge(self, name: str, text: str, label: str, read: Read) -> None:
        """Expose one number for each value of a label."""
        self._registry.register(_Gauge(f"{NAMESPACE}_{name}", text, label, read))

    def observe_lag(self, lag_s: float) -> None:
        """Note by how many seconds a timer was late."""
        self._lag.observe(lag_s)

    def observe_gc_pause(self, pause_s: float) -> None:
        """Note how long one garbage collection took."""
        self._gc_pause.observe(pause_s)

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self._registry)


class _Histogram(Collector):
    def __init__(
        self,
        name: str,
        text: str,
        edges: Sequence[float],
        label: str,
        read: Callable[[], Mapping[str, Distribution]],
    ) -> None:
        self._name, self._text = name, text
        self._labels = [label] if label else []
        self._bounds = [*(str(edge) for edge in edges), "+Inf"]
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """The one family; its buckets hold all that is below them, as Prometheus has it."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for value, (counts, total) in self._read().items():
            buckets = list(zip(self._bounds, accumulate(counts), strict=True))
            family.add_metric([value] if self._labels else [], buckets, sum_value=total)
        yield family


class _Gauge(Collector):
    def __init__(self, name: str, text: str, label: str, read: Read) -> None:
        self._name, self._text, self._label, self._read = name, text, label, read

    def collect(self) -> Iterator[Metric]:
        """The one family."""
        family = GaugeMetricFamily(self._name, self._text, labels=[self._label])
        for value, number in self._read().items():
            family.add_metric([value], number)
        yield family


class _Constant(Collector):
    def __init__(self, family: Metric) -> None:
        self._metric = family

    def collect(self) -> Iterator[Metric]:
        """The one family."""
        yield self._metric
