"""What the figures of a load are called, in which unit they come, and which way is better.

The glossary lists the figures that the loads of this package produce. A load may add its own: unit
and direction of those follow from the end of the name, so nothing has to be registered.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher", "neither"]

UNITS = {
    "ns": "ns",
    "us": "µs",
    "ms": "ms",
    "s": "s",
    "bytes": "B",
    "kib": "KiB",
    "mib": "MiB",
    "kbps": "kbit/s",
    "percent": "%",
    "ratio": "%",  # kept as 0..1, told in percent
}
_ANY_UNIT = "|".join(UNITS)
_RATE = re.compile(rf".*?(?:_(?P<unit>{_ANY_UNIT}))?_per_(?P<per>[a-z_]+)$")
_PLAIN = re.compile(rf".*_(?P<unit>{_ANY_UNIT})$")


@dataclass(frozen=True)
class Figure:
    """How a figure is told."""

    name: str
    label: str
    unit: str  # "" for a bare count
    better: Direction

    def text(self, value: float | None) -> str:
        """The value with its unit; a dash where nothing was measured."""
        if value is None:
            return "–"
        if self.unit == "%" and self.name.endswith("_ratio"):
            value *= 100
        return " ".join(filter(None, (number(value), self.unit)))


def number(value: float) -> str:
    """Three significant digits, thousands set apart by a narrow space; whole when large or
    exact.
    """
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size = float(f"{abs(value):.3g}")
    if size >= 100 or value == int(value):
        return f"{value:,.0f}".replace(",", "\u202f")
    if size < 0.000_001:
        return f"{value:.1e}"
    digits = 2 if size >= 0.01 else 1  # a longer tail of digits says nothing that small
    return f"{value:.{digits - math.floor(math.log10(size))}f}"


_GLOSSARY: dict[str, tuple[str, Direction]] = {
    "delay_p50_ms": ("added delay, median", "lower"),
    "delay_p99_ms": ("added delay, p99", "lower"),
    "delay_p999_ms": ("added delay, p99.9", "lower"),
    "gap_p50_ms": ("extra gap between packets, median", "lower"),
    "gap_p99_ms": ("extra gap between packets, p99", "lower"),
    "gap_p999_ms": ("extra gap between packets, p99.9", "lower"),
    "gap_max_ms": ("worst extra gap", "lower"),
    "listener_gap_p99_ms": ("worst gap of a listener, p99", "lower"),
    "loss_ratio": ("packets lost", "lower"),
    "lost": ("packets lost, count", "lower"),
    "reordered_ratio": ("packets out of order", "lower"),
    "reordered": ("packets out of order, count", "lower"),
    "duplicates": ("packets twice, count", "lower"),
    "silent_listeners": ("listeners who heard nothing", "lower"),
    "gone_listeners": ("listeners who were lost", "lower"),
    "dropped_by_server": ("packets dropped by the server", "lower"),
    "switch_p50_ms": ("change of speaker, median", "lower"),
    "switch_p95_ms": ("change of speaker, p95", "lower"),
    "switch_p99_ms": ("change of speaker, p99", "lower"),
    "onset_lost_ms": ("first syllable lost", "lower"),
    "onset_lost_p95_ms": ("first syllable lost, p95", "lower"),
    "turns_missed": ("beginnings of speech not heard", "lower"),
    "cpu_us_per_packet": ("server CPU per forwarded packet", "lower"),
    "cpu_ms_per_join": ("server CPU per join", "lower"),
    "server_cpu_percent": ("server CPU, of one core", "lower"),
    "packets_per_s": ("packets forwarded", "higher"),
    "packets_per_s_per_core": ("packets per s of server CPU", "higher"),
    "packets_per_s_per_listener": ("packets, each listener", "neither"),
    "received_packets": ("packets received", "neither"),
    "cpu_ms_per_s_per_listener": ("server CPU a second, by listener", "lower"),
    "cpu_ms_per_s_per_further_listener": ("server CPU a second, each further listener", "lower"),
    "mixing_cpu_percent": ("of it mixing", "lower"),
    "mix_delay_p50_ms": ("microphone to decoder by the mix, median", "lower"),
    "mix_delay_p99_ms": ("microphone to decoder by the mix, p99", "lower"),
    "mix_tick_p99_ms": ("mixing of a tick, p99", "lower"),
    "mix_late_ticks_ratio": ("mixing ticks more than 5 ms late", "lower"),
    "mix_skipped_ticks": ("mixing ticks skipped", "lower"),
    "forwarded_packets": ("packets the server says it forwarded", "neither"),
    "wire_kbps_per_listener": ("on the wire, each listener", "lower"),
    "rss_kib_per_listener": ("server memory, each listener", "lower"),
    "rss_mib": ("server memory, whole", "lower"),
    "joins_per_s": ("joins", "higher"),
    "join_p50_ms": ("join, median", "lower"),
    "join_p95_ms": ("join, p95", "lower"),
    "join_p99_ms": ("join, p99", "lower"),
    "first_audio_p99_ms": ("DTLS to first audio, p99", "lower"),
    "join_failures": ("joins that failed", "lower"),
    "commands_per_s": ("commands", "higher"),
    "command_p50_ms": ("command, median", "lower"),
    "command_p99_ms": ("command, p99", "lower"),
    "command_max_ms": ("slowest command", "lower"),
    "commands_refused": ("commands refused", "lower"),
    "cpu_us_per_command": ("server CPU per command", "lower"),
    "leaves_per_s": ("leaves", "higher"),
    "calm_delay_p99_ms": ("added delay without the load, p99", "neither"),
    "calm_gap_p99_ms": ("extra gap without the load, p99", "neither"),
    "calm_gap_max_ms": ("worst extra gap without the load", "neither"),
    "settle_max_s": ("narrow lines: slowest to settle", "lower"),
    "tail_drops": ("narrow lines: dropped after that", "lower"),
    "silent_lines": ("narrow lines without sound", "lower"),
    "climb_max_s": ("narrow lines: slowest to be whole again", "lower"),
    "tier_changes_in_10s": ("narrow lines: tier changes in 10 s, the most", "lower"),
    "other_tier_changes": ("tier changes of other listeners", "lower"),
    "rss_growth_kib_per_hour": ("server memory, growth per hour", "lower"),
    "rss_growth_ratio": ("server memory, growth over the run", "lower"),
    "open_files_growth": ("open files more than before", "lower"),
    "threads_growth": ("threads more than before", "lower"),
}
NAMES = tuple(_GLOSSARY)
# Of one line of a ladder: `line_80_settle_s`.
_OF_LINE = re.compile(r"line_(?P<kbps>\d+)_(?P<what>settle|climb|carried)_(?:s|kbps)$")
_WHAT_OF_LINE: dict[str, tuple[str, Direction]] = {
    "settle": ("settled after", "lower"),
    "climb": ("whole again after", "lower"),
    "carried": ("carried at the end", "neither"),
}

# Left out of the summary on a terminal: those who want them find them in the JSON and on the page.
DETAILS = frozenset(
    {
        "gap_p50_ms",
        "packets_per_s_per_listener",
        "received_packets",
        "forwarded_packets",
        "packets_per_s_per_core",
        "switch_p50_ms",
        "join_p50_ms",
        "join_p95_ms",
        "leaves_per_s",
        "lost",
        "rss_mib",
    }
)
# Told by the summary only when something is wrong.
FAULTS = frozenset(
    {
        "duplicates",
        "silent_listeners",
        "gone_listeners",
        "dropped_by_server",
        "turns_missed",
        "join_failures",
        "commands_refused",
        "open_files_growth",
        "threads_growth",
    }
)


def describe(name: str) -> Figure:
    """How the figure of that name is told, known or not."""
    base, rate = _unit(name)
    if name in _GLOSSARY:
        label, better = _GLOSSARY[name]
        return Figure(name, label, base or rate, better)  # the label says per what
    of_line = _OF_LINE.match(name)
    if of_line:
        label, better = _WHAT_OF_LINE[of_line["what"]]
        return Figure(name, f"line of {of_line['kbps']} kbit/s: {label}", base, better)
    unit = base + rate
    return Figure(name, name.replace("_", " "), unit, _direction(name, unit))


def _unit(name: str) -> tuple[str, str]:
    """The unit and what it is per: ("µs", "/packet"); either may be empty."""
    rate = _RATE.match(name)
    if rate:
        per = rate["per"].replace("_per_", " per ").replace("_", " ")
        return UNITS[rate["unit"]] if rate["unit"] else "", f"/{per}"
    plain = _PLAIN.match(name)
    return UNITS[plain["unit"]] if plain else "", ""


def _direction(name: str, unit: str) -> Direction:
    if "_per_s" in name:
        return "higher"
    return "lower" if unit else "neither"


def is_of_line(name: str) -> bool:
    """Whether a figure tells of one line of a ladder."""
    return _OF_LINE.match(name) is not None


def in_order(names: Iterable[str]) -> list[str]:
    """The glossary's order, then the others by name, numbers in it by their size."""
    place = {name: index for index, name in enumerate(NAMES)}

    def key(name: str) -> tuple[int, str]:
        return place.get(name, len(place)), re.sub(r"\d+", lambda digits: f"{digits[0]:>9}", name)

    return sorted(set(names), key=key)


def closest(name: str, known: Iterable[str]) -> str | None:
    """What somebody who wrote `name` probably meant."""
    found = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return found[0] if found else None
