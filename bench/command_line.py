"""The words of `sfu-bench`: its loads, their options, and what they are when not given."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.options import LoadOptions

OTHERS = {
    "mixing": ("bench.mixing", "what mixing a room costs, whatever its audience"),
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
    "ladder": _Load(
        "listeners behind lines of given speeds, which then open",
        LoadOptions("ladder", listeners=3),
        ("queue", "flap", "open"),
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
    "settle": _Option(
        "settle_s", float, 0, 600, "then it waits so many seconds before it measures"
    ),
    "seed": _Option("seed", int, 0, 2**31, "the same seed says the same"),
    "decrypt_every": _Option(
        "decrypt_every", int, 1, 1_000, "of each track's packets, decrypt one in so many"
    ),
    "joins": _Option("joins", int, 1, 20_000, "how many newcomers"),
    "within": _Option("within_s", float, 0.1, 3_600, "they come in so many seconds"),
    "churn_rate": _Option("churn_rate", float, 0.1, 1_000, "joins a second, and as many leaves"),
    "stay": _Option("stay_s", float, 0.5, 3_600, "how long a visitor stays, in seconds"),
    "pipeline": _Option("pipeline", int, 1, 256, "commands under way at once, without --rate"),
    "m_lines": _Option(
        "m_lines", int, 0, 8, "that a listener offers; 0: one for each slot, one more for a mix"
    ),
    "queue": _Option("queue_ms", float, 10, 10_000, "what a line's queue holds, in ms"),
    "flap": _Option(
        "flap_s",
        float,
        0,
        3_600,
        "lines are narrow, then open, for so many s each; 0: narrow",
    ),
    "open": _Option("open_s", float, 0, 3_600, "then the lines open, for so many seconds at most"),
    "rate": _Option("rate", float, 0, 100_000, "commands a second; 0: by --pipeline"),
}
_COMMON = (
    *("rooms", "speakers", "listeners", "slots", "duration", "join_rate", "settle", "seed"),
    *("decrypt_every", "m_lines"),
)
# Other words for the same.
_ALSO = {"duration": ("seconds",)}


def build_parser(add_report: Callable[[argparse.ArgumentParser], None]) -> argparse.ArgumentParser:
    """A command for each load, with its options; `add_report` adds those of every report."""
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
    for name, (_, summary) in OTHERS.items():
        commands.add_parser(name, help=summary, add_help=False)
    return parser


def _add_load(command: argparse.ArgumentParser, load: _Load) -> None:
    group = command.add_argument_group("load")
    for name in (*_COMMON, *load.own):
        option = _NUMBERS[name]
        group.add_argument(
            *(f"--{one.replace('_', '-')}" for one in (name, *_ALSO.get(name, ()))),
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
    group.add_argument(
        "--mode",
        choices=("auto", "forward", "mix"),
        default=load.defaults.mode,
        help="what listeners ask for: what their line takes, the slots alone, the mix alone",
    )
    group.add_argument(
        "--max-kbps",
        default=load.defaults.max_kbps,
        metavar="KBPS,...",
        help="the most that listeners want, of one after the other in turn; 0: no limit",
    )
    if load.defaults.load == "ladder":
        group.add_argument(
            "--lines",
            default=load.defaults.lines,
            metavar="KBPS,...",
            help="a listener behind a line of each of these speeds",
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
