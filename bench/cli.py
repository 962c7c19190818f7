"""The command line: `sfu-bench room|rooms|joins|churn|control|soak|ladder|micro|mixing|
compare|check`.

Exit status: 0 fine; 1 a threshold was missed; 2 usage, or it cannot be run here; 3 the load tester
itself was the bottleneck: then no figures are told, only which part it was.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING

from bench.command_line import OTHERS, build_parser
from bench.options import LoadOptions

if TYPE_CHECKING:
    from bench.results import Run
    from bench.running import Cores
    from bench.targets import Place, Target
    from control import Key

EXIT_UNABLE = 2
# 128 + SIGINT.
EXIT_INTERRUPTED = 130

# Above this a load's own sockets or the swarm's tables end first.
_CLIENTS_MAX = 60_000


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words = list(sys.argv[1:] if words is None else words)
    try:
        if words and words[0] in OTHERS:
            return int(importlib.import_module(OTHERS[words[0]][0]).main(words[1:]))
        return _main(words)
    except ImportError as error:
        print(f"sfu-bench: {error}; pip install 'rostrum[bench]'", file=sys.stderr)
        return EXIT_UNABLE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _main(words: Sequence[str]) -> int:
    from bench import report
    from bench.targets import TargetError

    parser = build_parser(report.add_arguments)
    arguments = parser.parse_args(words)
    try:
        options = _options(arguments)
        thresholds = report.thresholds_of(arguments, arguments.target or ["rostrum"])
        runs = _run_all(options, arguments)
        return report.publish(runs, thresholds, arguments)
    except ValueError as error:  # usage, thresholds among it
        parser.error(str(error))
    except (TargetError, OSError) as error:
        print(f"sfu-bench: {error}", file=sys.stderr)
        return EXIT_UNABLE


def _run_all(options: LoadOptions, arguments: argparse.Namespace) -> list[Run]:
    """The load against each target, one after the other."""
    import uvloop

    from bench import report
    from bench.loads.scene import phrasebook
    from bench.running import choose_cores, run_load

    cores = choose_cores()
    book = phrasebook(options)
    runs = []
    with _targets(arguments, options, cores) as targets:
        for target in targets:
            with (
                report.live_for(target.name, quiet=arguments.quiet) as live,
                asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
            ):
                runs.append(runner.run(run_load(options, target, live, cores, book)))
    return runs


@contextmanager
def _targets(
    arguments: argparse.Namespace, options: LoadOptions, cores: Cores
) -> Iterator[list[Target]]:
    """The targets asked for. Where one of them refuses loopback, all are put into namespaces."""
    from bench.namespaces import inside, joined_namespaces
    from bench.targets import Place

    names = arguments.target or ["rostrum"]
    cpu = cores.server[0] if cores.server else None
    if not any(name.startswith("janus") for name in names):
        yield [_target(name, Place(cpu=cpu), arguments, options) for name in names]
        return
    with joined_namespaces() as pair, inside(pair.load):
        place = Place(address=pair.server_ipv4, cpu=cpu, namespace=pair.server)
        yield [_target(name, place, arguments, options) for name in names]


def _target(name: str, place: Place, arguments: argparse.Namespace, options: LoadOptions) -> Target:
    from bench.targets.janus import Janus
    from bench.targets.janus_mixes import AudioBridge, StreamedMix
    from bench.targets.rostrum import AttachedRostrum, Hearing, Rostrum

    hearing = Hearing(options.mode, options.listener_lines, options.limits_kbps)
    for kind in (Janus, AudioBridge, StreamedMix):
        if name == kind.name:
            return kind(place)
    if name == "rostrum":
        settings = [f"media.segmentation={options.segmentation}"]
        return Rostrum(place, settings=settings, hearing=hearing)
    return AttachedRostrum(
        name,
        key=_key(arguments),
        media_address=arguments.media_address,
        pids=arguments.pid,
        metrics_url=arguments.metrics_url,
        hearing=hearing,
    )


def _key(arguments: argparse.Namespace) -> Key | None:
    """What an attached daemon is to be shown; the secret never stands on the command line."""
    from control import Key

    if arguments.key_id is None:
        return None
    if arguments.key_file is None:
        raise ValueError("--key-id needs --key-file")
    return Key(arguments.key_id, arguments.key_file.read_bytes().strip())


def _options(arguments: argparse.Namespace) -> LoadOptions:
    """ValueError for what cannot be loaded."""
    names = {one.name for one in fields(LoadOptions)}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    options = LoadOptions(**given)
    narrow = len(options.line_rates_kbps) if options.load == "ladder" else 0
    clients = options.rooms * (options.speakers + options.listeners) + narrow
    if not 1 <= clients <= _CLIENTS_MAX:
        raise ValueError(f"{clients} clients: this takes 1 to {_CLIENTS_MAX}")
    return options


if __name__ == "__main__":
    sys.exit(main())
