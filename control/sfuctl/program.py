"""The console script.

Exit status: 0 done, 1 the daemon refused (one line on stderr says why), 2 wrong usage or no
connection.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from control.client import Client
from control.commands import Command
from control.errors import ConnectionLost, ControlError, ProtocolError
from control.sfuctl import results
from control.sfuctl.arguments import command_of, parser, since_of
from control.sfuctl.completion import script
from control.sfuctl.connecting import client_of
from control.sfuctl.lines import event_json, event_line
from control.sfuctl.tables import left, printable
from control.sfuctl.terminal import is_terminal
from control.sfuctl.usage import UsageError
from control.sfuctl.watch import now_ms, watch_lines, watch_live

REFUSED: Final = 1
UNUSABLE: Final = 2
# As shells report a death by SIGINT; watching is meant to end that way.
INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit status."""
    top = parser(os.environ)
    arguments = top.parse_args(argv)
    try:
        if arguments.action == "completion":
            _print(script(arguments.shell, top))
        else:
            asyncio.run(_run(arguments, _print))
    except ControlError as error:
        _complain(_one_line(error))
        return REFUSED
    except (ConnectionLost, ProtocolError, UsageError) as error:
        _complain(str(error))
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED if arguments.action == "call" else 0
    except BrokenPipeError:
        # Whoever read the output has enough; the interpreter must not flush it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


async def _run(arguments: argparse.Namespace, write: Callable[[str], None]) -> None:
    if arguments.action == "call":
        await _call(arguments, write)
        return
    async with client_of(arguments) as client:
        if arguments.action == "events":
            await _tail(client, arguments, write)
        elif arguments.json or not is_terminal(sys.stdin, sys.stdout):
            await watch_lines(client, arguments.room, write, as_json=arguments.json)
        else:
            await watch_live(client, arguments.room, sys.stdin, sys.stdout)


async def _call(arguments: argparse.Namespace, write: Callable[[str], None]) -> None:
    command: Command[Any] = command_of(arguments)
    async with client_of(arguments) as client:
        result = await client.call(command)
    if arguments.json:
        write(results.as_json(result))
    else:
        write(results.as_text(command, result, now_ms()))


async def _tail(
    client: Client, arguments: argparse.Namespace, write: Callable[[str], None]
) -> None:
    line = event_json if arguments.json else event_line
    assert client.hello is not None
    stream = client.events(
        rooms=arguments.rooms or None,
        types=arguments.types,
        since=since_of(arguments.since, client.hello.epoch),
    )
    async with stream as events:
        printed = 0
        while arguments.count is None or printed < arguments.count:
            write(line(await anext(events)))
            printed += 1


def _print(text: str) -> None:
    print(text, flush=True)


def _complain(text: str) -> None:
    print(f"sfuctl: {printable(text)}", file=sys.stderr)


def _one_line(error: ControlError) -> str:
    # What was not found is in the message already.
    details = [f"{name}={value}" for name, value in error.detail.items() if name != "what"]
    if error.retry_after_ms is not None:
        details.append(f"try again in {left(error.retry_after_ms)}")
    return f"{error}" + (f" ({', '.join(details)})" if details else "")
