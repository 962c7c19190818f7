"""What can be typed after `sfuctl`: one verb for each command of the protocol.

A verb is named as its command is, `room.mute_all` as `room mute-all`; its options are named as the
command's fields are.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from control.commands import (
    AnyCommand,
    HandList,
    HandLower,
    HandRaise,
    ParticipantGet,
    ParticipantJoin,
    ParticipantList,
    ParticipantMove,
    ParticipantRemove,
    ParticipantRestartIce,
    ParticipantSetRole,
    ParticipantUpdate,
    RoomClose,
    RoomCreate,
    RoomGet,
    RoomList,
    RoomLock,
    RoomMuteAll,
    RoomSnapshot,
    RoomSync,
    RoomUnlock,
    RoomUnmuteAll,
    RoomUpdate,
    ServerDrain,
    ServerInfo,
    ServerStats,
    ServerUndrain,
    StageAccept,
    StageDecline,
    StageInvite,
    SubscriptionGet,
    SubscriptionUpdate,
    TrackMute,
    TrackSetPriority,
    TrackUnmute,
)
from control.types import Role

# An option of a verb: its flags and what argparse wants to know.
Option = tuple[tuple[str, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Verb:
    """One command as it is typed."""

    command: type[AnyCommand]
    help: str
    options: tuple[Option, ...] = ()

    @property
    def words(self) -> tuple[str, str]:
        """Group and verb."""
        group, _, name = self.command.method.partition(".")
        return group, name.replace("_", "-")


def _option(*flags: str, **settings: Any) -> Option:
    return flags, settings


def _text_of(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"cannot read {path}: {error}") from error


def _json_map(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise argparse.ArgumentTypeError(f"not a JSON object: {error}") from error


def _json_list(path: str) -> list[dict[str, Any]]:
    try:
        return msgspec.json.decode(_text_of(path), type=list[dict[str, Any]])
    except msgspec.MsgspecError as error:
        raise argparse.ArgumentTypeError(f"{path} is no JSON list: {error}") from error


def _kbps_or_none(text: str) -> object:
    return NULL if text == "none" else int(text)


def _decibels_or_none(text: str) -> object:
    return NULL if text == "none" else float(text)


# What stands for null on the wire; None is what was not given.
NULL: Final = object()

_ROLES: Final = [role.value for role in Role]
_ROOM = _option("room", metavar="ROOM")
_WHO = _option("participant", metavar="PARTICIPANT")
_ROLE = _option("role", choices=_ROLES)
_ANY_ROLE = _option("--role", choices=_ROLES)
_OFFER = _option(
    "offer", metavar="OFFER.sdp", type=_text_of, help="the client's offer: a file; - is stdin"
)
_ACTOR = _option("--actor", metavar="NAME", help="who did it, for the event")
_PAGE = _option("--page", type=int, default=0, metavar="N", help="page number, from 0")
_NAME = _option("--name", metavar="TEXT", help="display name")
_METADATA = _option("--metadata", metavar="JSON", type=_json_map, help="a JSON object of your own")
_GENERATION = _option(
    "--if-generation", type=int, metavar="N", help="only if it has not joined again since"
)
_LOCK = _option("--lock", action="store_true", help="hold until unmuted with --lock")
_UNLOCK = _option("--lock", action="store_true", help="undo locked mutes as well")
_EXCEPT = _option(
    "--except-role",
    dest="except_roles",
    action="append",
    choices=_ROLES,
    help="leave this role alone; may be given again",
)

_SETTINGS = (
    _option("--max-participants", type=int, metavar="N", help="one more is refused"),
    _option("--max-speakers", type=int, metavar="N", help="speakers and moderators together"),
    _option("--slots", type=int, metavar="N", help="how many are heard at once, 1 to 6"),
    _option("--hand-policy", choices=["open", "closed"], help="whether hands may be raised"),
    _option("--empty-timeout-s", type=int, metavar="SECONDS", help="close it when empty so long"),
    _option(
        "--orphan-policy",
        choices=["keep", "close"],
        help="what becomes of it while no backend is connected",
    ),
    _option("--orphan-timeout-s", type=int, metavar="SECONDS", help="close it after so long"),
    _METADATA,
)
_JOIN = (
    _NAME,
    _METADATA,
    _option(
        "--on-duplicate",
        choices=["replace", "reject"],
        default="replace",
        help="when the participant is there already (%(default)s)",
    ),
    _option("--echo-group", metavar="TEXT", help="people in one place, who must not echo"),
    _option("--muted", action="store_true", help="join muted"),
    _option(
        "--profile",
        choices=["voice", "music"],
        default="voice",
        help="what its microphone is for (%(default)s)",
    ),
)
_LIST_HELP = "a JSON list of {participant, role, muted?, locked?}; - is stdin"
_SYNC = _option("participants", metavar="LIST.json", type=_json_list, help=_LIST_HELP)
_SUBSCRIPTION = (
    _option("--slots", type=int, metavar="N", help="hear at most so many at once"),
    _option("--always", nargs="*", metavar="P", help="hear these first; none ends it"),
    _option("--never", nargs="*", metavar="P", help="do not hear these; none ends it"),
    _option(
        "--mode",
        choices=["auto", "forward", "mix"],
        help="what its line allows, each voice as it comes, or the mix",
    ),
    _option("--max-kbps", type=_kbps_or_none, metavar="N", help="at most this; none ends it"),
    _option("--paused", action=argparse.BooleanOptionalAction, help="send it nothing"),
)

GROUPS: Final = {
    "server": "the daemon itself",
    "room": "rooms",
    "participant": "who is in a room",
    "hand": "raised hands",
    "stage": "invitations to speak",
    "track": "who is muted, and who comes first",
    "subscription": "what a participant hears",
}

VERBS: Final = (
    Verb(ServerInfo, "version, load and limits"),
    Verb(ServerStats, "counters since its start"),
    Verb(
        ServerDrain,
        "take nobody new, and end with whoever is left",
        (_option("deadline_s", type=int, metavar="SECONDS", help="until everybody has to leave"),),
    ),
    Verb(ServerUndrain, "take newcomers again"),
    Verb(RoomCreate, "create a room, or change the one that exists", (_ROOM, *_SETTINGS)),
    Verb(RoomGet, "show a room", (_ROOM,)),
    Verb(
        RoomList,
        "list rooms",
        (_option("--prefix", default="", metavar="TEXT", help="only ids that begin so"), _PAGE),
    ),
    Verb(RoomSnapshot, "show a room and everybody in it", (_ROOM,)),
    Verb(
        RoomUpdate,
        "change a room",
        (
            _ROOM,
            *_SETTINGS,
            _option("--if-version", type=int, metavar="N", help="only if it is this version"),
        ),
    ),
    Verb(
        RoomClose,
        "send everybody away",
        (_ROOM, _option("--reason", metavar="TEXT", help="for the event")),
    ),
    Verb(RoomLock, "take nobody new", (_ROOM,)),
    Verb(RoomUnlock, "take newcomers again", (_ROOM,)),
    Verb(RoomMuteAll, "mute everybody on stage", (_ROOM, _EXCEPT, _LOCK, _ACTOR)),
    Verb(RoomUnmuteAll, "unmute everybody on stage", (_ROOM, _EXCEPT, _UNLOCK, _ACTOR)),
    Verb(RoomSync, "make it agree with a list; the others leave", (_ROOM, _SYNC)),
    Verb(
        ParticipantJoin,
        "join with an SDP offer; prints the answer",
        (_ROOM, _WHO, _ROLE, _OFFER, *_JOIN),
    ),
    Verb(ParticipantGet, "show a participant", (_ROOM, _WHO)),
    Verb(ParticipantList, "list participants", (_ROOM, _ANY_ROLE, _PAGE)),
    Verb(
        ParticipantUpdate,
        "change name or metadata",
        (
            _ROOM,
            _WHO,
            _NAME,
            _METADATA,
            _GENERATION,
        ),
    ),
    Verb(ParticipantSetRole, "call up or send back", (_ROOM, _WHO, _ROLE, _ACTOR)),
    Verb(
        ParticipantRemove,
        "send away",
        (
            _ROOM,
            _WHO,
            _option("--reason", metavar="TEXT", help="for the event"),
            _option("--ban-s", type=int, default=0, metavar="SECONDS", help="keep out so long"),
            _GENERATION,
        ),
    ),
    Verb(
        ParticipantMove,
        "bring into another room on the same connection",
        (_ROOM, _WHO, _option("to_room", metavar="TO_ROOM"), _ANY_ROLE),
    ),
    Verb(
        ParticipantRestartIce,
        "answer an offer to restart ICE; prints the answer",
        (_ROOM, _WHO, _OFFER),
    ),
    Verb(HandRaise, "raise a hand", (_ROOM, _WHO)),
    Verb(HandLower, "lower a hand", (_ROOM, _WHO)),
    Verb(HandList, "list raised hands in order", (_ROOM, _PAGE)),
    Verb(
        StageInvite,
        "ask a listener onto the stage",
        (
            _ROOM,
            _WHO,
            _option("--expires-s", type=int, metavar="SECONDS", help="how long it holds (60)"),
            _ACTOR,
        ),
    ),
    Verb(StageAccept, "take an invitation: speaker, muted", (_ROOM, _WHO)),
    Verb(StageDecline, "refuse an invitation, or take it back", (_ROOM, _WHO)),
    Verb(TrackMute, "silence a participant", (_ROOM, _WHO, _LOCK, _ACTOR)),
    Verb(TrackUnmute, "undo a mute", (_ROOM, _WHO, _UNLOCK, _ACTOR)),
    Verb(
        TrackSetPriority,
        "let a voice count as louder or softer than it is",
        (
            _ROOM,
            _WHO,
            _option(
                "priority_db",
                type=_decibels_or_none,
                metavar="DB",
                help="bonus in dB, -60 to 60; none is that of the role",
            ),
        ),
    ),
    Verb(SubscriptionUpdate, "change what a participant hears", (_ROOM, _WHO, *_SUBSCRIPTION)),
    Verb(SubscriptionGet, "show what a participant hears", (_ROOM, _WHO)),
)
