"""The command line: `sfu-bench room|rooms|joins|churn|control|soak|micro|compare|check`.

Exit status: 0 fine; 1 a threshold was missed; 2 usage, or it cannot be run here; 3 the load tester
itself was the bottleneck: then no figures are told, only which part it was.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from bench.options import LoadOptions

if TYPE_CHECKING:
    from bench.results import Run
    from bench.running import Cores
    from bench.targets import Place, Target
    from control import Key

EXIT_UNABLE = 2
# 128 + SIGINT.
EXIT_INTERRUPTED = 130

_OTHERS = {
    "micro": ("bench.micro", "what a forwarded packet costs beside the floor of kernel and cipher"),
    "compare": ("bench.compare", "what became better or worse between two reports"),
    "check": ("bench.check", "compare short reference loads with stored ratios"),
}


@dataclass(frozen=True)
class _Load:
    """A load's line in the help, its options and what they are when not given."""

    summary: str
    defaults: LoadOptions
    own: tuple[str, ...] = ()  # beside those that all loads have


_LOADS = {
    "room": _Load("one room: talkers and listeners", LoadOptions("room")),
    "rooms": _Load(
        "many small rooms",
        LoadOptions("rooms", rooms=100, speakers=2, listeners=4),
    ),
    "joins": _Load("a storm of joins onto a live room", LoadOptions("joins"), ("joins", "within")),
    "churn": _Load("steady coming and going", LoadOptions("churn"), ("churn_rate", "stay")),
    "control": _Load(
        "commands per second",
        LoadOptions("control", speakers=0, duration_s=10.0),
        ("pipeline", "rate"),
    ),
    "soak": _Load(
        "a long run: memory, files and threads",
        LoadOptions("soak", talk="speech", duration_s=3_600.0),
        ("churn_rate", "stay"),
    ),
}


@dataclass(frozen=True)
class _Option:
    """A number on the command line, within bounds."""

    field: str
    kind: Callable[[str], float]
    least: float
    most: float
    text: str


_NUMBERS = {
    "rooms": _Option("rooms", int, 1, 10_000, "how many rooms"),
    "speakers": _Option("speakers", int, 0, 200, "of each room"),
    "listeners": _Option("listeners", int, 0, 20_000, "of each room"),
    "slots": _Option("slots", int, 1, 6, "how many speakers a listener hears at once"),
    "duration": _Option("duration_s", float, 1, 604_800, "measured for so many seconds"),
    "join_rate": _Option("join_rate", float, 1, 10_000, "joins a second while rooms fill"),
    "seed": _Option("seed", int, 0, 2**31, "the same seed says the same"),
    "decrypt_every": _Option(
        "decrypt_every", int, 1, 1_000, "of each track's packets, decrypt one in so many"
    ),
    "joins": _Option("joins", int, 1, 20_000, "how many newcomers"),
    "within": _Option("within_s", float, 0.1, 3_600, "they come in so many seconds"),
    "churn_rate": _Option("churn_rate", float, 0.1, 1_000, "joins a second, and as many leaves"),
    "stay": _Option("stay_s", float, 0.5, 3_600, "how long a visitor stays, in seconds"),
    "pipeline": _Option("pipeline", int, 1, 256, "commands under way at once, without --rate"),
    "rate": _Option("rate", float, 0, 100_000, "commands a second; 0: by --pipeline"),
}
_COMMON = (
    *("rooms", "speakers", "listeners", "slots", "duration", "join_rate", "seed"),
    "decrypt_every",
)
# Above this a load's own sockets or the swarm's tables end first.
_CLIENTS_MAX = 60_000


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words = list(sys.argv[1:] if words is None else words)
    try:
        if words and words[0] in _OTHERS:
            return int(importlib.import_module(_OTHERS[words[0]][0]).main(words[1:]))
        return _main(words)
    except ImportError as error:
        print(f"sfu-bench: {error}; pip install 'rostrum[bench]'", file=sys.stderr)
        return EXIT_UNABLE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _main(words: Sequence[str]) -> int:
    from bench import report
    from bench.targets import TargetError

    parser = _parser(report.add_arguments)
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
    from bench.targets.rostrum import AttachedRostrum, Rostrum

    for kind in (Janus, AudioBridge, StreamedMix):
        if name == kind.name:
            return kind(place)
    if name == "rostrum":
        return Rostrum(place, settings=[f"media.segmentation={options.segmentation}"])
    return AttachedRostrum(
        name,
        key=_key(arguments),
        media_address=arguments.media_address,
        pids=arguments.pid,
        metrics_url=arguments.metrics_url,
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
    clients = options.rooms * (options.speakers + options.listeners)
    if not 1 <= clients <= _CLIENTS_MAX:
        raise ValueError(f"{clients} clients: this takes 1 to {_CLIENTS_MAX}")
    return options


def _parser(add_report: Callable[[argparse.ArgumentParser], None]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sfu-bench", description="A load tester for media servers of audio rooms."
    )
    commands = parser.add_subparsers(required=True, metavar="command", dest="load")
    for name, load in _LOADS.items():
        command = commands.add_parser(
            name,
            help=load.summary,
            description=load.summary,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        _add_load(command, load)
        _add_target(command)
        add_report(command)
    for name, (_, summary) in _OTHERS.items():
        commands.add_parser(name, help=summary, add_help=False)
    return parser


def _add_load(command: argparse.ArgumentParser, load: _Load) -> None:
    group = command.add_argument_group("load")
    for name in (*_COMMON, *load.own):
        option = _NUMBERS[name]
        group.add_argument(
            f"--{name.replace('_', '-')}",
            dest=option.field,
            type=_within(option),
            default=getattr(load.defaults, option.field),
            metavar="N" if option.kind is int else "X",
            help=option.text,
        )
    group.add_argument(
        "--talk",
        choices=("always", "speech", "turns"),
        default=load.defaults.talk,
        help="all speakers all the time; with pauses; or one after the other",
    )


def _within(option: _Option) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = option.kind(text)
        if not option.least <= value <= option.most:
            raise argparse.ArgumentTypeError(f"{option.least:g} to {option.most:g}")
        return value

    parse.__name__ = "whole number" if option.kind is int else "number"  # for argparse's message
    return parse


def _add_target(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("target")
    group.add_argument(
        "--target",
        action="append",
        metavar="NAME",
        help="rostrum (a daemon of its own, the default), janus, janus-audiobridge, "
        "janus-streaming, or the control address of a running rostrum (HOST:PORT or unix:/PATH); "
        "given several times they are measured one after the other",
    )
    group.add_argument(
        "--attach",
        action="append",
        dest="target",
        metavar="HOST:PORT",
        help="the same as --target HOST:PORT",
    )
    group.add_argument(
        "--segmentation",
        choices=("on", "off", "auto"),
        default="auto",
        help="whether rostrum sends a listener's packets of a tick together",
    )
    group.add_argument(
        "--pid",
        type=int,
        action="append",
        default=[],
        help="a process of the attached daemon, for its CPU and memory; repeatable",
    )
    group.add_argument("--metrics-url", metavar="URL", help="of the attached daemon")
    group.add_argument(
        "--media-address", default="127.0.0.1", metavar="IP", help="of the attached daemon"
    )
    group.add_argument("--key-id", metavar="ID", help="of the attached daemon")
    group.add_argument("--key-file", type=Path, metavar="FILE", help="the key's secret")


if __name__ == "__main__":
    sys.exit(main())
