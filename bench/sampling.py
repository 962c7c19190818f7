"""What is measured while a load runs: second by second, and over the measured window.

Only one crowd is measured: those who are there when the window begins. Its listeners' packets are
counted one by one at both ends of the window, so that one who hears nothing is found as well.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from bench.clients import Client
from bench.crowd import Crowd
from bench.quantiles import quantile
from bench.report import Live
from bench.results import Figures, Histogram, Second, Series
from bench.selfwatch import SelfWatch, waited_s
from bench.targets import Target
from bench.targets.processes import Usage, read_usage
from sfu.fast import Swarm

# IPv4 and UDP headers, which travel with every packet.
HEADERS_BYTES = 28
HEADERS_IPV6_BYTES = 48


@dataclass(frozen=True)
class Mark:
    """Totals at one end of the window."""

    at_s: float
    totals: dict[str, int]  # the crowd's
    counters: dict[str, int]  # the target's
    usage: Usage | None
    waited_s: float
    received: int  # packets, by everybody who is or was there
    listeners: dict[int, Heard]


class Heard(NamedTuple):
    """What one listener has received since it joined."""

    packets: int
    octets: int
    worst_gap_ms: float


class _Totals(NamedTuple):
    """Totals at the end of a second."""

    at_s: float
    measured: dict[str, int]  # of the crowd
    received: int  # by everybody
    usage: Usage | None
    own_cpu_s: float
    commands: int


class Sampler:
    """Takes a sample each second; between `begin` and `end` they make the figures."""

    def __init__(
        self, target: Target, crowd: Crowd, others: Sequence[Crowd], watch: SelfWatch, live: Live
    ) -> None:
        self._target = target
        self._crowd = crowd
        self._crowds = [crowd, *others]
        self._watch = watch
        self._live = live
        self._edges_ms = [edge / 1e3 for edge in Swarm.delay_edges_us()[1:]]
        self._seconds: list[Second] = []  # by the monotonic clock
        self._started_s = self._phase_at_s = time.monotonic()
        self._begun: Mark | None = None
        self.distributions: dict[str, Histogram] = {}
        self.commands = 0  # done so far; for loads that steer
        self._last = self._totals()

    def count(self, crowd: Crowd) -> None:
        """What this crowd receives is the server's work, too."""
        self._crowds.append(crowd)

    def phase(self, text: str, expected: int | None = None) -> None:
        """Tell the progress what begins now."""
        self._phase_at_s = time.monotonic()
        self._live.phase(text, expected)

    async def run(self) -> None:
        """Until cancelled."""
        clock = time.monotonic
        due = clock()
        while True:
            due += 1.0
            await asyncio.sleep(due - clock())
            self._sample()

    async def begin(self, listeners: Iterable[Client]) -> None:
        """The measured window begins; what was before counts for nothing but the series."""
        self.phase("measuring", sum(one.connected for one in self._crowds))
        self._begun = await self._mark(listeners)
        self._take_histograms()
        self._last = self._totals()
        self.distributions = {name: self._empty() for name in ("delay", "gap", "lateness")}
        self._watch.begin(self._crowd.swarm.totals())

    async def end(self, listeners: Iterable[Client]) -> tuple[Mark, Mark]:
        """The window is over; returns its two ends."""
        assert self._begun is not None, "begin() comes first"
        ended = await self._mark(listeners)
        self._take_histograms()
        worst = self._empty()
        for one in ended.listeners.values():
            worst.counts[bisect_right(worst.edges, one.worst_gap_ms)] += 1
        self.distributions["listener_worst_gap"] = worst
        return self._begun, ended

    @property
    def series(self) -> Series:
        """Every second so far."""
        begun_s = self._begun.at_s if self._begun else self._started_s
        return Series([replace(one, at_s=one.at_s - begun_s) for one in self._seconds])

    def _empty(self) -> Histogram:
        return Histogram("ms", self._edges_ms, [0] * (len(self._edges_ms) + 1))

    async def _mark(self, listeners: Iterable[Client]) -> Mark:
        pids = self._target.pids()
        counters = await self._target.counters()
        # Without an await from here on: one moment.
        return Mark(
            time.monotonic(),
            self._crowd.swarm.totals(),
            counters,
            read_usage(pids) if pids else None,
            sum(waited_s(pid) for pid in pids),
            self._received(),
            {one.id: _heard(one) for one in listeners if one.is_open and one.id >= 0},
        )

    def _received(self) -> int:
        return sum(one.swarm.totals()["received"] for one in self._crowds)

    def _totals(self) -> _Totals:
        pids = self._target.pids()
        return _Totals(
            time.monotonic(),
            self._crowd.swarm.totals(),
            self._received(),
            read_usage(pids) if pids else None,
            time.process_time(),
            self.commands,
        )

    def _take_histograms(self) -> dict[str, Histogram]:
        """What was counted since the last call; within the window it is added up as well."""
        swarm = self._crowd.swarm
        taken = {
            "delay": swarm.take_delays(),
            "gap": swarm.take_gaps(),
            "lateness": swarm.take_lateness(),
        }
        for name, counts in taken.items():
            if name in self.distributions:
                self.distributions[name].add(counts)
        return {name: replace(self._empty(), counts=counts) for name, counts in taken.items()}

    def _sample(self) -> None:
        before, now = self._last, self._totals()
        self._last = now
        span_s = now.at_s - before.at_s
        histograms = self._take_histograms()
        packets = now.received - before.received
        cpu_s = now.usage.cpu_s - before.usage.cpu_s if now.usage and before.usage else None
        second = Second(
            at_s=now.at_s,
            connected=sum(one.connected for one in self._crowds),
            joining=sum(one.joining for one in self._crowds),
            packets_per_s=packets / span_s,
            lost=max(0, now.measured["lost"] - before.measured["lost"]),
            delay_p50_ms=histograms["delay"].quantile(0.5),
            delay_p99_ms=histograms["delay"].quantile(0.99),
            delay_p999_ms=histograms["delay"].quantile(0.999),
            gap_p99_ms=histograms["gap"].quantile(0.99),
            server_cpu_percent=None if cpu_s is None else 100 * cpu_s / span_s,
            cpu_us_per_packet=1e6 * cpu_s / packets if cpu_s is not None and packets else None,
            server_rss_kib=None if now.usage is None else now.usage.rss_kib,
            load_cpu_percent=100 * (now.own_cpu_s - before.own_cpu_s) / span_s,
            commands_per_s=(now.commands - before.commands) / span_s if now.commands else None,
        )
        self._seconds.append(second)
        self._live.second(replace(second, at_s=now.at_s - self._phase_at_s))


