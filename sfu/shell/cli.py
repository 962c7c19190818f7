"""The command line: `sfu serve`, `sfu check-config`, `sfu doctor`, `sfu version`.

Exit status 0 after a clean end, 1 when the doctor found what keeps the daemon from serving, 2 when
something asked for cannot be, 75 when it cannot be now and may be in a moment: an address that no
interface has yet, a port that is taken, a name that does not resolve. One line on standard error
says what. Whatever needs the compiled core or a library of the daemon is imported late, so that a
missing one is such a line, too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sfu.shell.version import version

if TYPE_CHECKING:
    from sfu.shell.loading import Loaded, Source
    from sfu.shell.log import LineWriter

EXIT_FAULTS = 1
EXIT_UNUSABLE = 2
# What starts the daemon is to try again: a machine that boots gets its addresses and names late.
EXIT_NOT_YET = os.EX_TEMPFAIL
# Interrupted before the daemon took over the signals (128 + SIGINT).
EXIT_INTERRUPTED = 130
# How long the last lines may take to be written when nobody reads them.
_LOG_CLOSE_S = 0.2


class _Unusable(Exception):
    """Something asked for cannot be; the text is the one line."""

    def __init__(self, error: Exception, status: int = EXIT_UNUSABLE) -> None:
        super().__init__(str(error))
        self.status = status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except _Unusable as error:
        print(f"sfu: {error}", file=sys.stderr)
        return error.status
    except ImportError as error:
        print(f"sfu: {_what_is_missing(error)}", file=sys.stderr)
        return EXIT_UNUSABLE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sfu", description="An audio-room media server.")
    commands = parser.add_subparsers(required=True, metavar="command")
    config = argparse.ArgumentParser(add_help=False)
    config.add_argument("--config", type=Path, metavar="FILE", help="a TOML file")
    config.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        dest="overrides",
        help="override one key; may be repeated",
    )
    serve = commands.add_parser("serve", parents=[config], help="run the daemon")
    serve.set_defaults(run=_serve)
    check = commands.add_parser(
        "check-config", parents=[config], help="check the configuration and print it in full"
    )
    check.set_defaults(run=_check_config)
    doctor = commands.add_parser(
        "doctor", parents=[config], help="look at this machine and say what to fix"
    )
    doctor.add_argument(
        "--running",
        action="store_true",
        help="a daemon of this configuration runs: ask it instead of trying its ports",
    )
    doctor.set_defaults(run=_doctor)
    commands.add_parser("version", help="print the version").set_defaults(run=_version)
    return parser


def _version(_options: argparse.Namespace) -> int:
    import sfu.fast  # noqa: F401

    print(f"rostrum {version()}, Python {sys.version.split()[0]}")
    return 0


def _check_config(options: argparse.Namespace) -> int:
    from sfu.shell.announce import NotThereYetError, compute_candidates
    from sfu.shell.config import ConfigError, effective_config
    from sfu.shell.loading import Source

    try:
        config = Source(options.config, options.overrides).load().config
        candidates = compute_candidates(config, config.media_endpoints)
    except NotThereYetError as error:
        raise _Unusable(error, EXIT_NOT_YET) from None
    except ConfigError as error:
        raise _Unusable(error) from None
    print(json.dumps(effective_config(config, candidates), indent=2, ensure_ascii=False))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from sfu.shell.config import ConfigError
    from sfu.shell.doctor import examine, is_sound, lines
    from sfu.shell.doctor_machine import Machine
    from sfu.shell.loading import Source

    try:
        config = Source(options.config, options.overrides).load().config
    except ConfigError as error:
        raise _Unusable(error) from None
    folder = options.config.parent if options.config else Path()
    findings = []
    for finding in examine(config, folder, Machine(), is_running=options.running):
        print(lines(finding), flush=True)
        findings.append(finding)
    return 0 if is_sound(findings) else EXIT_FAULTS


def _serve(options: argparse.Namespace) -> int:
    import uvloop

    from sfu.shell import log
    from sfu.shell.config import ConfigError
    from sfu.shell.loading import Source

    source = Source(options.config, options.overrides)
    try:
        loaded = source.load()
    except ConfigError as error:
        raise _Unusable(error) from None
    stdout, lines = sys.stdout.fileno(), loaded.config.log
    writer = log.configure(
        lines.format,
        lines.level,
        stdout,
        colors=sys.stdout.isatty(),
        addresses=lines.addresses,
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run_daemon(source, loaded, writer))
    finally:
        writer.close(_LOG_CLOSE_S)
    return 0


async def _run_daemon(source: Source, loaded: Loaded, writer: LineWriter) -> None:
    from sfu.shell.announce import NotThereYetError
    from sfu.shell.config import ConfigError
    from sfu.shell.daemon import Daemon
    from sfu.shell.udp import ListenError

    try:
        daemon = Daemon(loaded, source.load, version(), writer)
        await daemon.start()
    except (NotThereYetError, ListenError) as error:
        raise _Unusable(error, EXIT_NOT_YET) from None
    except ConfigError as error:
        raise _Unusable(error) from None
    await daemon.run_until_signal()
    await daemon.stop()


def _what_is_missing(error: ImportError) -> str:
    name = error.name or ""
    if name.startswith("sfu.fast"):
        return f"the compiled core cannot be loaded ({error}); build it with `make setup`"
    return f"{error}; install the daemon's libraries: pip install 'rostrum[server]'"


if __name__ == "__main__":
    sys.exit(main())
