"""`sfu-bench check`, or `make bench-check`: has the daemon become slower than it was?

Runs the short reference loads below, about a minute altogether, and compares ratios of them with
`reference.json`. Microseconds do not travel from one machine to another; ratios of costs that were
measured side by side do, so nothing else is stored. A ratio that looks worse is measured once more
before it fails: a disturbed machine is likelier than a slower daemon. `--update` stores what was
measured as the new reference.

Exit status: 0; 1 when a ratio is worse than the reference by more than the tolerance, or could not
be measured any more; 2 when it cannot be run here; 3 when the load tester was the bottleneck.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.text import Text

from bench.report.document import (
    EXIT_FINE,
    EXIT_MISSED,
    EXIT_UNABLE,
    EXIT_UNTRUSTWORTHY,
    ReportError,
    from_json,
)
from bench.report.summary import console_for, table

REFERENCE = Path(__file__).with_name("reference.json")
TOLERANCE = 0.15
FORMAT, VERSION = "sfu-bench-reference", 1
# A load of a few seconds that has not ended after so long never will.
TIMEOUT_S = 120.0

# The reference loads, in the order in which they run: name -> module and its words. Segmentation is
# given, never chosen by the load, so that every run measures the same path.
_ROOM = ("bench.cli", "room", "--speakers", "3", "--join-rate", "300", "--duration", "5")
LOADS: dict[str, tuple[str, ...]] = {
    "floor": ("bench.micro", "--seconds", "2"),
    "room_200": (*_ROOM, "--listeners", "200", "--segmentation", "off"),
    "room_800": (*_ROOM, "--listeners", "800", "--segmentation", "off"),
    "room_800_segmented": (*_ROOM, "--listeners", "800", "--segmentation", "on"),
    "rooms": (
        *("bench.cli", "rooms", "--rooms", "50", "--speakers", "2", "--listeners", "4"),
        *("--join-rate", "300", "--duration", "5", "--segmentation", "off"),
    ),
    "joins": ("bench.cli", "joins", "--joins", "200", "--within", "4", "--listeners", "50"),
}

# A load's name -> its figures; the floor's are the keys of its report.
Measured = Mapping[str, Mapping[str, float]]


class Unable(Exception):
    """A load cannot be run here; the text says why."""


class Untrustworthy(Exception):
    """The load tester was the bottleneck; the text says which part."""


@dataclass(frozen=True)
class Ratio:
    """Two costs measured by one check, one divided by the other."""

    name: str
    label: str
    above: tuple[str, str]  # load, figure
    below: tuple[str, str] | None = None  # None: `above` is a ratio already
    better: Literal["higher", "lower", "even"] = "higher"  # even: the nearer to 1

    @property
    def loads(self) -> set[str]:
        """The loads it needs."""
        return {self.above[0], *(self.below[:1] if self.below else ())}

    def of(self, measured: Measured) -> float | None:
        """Its value; None where a figure is missing."""
        above = measured.get(self.above[0], {}).get(self.above[1])
        if above is None or self.below is None:
            return above
        below = measured.get(self.below[0], {}).get(self.below[1])
        return above / below if below else None

    def is_worse(self, now: float, then: float) -> bool:
        """Whether `now` is beyond the tolerance on the wrong side of `then`."""
        if self.better == "higher":
            return now < then * (1 - TOLERANCE)
        return self._distance(now) > self._distance(then) * (1 + TOLERANCE)

    def best(self, values: Iterable[float]) -> float:
        """The best of several measurements."""
        if self.better == "higher":
            return max(values)
        return min(values, key=self._distance)

    def _distance(self, value: float) -> float:
        """What is the less the better."""
        return max(value, 1 / value) if self.better == "even" and value else value


_CPU = "cpu_us_per_packet"
RATIOS = (
    Ratio("fan_out", "floor / fan-out", ("floor", "ratio")),
    Ratio("fan_out_segmented", "floor / fan-out, segmented", ("floor", "segmented_ratio")),
    Ratio("whole", "floor / whole server", ("floor", "floor_us"), ("room_800", _CPU)),
    Ratio(
        "flat",
        "packet at 200 / at 800 listeners",
        ("room_200", _CPU),
        ("room_800", _CPU),
        better="even",
    ),
    Ratio(
        "segmentation",
        "packet unsegmented / segmented",
        ("room_800", _CPU),
        ("room_800_segmented", _CPU),
    ),
    Ratio("small_rooms", "packet in one / in many rooms", ("room_200", _CPU), ("rooms", _CPU)),
    Ratio(
        "join",
        "join / packet, thousands",
        ("joins", "cpu_ms_per_join"),
        ("room_800", _CPU),
        better="lower",
    ),
)


def run_load(name: str) -> dict[str, float]:
    """Run one reference load and return its figures. Raises `Unable` or `Untrustworthy`."""
    module, *words = LOADS[name]
    with tempfile.TemporaryDirectory(prefix="rostrum-check-") as folder:
        path = Path(folder, "report.json")
        is_floor = module == "bench.micro"
        output = ["--json"] if is_floor else ["--quiet", "--json", str(path)]
        done = _run([sys.executable, "-m", module, *words, *output])
        if done.returncode == EXIT_UNTRUSTWORTHY:
            raise Untrustworthy(f"{name}: {_last_line(done.stderr)}")
        if done.returncode:
            raise Unable(f"{name}: {_last_line(done.stderr)}")
        return _floor(done.stdout) if is_floor else _figures(path)


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unable(f"{' '.join(command[1:])}: no end after {TIMEOUT_S:g} s") from None


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]


def _floor(text: str) -> dict[str, float]:
    raw = json.loads(text)
    return {key: value for key, value in raw.items() if isinstance(value, int | float)}


def _figures(path: Path) -> dict[str, float]:
    try:
        return from_json(path.read_bytes(), path.name).runs[0].figures
    except (OSError, ReportError) as error:
        raise Unable(str(error)) from None


def measure(
    names: Iterable[str], run: Callable[[str], Mapping[str, float]] = run_load
) -> dict[str, Mapping[str, float]]:
    """Run these loads in their order, telling each on standard error; one in which the load tester
    was the bottleneck runs once more. Raises what `run` raises.
    """
    wanted = set(names)
    results: dict[str, Mapping[str, float]] = {}
    for name in LOADS:
        if name in wanted:
            print(f"check: {name}: {' '.join(LOADS[name][1:])}", file=sys.stderr, flush=True)
            try:
                results[name] = run(name)
            except Untrustworthy as error:
                print(f"check: once more: {error}", file=sys.stderr, flush=True)
                results[name] = run(name)
    return results


def ratios(measured: Measured) -> dict[str, float]:
    """The ratios that can be told from what was measured."""
    values = {ratio.name: ratio.of(measured) for ratio in RATIOS}
    return {name: value for name, value in values.items() if value is not None}


def worse(now: Mapping[str, float], then: Mapping[str, float]) -> list[Ratio]:
    """The ratios of the reference that became worse, or are not measured any more."""
    return [
        ratio
        for ratio in RATIOS
        if ratio.name in then
        and (ratio.name not in now or ratio.is_worse(now[ratio.name], then[ratio.name]))
    ]


def check(
    then: Mapping[str, float], run: Callable[[str], Mapping[str, float]] = run_load
) -> dict[str, float]:
    """The ratios now; those that look worse were measured twice, and the better value stands."""
    now = ratios(measure(LOADS, run))
    suspects = worse(now, then)
    if suspects:
        again = ratios(measure(set().union(*(ratio.loads for ratio in suspects)), run))
        for ratio in suspects:
            values = [found[ratio.name] for found in (now, again) if ratio.name in found]
            if values:
                now[ratio.name] = ratio.best(values)
    return now


def read_reference(path: Path) -> dict[str, float]:
    """The stored ratios. Raises `Unable`."""
    try:
        raw: Any = json.loads(path.read_bytes())
        if (raw["format"], raw["version"]) != (FORMAT, VERSION):
            raise Unable(f"{path}: another format than this version writes")
        return {str(name): float(value) for name, value in raw["ratios"].items()}
    except OSError as error:
        raise Unable(f"{path}: {error.strerror}; --update makes one") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unable(f"{path}: no reference: {error}") from None


def write_reference(path: Path, now: Mapping[str, float]) -> None:
    """Store the ratios, three digits each: more would only be noise in every change of it."""
    kept = {name: float(f"{value:.3g}") for name, value in now.items()}
    raw = {"format": FORMAT, "version": VERSION, "ratios": kept}
    path.write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")


def show(now: Mapping[str, float], then: Mapping[str, float]) -> None:
    """The table: every ratio, its reference, and how it came out."""
    failed = {ratio.name for ratio in worse(now, then)}
    rows = table("ratio", "reference", "now", "now / reference", "")
    for ratio in RATIOS:
        before, after = then.get(ratio.name), now.get(ratio.name)
        change = f"{after / before:.3f}" if before and after is not None else ""
        verdict = Text("WORSE", style="bold red") if ratio.name in failed else Text("")
        if before is None and after is not None:
            verdict = Text("new: --update stores it")
        direction = {"higher": "", "lower": " (less is better)", "even": " (1 is best)"}[
            ratio.better
        ]
        rows.add_row(f"{ratio.label}{direction}", _told(before), _told(after), change, verdict)
    console_for(sys.stdout).print(rows)


def _told(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def parse_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="sfu-bench check",
        description="Compare short reference loads with stored ratios; fail beyond "
        f"{TOLERANCE:.0%}.",
    )
    parser.add_argument("--update", action="store_true", help="store what is measured now")
    parser.add_argument("--reference", type=Path, default=REFERENCE, metavar="FILE")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, compare, print; or measure and store."""
    arguments = parse_arguments(words)
    try:
        if arguments.update:
            now = ratios(measure(LOADS, run_load))
            write_reference(arguments.reference, now)
            show(now, now)
            return EXIT_FINE
        then = read_reference(arguments.reference)
        now = check(then, run_load)
    except Unable as error:
        print(f"check: {error}", file=sys.stderr)
        return EXIT_UNABLE
    except Untrustworthy as error:
        print(f"check: the load tester was the bottleneck: {error}", file=sys.stderr)
        return EXIT_UNTRUSTWORTHY
    show(now, then)
    return EXIT_MISSED if worse(now, then) else EXIT_FINE


if __name__ == "__main__":
    sys.exit(main())
