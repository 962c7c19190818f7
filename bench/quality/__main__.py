"""The command: measures, keeps what came of it, and writes QUALITY.md with its plots."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.quality.document import render
from bench.quality.kept import KeptError, Measurement, Origin, from_json, to_json
from bench.quality.measuring import Outcome, calls, measure
from bench.quality.opus import OpusError, version
from bench.quality.plots import plots
from bench.quality.score import ScoreError
from bench.quality.voices import NAMES, VoiceError, voice

FOLDER = Path(__file__).parent.parent
SEEDS = 5
TELL_EVERY_S = 10


def parse_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.quality",
        description="PESQ of what a listener decodes under loss, with each protection; "
        "writes QUALITY.md and quality/*.svg.",
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
        "--redraw", action="store_true", help="only write anew from measurements/quality.json"
    )
    arguments = parser.parse_args(words)
    if arguments.seeds < 1 or arguments.jobs < 1:
        parser.error("--seeds and --jobs are at least 1")
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 when it cannot be measured here."""
    arguments = parse_arguments(words)
    kept: Path = arguments.folder / "measurements" / "quality.json"
    try:
        if not arguments.redraw:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(to_json(_measured(arguments)), encoding="utf-8")
        write(from_json(kept.read_text(encoding="utf-8")), arguments.folder)
    except (KeptError, OSError, OpusError, ScoreError, VoiceError) as error:
        print(f"quality: {error}", file=sys.stderr)
        return 2
    return 0


def write(measurement: Measurement, folder: Path) -> None:
    """QUALITY.md and its plots."""
    by_case = measurement.by_case()
    (folder / "quality").mkdir(parents=True, exist_ok=True)
    for name, content in plots(by_case).items():
        (folder / "quality" / name).write_text(content, encoding="utf-8")
    (folder / "QUALITY.md").write_text(render(by_case, measurement.origin), encoding="utf-8")


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
    outcomes: list[Outcome] = []
    told_at = time.monotonic()
    for outcome in measure(wanted, arguments.jobs):
        outcomes.append(outcome)
        if time.monotonic() - told_at > TELL_EVERY_S or len(outcomes) == len(wanted):
            told_at = time.monotonic()
            print(f"quality: {len(outcomes)} of {len(wanted)}", file=sys.stderr, flush=True)
    return Measurement(origin, tuple(outcomes))


if __name__ == "__main__":
    sys.exit(main())
