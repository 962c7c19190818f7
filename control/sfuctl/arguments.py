"""The command line: parsers made from the verbs, and commands made from what was typed."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping
from typing import Any, Final

from control.commands import AnyCommand, Position
from control.envelope import parse_command
from control.errors import ControlError
from control.events import EVENTS
from control.sfuctl.connecting import add_options
from control.sfuctl.usage import UsageError
from control.sfuctl.verbs import GROUPS, NULL, VERBS

SHELLS: Final = ("bash", "zsh", "fish")

_EPILOG = """`sfuctl COMMAND --help` tells more about each.

examples:
  sfuctl room create lobby --slots 3
  sfuctl room list
  sfuctl watch lobby
  sfuctl events lobby --type 'hand.*'

environment: SFUCTL_ADDRESS, SFUCTL_KEY_ID, SFUCTL_KEY_FILE, SFUCTL_TLS_CA, SFUCTL_TLS_CERTIFICATE
  and SFUCTL_TLS_KEY set these options.
exit status: 0 done, 1 refused by the daemon, 2 wrong usage or no connection.
completion:  source <(sfuctl completion bash)"""


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """The command line, with the environment's defaults.

    `action` in its result says what to do: "call" (then `command` is the type), "events", "watch"
    or "completion".
    """
    top = argparse.ArgumentParser(
        prog="sfuctl",
        description="Steer a Rostrum media daemon.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(top, environment)
    top.add_argument("--json", action="store_true", help="JSON instead of text")
    groups = top.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_watch(groups)
    _add_events(groups)
    _add_verbs(groups)
    _add_completion(groups)
    return top


def command_of(arguments: argparse.Namespace) -> AnyCommand:
    """The command that the arguments describe. Raises UsageError when a value cannot be."""
    kind: type[AnyCommand] = arguments.command
    given = {name: getattr(arguments, name, None) for name in kind.__struct_fields__}
    fields = {
        name: None if value is NULL else value for name, value in given.items() if value is not None
    }
    try:
        return parse_command(kind, fields)
    except ControlError as error:
        message = error.message[:1].lower() + error.message[1:].replace("`", "")
        raise UsageError(f"{error.detail['field']}: {message}") from error


def since_of(text: str | None, epoch: str) -> Position | None:
    """The position that `--since` names; without an epoch of its own it is of `epoch`."""
    if text is None:
        return None
    named, _, seq = text.rpartition(":")
    return Position(epoch=named or epoch, seq=int(seq))


def _leaf(within: Any, name: str, help_: str, **defaults: Any) -> argparse.ArgumentParser:
    """A parser that does something; `--json` may stand behind the verb as well as before it."""
    description = help_[0].upper() + help_[1:] + "."
    leaf: argparse.ArgumentParser = within.add_parser(name, help=help_, description=description)
    leaf.set_defaults(**defaults)
    leaf.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="JSON instead of text"
    )
    return leaf


def _add_verbs(groups: Any) -> None:
    within: dict[str, Any] = {}
    for group, about in GROUPS.items():
        parent = groups.add_parser(group, help=about)
        within[group] = parent.add_subparsers(required=True, metavar="VERB", title="verbs")
    for verb in VERBS:
        group, name = verb.words
        leaf = _leaf(within[group], name, verb.help, action="call", command=verb.command)
        for flags, settings in verb.options:
            leaf.add_argument(*flags, **settings)


def _add_watch(groups: Any) -> None:
    leaf = _leaf(groups, "watch", "watch a room live, until q or Ctrl-C", action="watch")
    leaf.add_argument("room", metavar="ROOM")


def _add_events(groups: Any) -> None:
    leaf = _leaf(groups, "events", "print events as they happen, until Ctrl-C", action="events")
    leaf.add_argument("rooms", nargs="*", metavar="ROOM", help="only of these rooms")
    leaf.add_argument(
        "--type",
        dest="types",
        action="append",
        type=_event_type,
        metavar="TYPE",
        help="only these, such as hand.raised or 'hand.*'; may be given again",
    )
    leaf.add_argument(
        "--since",
        type=_since,
        metavar="[EPOCH:]SEQ",
        help="begin behind this event; 0 is the oldest that is still held",
    )
    leaf.add_argument("--count", type=int, metavar="N", help="stop after so many")


def _add_completion(groups: Any) -> None:
    leaf = groups.add_parser("completion", help="print what makes a shell complete sfuctl")
    leaf.add_argument("shell", choices=SHELLS)
    leaf.set_defaults(action="completion")


def _event_type(text: str) -> str:
    known = [*EVENTS, *sorted({f"{name.partition('.')[0]}.*" for name in EVENTS})]
    if text in known:
        return text
    near = difflib.get_close_matches(text, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
    raise argparse.ArgumentTypeError(f"no event is called {text}{hint}")


def _since(text: str) -> str:
    if not text.rpartition(":")[2].isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not [EPOCH:]SEQ")
    return text
