"""The command: measures, keeps what came of it, and writes QUALITY.md with its plots."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from bench.quality.document import render
from bench.quality.kept import KeptError, Measurement, Origin, from_json, to_json
from bench.quality.measuring import calls, measure
from bench.quality.opus import OpusError, version
from bench.quality.plots import plots
from bench.quality.score import ScoreError
from bench.quality.tiers import Tiers, measure_tiers, tiers_from_json, tiers_of, tiers_to_json
from bench.quality.tiers_document import PLOT, tier_plot
from bench.quality.voices import NAMES, VoiceError, voice

T = TypeVar("T")

FOLDER = Path(__file__).parent.parent
SEEDS = 5
TELL_EVERY_S = 10


def parse_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.quality",
        description="PESQ of what a listener decodes on each tier, and under loss with each "
        "protection; writes QUALITY.md and quality/*.svg.",
    )
    parser.add_argument(
        "--voices",
        nargs="+",
        default=list(NAMES),
        metavar="VOICE",
        help=f"of {', '.join(NAMES)}, or files of at least 24 s of speech; default: all of these",
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"default: {SEEDS}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="default: bench")
    parser.add_argument(
        "--only", choices=("tiers", "loss"), help="measure this part, take the other as it was"
    )
    parser.add_argument(
        "--redraw", action="store_true", help="only write anew from measurements/quality*.json"
    )
    arguments = parser.parse_args(words)
    if arguments.seeds < 1 or arguments.jobs < 1:
        parser.error("--seeds and --jobs are at least 1")
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 when it cannot be measured here."""
    arguments = parse_arguments(words)
    folder: Path = arguments.folder / "measurements"
    loss, tiers = folder / "quality.json", folder / "quality-tiers.json"
    try:
        if not arguments.redraw:
            folder.mkdir(parents=True, exist_ok=True)
            if arguments.only != "loss":
                tiers.write_text(tiers_to_json(_measured_tiers(arguments)), encoding="utf-8")
            if arguments.only != "tiers":
                loss.write_text(to_json(_measured(arguments)), encoding="utf-8")
        write(
            from_json(loss.read_text(encoding="utf-8")),
            tiers_from_json(tiers.read_text(encoding="utf-8")),
            arguments.folder,
        )
    except (KeptError, OSError, OpusError, ScoreError, VoiceError) as error:
        print(f"quality: {error}", file=sys.stderr)
        return 2
    return 0


def write(measurement: Measurement, tiers: Tiers, folder: Path) -> None:
    """QUALITY.md and its plots."""
    by_case = measurement.by_case()
    (folder / "quality").mkdir(parents=True, exist_ok=True)
    for name, content in (plots(by_case) | {PLOT: tier_plot(tiers)}).items():
        (folder / "quality" / name).write_text(content, encoding="utf-8")
    page = render(by_case, measurement.origin, tiers)
    (folder / "QUALITY.md").write_text(page, encoding="utf-8")


def _origin(arguments: argparse.Namespace) -> Origin:
    words = ["python -m bench.quality"]
    if arguments.voices != list(NAMES):
        words += ["--voices", *(Path(name).name for name in arguments.voices)]
    if arguments.seeds != SEEDS:
        words += ["--seeds", str(arguments.seeds)]
    try:
        scorer = importlib.metadata.version("pesq")
    except importlib.metadata.PackageNotFoundError:
        raise ScoreError("pesq is not installed (pip install 'rostrum[quality]')") from None
    return Origin(
        command=" ".join(words),
        # Says early what is missing.
        voices=tuple(voice(name).name for name in arguments.voices),
        seeds=arguments.seeds,
        versions=f"{version()}, pesq {scorer}",
    )


def _measured(arguments: argparse.Namespace) -> Measurement:
    origin = _origin(arguments)
    wanted = list(calls(arguments.voices, arguments.seeds))
    outcomes = _told(measure(wanted, arguments.jobs), f"of {len(wanted)} under loss")
    return Measurement(origin, tuple(outcomes))


def _measured_tiers(arguments: argparse.Namespace) -> Tiers:
    origin = _origin(arguments)
    outcomes = _told(measure_tiers(arguments.voices, arguments.jobs), "of the tiers")
    return tiers_of(origin, outcomes)


def _told(outcomes: Iterable[T], of_what: str) -> list[T]:
    """All of them; the progress goes to standard error."""
    found: list[T] = []
    told_at = time.monotonic()
    for outcome in outcomes:
        found.append(outcome)
        if time.monotonic() - told_at > TELL_EVERY_S:
            told_at = time.monotonic()
            print(f"quality: {len(found)} {of_what}", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
