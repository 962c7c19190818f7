"""What Prometheus scrapes, as text (its exposition format, version 0.0.4).

Names, labels and help are the same at each scrape, so they are put together once: a scrape looks up
numbers and writes them behind what is kept. Each source writes some dozens of series, in a small
part of a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol

from prometheus_client.metrics_core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Every name begins with it.
NAMESPACE = "rostrum"

Read = Callable[[], Mapping[str, float]]


class Distribution(NamedTuple):
    """How many values there were up to each of some edges and, last, above; and their sum."""

    counts: Sequence[int]
    total: float


class Text(Protocol):
    """One part of a scrape."""

    def text(self) -> str:
        """Whole lines, as they are now."""


class Numbers:
    """Counters, or gauges: `rostrum_<prefix>_<name>` for each name that `read` returns.

    Names that begin as a key of `grouped` are one family, with the rest of the name as the value of
    its label: `dropped_muted` is `dropped{reason="muted"}`.
    """

    def __init__(
        self, prefix: str, read: Read, *, grouped: Mapping[str, str], is_gauge: bool = False
    ) -> None:
        self._prefix, self._read = prefix, read
        self._grouped = grouped
        self._is_gauge = is_gauge
        self._begins: dict[str, str] = {}  # of a line, with what is to stand above it

    def text(self) -> str:
        """See `Text`."""
        numbers = self._read()
        if numbers.keys() != self._begins.keys():
            self._begins = self._laid_out(numbers)
        return "".join([f"{begin}{float(numbers[key])!r}\n" for key, begin in self._begins.items()])

    def _laid_out(self, keys: Iterable[str]) -> dict[str, str]:
        """Families in the order of their first name, each together."""
        families: dict[str, dict[str, str]] = {}
        for key in keys:
            name, labels = self._named(key)
            families.setdefault(name, {})[key] = labels
        begins: dict[str, str] = {}
        for name, members in families.items():
            full = "_".join(part for part in (NAMESPACE, self._prefix, name) if part)
            above = _head(*self._described(full, name.replace("_", " ")))
            for key, labels in members.items():
                begins[key] = f"{above}{self._described(full)[0]}{labels} "
                above = ""
        return begins

    def _named(self, key: str) -> tuple[str, str]:
        for name, label in self._grouped.items():
            if key.startswith(f"{name}_"):
                return name, _labels({label: key.removeprefix(f"{name}_")})
        return key, ""

    def _described(self, full: str, text: str = "") -> tuple[str, str, str]:
        """Name, kind and help."""
        if self._is_gauge:
            return full, "gauge", f"{text}, now."
        return f"{full}_total", "counter", f"{text}, since the start."


class Gauges:
    """One gauge with a number for each value of a label."""

    def __init__(self, name: str, text: str, label: str, read: Read) -> None:
        self._name, self._label, self._read = name, label, read
        self._above = _head(name, "gauge", text)

    def text(self) -> str:
        """See `Text`."""
        lines = [
            f"{self._name}{_labels({self._label: value})} {float(number)!r}\n"
            for value, number in self._read().items()
        ]
        return self._above + "".join(lines)


class Histograms:
    """One histogram for each value of `label`, or a single one where that is empty."""

    def __init__(
        self,
        name: str,
        text: str,
        edges: Sequence[float],
        label: str,
        read: Callable[[], Mapping[str, Distribution]],
    ) -> None:
        self._name, self._label, self._read = name, label, read
        self._above = _head(name, "histogram", text)
        self._bounds = [*(str(edge) for edge in edges), "+Inf"]
        self._begins: dict[str, list[str]] = {}

    def text(self) -> str:
        """See `Text`; buckets hold all that is below them, as Prometheus has it."""
        lines = [self._above]
        for value, (counts, total) in self._read().items():
            begins = self._begins.get(value)
            if begins is None:
                begins = self._begins[value] = self._laid_out(value)
            up_to = [float(count) for count in accumulate(counts)]
            numbers = [*up_to, up_to[-1], float(total)]
            lines += [f"{one}{n!r}\n" for one, n in zip(begins, numbers, strict=True)]
        return "".join(lines)

    def _laid_out(self, value: str) -> list[str]:
        own = {self._label: value} if self._label else {}
        return [
            *(f"{self._name}_bucket{_labels(own | {'le': bound})} " for bound in self._bounds),
            f"{self._name}_count{_labels(own)} ",
            f"{self._name}_sum{_labels(own)} ",
        ]


class Collected(Protocol):
    """What the library's collectors have."""

    def collect(self) -> Iterable[Metric]: ...


class Wrapped:
    """What a collector of the library says: a few families, written anew each time."""

    def __init__(self, collector: Collected) -> None:
        self._collector = collector

    def text(self) -> str:
        """See `Text`."""
        lines = []
        for family in self._collector.collect():
            name = f"{family.name}_total" if family.type == "counter" else family.name
            lines.append(_head(name, family.type, family.documentation))
            for sample in family.samples:
                lines.append(f"{sample.name}{_labels(sample.labels)} {float(sample.value)!r}\n")
        return "".join(lines)


class Constant:
    """A text that stays as it is."""

    def __init__(self, name: str, text: str, labels: Mapping[str, str]) -> None:
        """The gauge 1 with these labels."""
        self._text = f"{_head(name, 'gauge', text)}{name}{_labels(labels)} 1.0\n"

    def text(self) -> str:
        """See `Text`."""
        return self._text


def _head(name: str, kind: str, text: str) -> str:
    escaped = text.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {escaped}\n# TYPE {name} {kind}\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