def _heard(client: Client) -> Heard:
    stats = client.stats()
    return Heard(stats.packets, stats.octets, stats.worst_gap_us / 1e3)


def figures_of(
    begun: Mark, ended: Mark, distributions: Mapping[str, Histogram], *, is_ipv6: bool
) -> Figures:
    """The figures of a window of media."""
    span_s = ended.at_s - begun.at_s
    totals = {name: value - begun.totals[name] for name, value in ended.totals.items()}
    received, lost = totals["received"], max(0, totals["lost"])
    figures: Figures = {
        "received_packets": received,
        "lost": lost,
        "duplicates": totals["duplicates"],
        "packets_per_s": received / span_s,
    }
    if received:
        figures["loss_ratio"] = lost / (received + lost)
        figures["reordered_ratio"] = totals["reordered"] / received
    figures |= _quantiles(distributions)
    figures |= _per_listener(begun, ended, HEADERS_IPV6_BYTES if is_ipv6 else HEADERS_BYTES)
    figures |= _server(begun, ended, received)
    return figures


def _quantiles(distributions: Mapping[str, Histogram]) -> Figures:
    figures: Figures = {}
    for name, shares in (("delay", (0.5, 0.99, 0.999)), ("gap", (0.5, 0.99, 0.999, 1.0))):
        for share in shares:
            value = distributions[name].quantile(share)
            label = {0.5: "p50", 0.99: "p99", 0.999: "p999", 1.0: "max"}[share]
            if value is not None:
                figures[f"{name}_{label}_ms"] = value
    return figures


def _per_listener(begun: Mark, ended: Mark, headers_bytes: int) -> Figures:
    """What listeners got who were there all the time; one who got nothing is told."""
    later = ended.listeners
    pairs = [(one, later[key]) for key, one in begun.listeners.items() if key in later]
    if not pairs:
        return {}
    packets = [after.packets - before.packets for before, after in pairs]
    octets = sum(after.octets - before.octets for before, after in pairs)
    span_s = ended.at_s - begun.at_s
    bits = 8 * (octets + headers_bytes * sum(packets))
    return {
        "wire_kbps_per_listener": bits / 1e3 / span_s / len(pairs),
        "packets_per_s_per_listener": sum(packets) / span_s / len(pairs),
        "listener_gap_p99_ms": quantile([after.worst_gap_ms for _, after in pairs], 0.99),
        "silent_listeners": float(sum(1 for one in packets if not one)),
        "gone_listeners": float(len(begun.listeners) - len(pairs)),
    }


def _server(begun: Mark, ended: Mark, received: int) -> Figures:
    """What the server used, and what it says itself."""
    counters = {name: value - begun.counters.get(name, 0) for name, value in ended.counters.items()}
    figures: Figures = {}
    forwarded = counters.get("forwarded", received)
    if "forwarded" in counters:
        figures["forwarded_packets"] = forwarded
    if "dropped" in counters:
        figures["dropped_by_server"] = counters["dropped"]
    if begun.usage is not None and ended.usage is not None:
        cpu_s = ended.usage.cpu_s - begun.usage.cpu_s
        figures["server_cpu_percent"] = 100 * cpu_s / (ended.at_s - begun.at_s)
        figures["rss_mib"] = ended.usage.rss_kib / 1_024
        if forwarded and cpu_s:
            figures["cpu_us_per_packet"] = 1e6 * cpu_s / forwarded
            figures["packets_per_s_per_core"] = forwarded / cpu_s
    return figures
