"""PromQL of the kinds that the panels need.

Rates are per second over Grafana's own interval, which fits the zoom. Quantiles add up over the
chosen daemons; to see one of them, choose it.
"""

from __future__ import annotations

from collections.abc import Iterable

from deploy.grafana.dashboard import Query

HERE = 'instance=~"$instance"'
# What the loop takes of its core; mixing has a thread of its own.
LOOP = (
    f"rate(rostrum_process_cpu_seconds_total{{{HERE}}}[$__rate_interval])"
    f" - (rostrum_mix_load_percent{{{HERE}}} / 100 or 0 * rostrum_rooms{{{HERE}}})"
)


def now(metric: str, by: str = "") -> str:
    """The sum of a gauge over the chosen daemons, by a label."""
    return f"sum{_by(by)}({metric}{{{HERE}}})"


def rate(metric: str, by: str = "") -> str:
    """How much a counter grows a second, summed over the chosen daemons."""
    return f"sum{_by(by)}(rate({metric}_total{{{HERE}}}[$__rate_interval]))"


def share(part: str, whole: str) -> str:
    """Of two sums; nothing of nothing is 0."""
    return f"{part} / ({whole} > 0) or vector(0)"


def quantile(q: float, metric: str, by: str = "le") -> str:
    """Of what a histogram took up lately; `by` are labels, `le` among them."""
    buckets = f"rate({metric}_bucket{{{HERE}}}[$__rate_interval])"
    return f"histogram_quantile({q}, sum by ({by}) ({buckets}))"


def quantiles(metric: str) -> list[Query]:
    """Median, p99 and p99.9 of what a histogram took up lately."""
    shown = {0.5: "median", 0.99: "p99", 0.999: "p99.9"}
    return [Query(quantile(q, metric), name) for q, name in shown.items()]


def quantiles_now(metric: str) -> list[Query]:
    """Median, p90 and p99 of a histogram that holds what there is at the moment."""
    buckets = f"sum by (le) ({metric}_bucket{{{HERE}}})"
    shown = {0.5: "median", 0.9: "p90", 0.99: "p99"}
    return [Query(f"histogram_quantile({q}, {buckets})", name) for q, name in shown.items()]


def each(metric: str, names: Iterable[str]) -> list[Query]:
    """The rates of counters that differ by the end of their names."""
    return [Query(rate(f"{metric}_{name}"), name.replace("_", " ")) for name in names]


def _by(label: str) -> str:
    return f" by ({label}) " if label else ""
