"""`sfuctl`: the daemon's commands from a shell.

Exit status: 0 done, 1 the daemon refused (one line on stderr says why), 2 wrong usage or no
connection.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from control import tables
from control.auth import Key
from control.client import Client
from control.commands import (
    AnyCommand,
    Command,
    HandList,
    HandLower,
    HandRaise,
    HandsResult,
    ParticipantGet,
    ParticipantJoin,
    ParticipantList,
    ParticipantRemove,
    ParticipantResult,
    ParticipantSetRole,
    ParticipantsResult,
    RoomClose,
    RoomCreate,
    RoomGet,
    RoomList,
    RoomResult,
    RoomSnapshot,
    RoomsResult,
    ServerInfo,
    ServerStats,
    ServerStatsResult,
    TrackMute,
    TrackUnmute,
)
from control.errors import ConnectionLost, ControlError, ProtocolError
from control.types import Role

ADDRESS: Final = "127.0.0.1:7700"
REFUSED: Final = 1
UNUSABLE: Final = 2
# As shells report a death by SIGINT; watching events is meant to end that way.
INTERRUPTED: Final = 130

_EPILOG = """environment: SFUCTL_ADDRESS, SFUCTL_KEY_ID and SFUCTL_KEY_FILE set these options.
exit status: 0 done, 1 refused by the daemon, 2 wrong usage or no connection."""


class UsageError(Exception):
    """The command line, a file or the environment is unusable."""


# An option of a sub-command: its flags and what argparse wants to know.
Option = tuple[tuple[str, ...], dict[str, Any]]


def _option(*flags: str, **settings: Any) -> Option:
    return flags, settings


_ROOM = _option("room", metavar="ROOM")
_WHO = _option("participant", metavar="PARTICIPANT")
_ROLE = _option("role", choices=[role.value for role in Role])
_LOCK = _option("--lock", action="store_true", help="hold until unmuted with --lock")
_ACTOR = _option("--actor", metavar="NAME", help="who did it, for the event")
_PAGE = _option("--page", type=int, default=0, help="page number, from 0")
_METADATA = _option("--metadata", metavar="JSON", type=lambda text: _json_map(text))
_REASON = _option("--reason", metavar="TEXT")

_JOIN = (
    _option("--name", metavar="TEXT", help="display name"),
    _option("--on-duplicate", choices=["replace", "reject"], default="replace"),
    _option("--echo-group", metavar="TEXT", help="people in one place, who must not echo"),
    _option("--muted", action="store_true"),
)
_CREATE = (
    _option("--max-participants", type=int, metavar="N"),
    _option("--max-speakers", type=int, metavar="N"),
    _option("--slots", type=int, metavar="N", help="how many are heard at once, 1 to 6"),
    _option("--hand-policy", choices=["open", "closed"]),
    _option("--empty-timeout-s", type=int, metavar="SECONDS"),
    _METADATA,
)

# group, verb ("" for none), command, help, options. The options' names are the command's fields.
_VERBS: Final[tuple[tuple[str, str, type[AnyCommand], str, tuple[Option, ...]], ...]] = (
    ("info", "", ServerInfo, "version, load and limits of the daemon", ()),
    ("stats", "", ServerStats, "counters of the daemon", ()),
    ("room", "create", RoomCreate, "create a room or change one", (_ROOM, *_CREATE)),
    ("room", "list", RoomList, "list rooms", (_option("--prefix", default=""), _PAGE)),
    ("room", "get", RoomGet, "show a room", (_ROOM,)),
    ("room", "close", RoomClose, "send everybody away", (_ROOM, _REASON)),
    ("room", "snapshot", RoomSnapshot, "show a room and everybody in it", (_ROOM,)),
    (
        "participant",
        "join",
        ParticipantJoin,
        "join with an SDP offer; prints the answer",
        (
            _ROOM,
            _WHO,
            _ROLE,
            _option("offer", metavar="OFFER.sdp", help="a file; - is standard input"),
            *_JOIN,
            _METADATA,
        ),
    ),
    (
        "participant",
        "list",
        ParticipantList,
        "list a room's participants",
        (_ROOM, _option("--role", choices=[role.value for role in Role]), _PAGE),
    ),
    ("participant", "get", ParticipantGet, "show a participant", (_ROOM, _WHO)),
    (
        "participant",
        "set-role",
        ParticipantSetRole,
        "call up or send back",
        (_ROOM, _WHO, _ROLE, _ACTOR),
    ),
    (
        "participant",
        "remove",
        ParticipantRemove,
        "send away",
        (_ROOM, _WHO, _REASON, _option("--ban-s", type=int, default=0, metavar="SECONDS")),
    ),
    ("track", "mute", TrackMute, "silence a participant", (_ROOM, _WHO, _LOCK, _ACTOR)),
    ("track", "unmute", TrackUnmute, "undo a mute", (_ROOM, _WHO, _LOCK, _ACTOR)),
    ("hand", "raise", HandRaise, "raise a hand", (_ROOM, _WHO)),
    ("hand", "lower", HandLower, "lower a hand", (_ROOM, _WHO)),
    ("hand", "list", HandList, "list raised hands in order", (_ROOM, _PAGE)),
)


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """The command line, with the environment's defaults."""
    top = argparse.ArgumentParser(
        prog="sfuctl",
        description="Steer a Rostrum media daemon.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    address = environment.get("SFUCTL_ADDRESS", ADDRESS)
    top.add_argument("--address", default=address, help="host:port or unix:/path (%(default)s)")
    top.add_argument("--key-id", default=environment.get("SFUCTL_KEY_ID"))
    top.add_argument(
        "--key-file", default=environment.get("SFUCTL_KEY_FILE"), help="a file with the secret"
    )
    top.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", dest="timeout_s")
    top.add_argument("--json", action="store_true", help="JSON instead of tables")
    groups = top.add_subparsers(required=True, metavar="COMMAND")
    _add_events(groups)
    verbs: dict[str, Any] = {}
    for group, verb, command, help_, options in _VERBS:
        if verb and group not in verbs:
            within = groups.add_parser(group, help=f"commands on a {group}")
            verbs[group] = within.add_subparsers(required=True, metavar="VERB")
        parent = verbs[group] if verb else groups
        leaf = parent.add_parser(verb or group, help=help_, description=help_)
        leaf.set_defaults(command=command)
        for flags, settings in options:
            leaf.add_argument(*flags, **settings)
    return top


def _add_events(groups: Any) -> None:
    leaf = groups.add_parser("events", help="print events as they happen, until interrupted")
    leaf.add_argument("rooms", nargs="*", metavar="ROOM", help="only of these rooms")
    leaf.add_argument("--count", type=int, metavar="N", help="stop after so many")
    leaf.set_defaults(command=None)


def command_of(arguments: argparse.Namespace) -> AnyCommand:
    """The command that the arguments describe. Raises UsageError when a value cannot be."""
    kind: type[AnyCommand] = arguments.command
    given = {name: getattr(arguments, name, None) for name in kind.__struct_fields__}
    fields = {name: value for name, value in given.items() if value is not None}
    if kind is ParticipantJoin:
        fields["offer"] = _read_offer(arguments.offer)
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise UsageError(str(error)) from error


def show(result: Any, *, as_json: bool) -> str:
    """A result as the user wants it."""
    if as_json:
        return tables.as_json(result)
    match result:
        case RoomsResult():
            return _with_more(tables.rooms(result.rooms), result.next_page)
        case ParticipantsResult():
            return _with_more(tables.participants(result.participants), result.next_page)
        case HandsResult():
            return tables.hands(result.hands)
        case RoomResult():
            return tables.text(result.room)
        case ParticipantResult():
            return tables.text(result.participant)
        case ServerStatsResult():
            return tables.pairs(result.counters)
        case _:
            return tables.text(result) if result.__struct_fields__ else "done"


def _with_more(text: str, next_page: int | None) -> str:
    return text if next_page is None else f"{text}\n(more: --page {next_page})"


def _json_map(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise argparse.ArgumentTypeError(f"not a JSON object: {error}") from error


def _read_offer(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the offer: {error}") from error


def _key(key_id: str | None, key_file: str | None) -> Key | None:
    """The key that was named, if one was. The file's surrounding white space is no part of it."""
    if key_id is None and key_file is None:
        return None
    if key_id is None or key_file is None:
        raise UsageError("--key-id and --key-file go together")
    try:
        return Key(key_id, Path(key_file).read_bytes().strip())
    except (OSError, ValueError) as error:
        raise UsageError(f"unusable key: {error}") from error


def _client(arguments: argparse.Namespace) -> Client:
    key = _key(arguments.key_id, arguments.key_file)
    try:
        return Client(arguments.address, key=key, name="sfuctl", deadline_s=arguments.timeout_s)
    except ValueError as error:
        raise UsageError(str(error)) from error


async def _run(arguments: argparse.Namespace, write: Callable[[str], None]) -> None:
    if arguments.command is None:
        await _tail(arguments, write)
        return
    command: Command[Any] = command_of(arguments)
    async with _client(arguments) as client:
        write(show(await client.call(command), as_json=arguments.json))


async def _tail(arguments: argparse.Namespace, write: Callable[[str], None]) -> None:
    line = tables.event_json if arguments.json else tables.event
    async with _client(arguments) as client, client.events(rooms=arguments.rooms or None) as events:
        printed = 0
        while arguments.count is None or printed < arguments.count:
            write(line(await anext(events)))
            printed += 1


def _print(text: str) -> None:
    print(text, flush=True)


def _complain(text: str) -> None:
    print(f"sfuctl: {tables.printable(text)}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit status."""
    arguments = parser(os.environ).parse_args(argv)
    try:
        asyncio.run(_run(arguments, _print))
    except ControlError as error:
        _complain(_one_line(error))
        return REFUSED
    except (ConnectionLost, ProtocolError, UsageError) as error:
        _complain(str(error))
        return UNUSABLE
    except KeyboardInterrupt:
        return 0 if arguments.command is None else INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough; the interpreter must not flush it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _one_line(error: ControlError) -> str:
    details = [f"{name}={value}" for name, value in error.detail.items()]
    if error.retry_after_ms is not None:
        details.append(f"retry_after_ms={error.retry_after_ms}")
    return f"{error}" + (f" ({', '.join(details)})" if details else "")


if __name__ == "__main__":
    sys.exit(main())
