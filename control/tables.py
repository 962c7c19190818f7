"""(sfuctl) What people see: results and events as aligned text. No IO."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from control.commands import JoinResult, SnapshotResult
from control.events import Event, UnknownEvent
from control.types import Hand, ParticipantState, RoomState

ROOM_COLUMNS = ("ROOM", "PEOPLE", "ON STAGE", "SLOTS", "HANDS", "SPEAKING", "CREATED")
PARTICIPANT_COLUMNS = ("PARTICIPANT", "NO", "ROLE", "STATE", "MUTED", "HAND", "TIER", "JOINED")
HAND_COLUMNS = ("PARTICIPANT", "RAISED")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Left-aligned columns, two spaces apart, with a heading."""
    lines = [[printable(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(_padded, line, widths)).rstrip() for line in lines)


def rooms(states: Iterable[RoomState]) -> str:
    """One line for each room."""
    return table(ROOM_COLUMNS, [_room_row(state) for state in states])


def participants(states: Iterable[ParticipantState]) -> str:
    """One line for each participant."""
    return table(PARTICIPANT_COLUMNS, [_participant_row(state) for state in states])


def hands(raised: Iterable[Hand]) -> str:
    """One line for each raised hand, in order."""
    return table(HAND_COLUMNS, [(hand.participant, clock(hand.raised_at)) for hand in raised])


def snapshot(result: SnapshotResult) -> str:
    """A room, everybody in it, and the event position."""
    parts = [rooms([result.room]), participants(result.participants)]
    if result.hands:
        parts.append(hands(result.hands))
    return "\n\n".join([*parts, f"at event {result.seq} of epoch {result.epoch}"])


def pairs(fields: Mapping[str, object]) -> str:
    """Names and values, one pair a line; maps are spelled out as `outer.inner`."""
    flat = list(_flat(fields))
    return table(("NAME", "VALUE"), flat)


def event(one: Event) -> str:
    """One line: time, number, name, room and the fields that are no state."""
    name = one.body.name if isinstance(one.body, UnknownEvent) else one.body.method
    room = "-" if one.room is None else one.room
    fields = event_fields(one)
    words = [f"{key}={_word(value)}" for key, value in fields.items() if key != "state"]
    return printable(" ".join([clock(one.at), f"#{one.seq}", name, room, *words]))


def event_fields(one: Event) -> dict[str, Any]:
    """The body as it was on the wire."""
    if isinstance(one.body, UnknownEvent):
        return one.body.fields
    fields: dict[str, Any] = msgspec.to_builtins(one.body)
    return fields


def event_json(one: Event) -> str:
    """One line of JSON, in the shape of the wire."""
    name = one.body.name if isinstance(one.body, UnknownEvent) else one.body.method
    envelope = {"epoch": one.epoch, "seq": one.seq, "at": one.at, "m": name, "room": one.room}
    return msgspec.json.encode({**envelope, "p": event_fields(one)}).decode()


def as_json(result: object) -> str:
    """A result as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2).decode()


def text(result: object) -> str:
    """A result as people read it."""
    match result:
        case RoomState():
            return rooms([result])
        case ParticipantState():
            return participants([result])
        case JoinResult():
            return result.answer
        case SnapshotResult():
            return snapshot(result)
        case _:
            return pairs(msgspec.to_builtins(result))


def printable(cell: object) -> str:
    """Names come from anybody: nothing in them may move a terminal's cursor."""
    return "".join(
        char if unicodedata.category(char)[0] != "C" else "\N{REPLACEMENT CHARACTER}"
        for char in str(cell)
    )


def clock(at_ms: int) -> str:
    """Unix milliseconds as UTC."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _room_row(state: RoomState) -> tuple[object, ...]:
    people = f"{state.counts.total}/{state.max_participants}"
    on_stage = f"{state.counts.moderator + state.counts.speaker}/{state.max_speakers}"
    speaking = ",".join(speaker.participant for speaker in state.speakers) or "-"
    created = clock(state.created_at)
    return (state.room, people, on_stage, state.slots, state.hand_policy, speaking, created)


def _participant_row(state: ParticipantState) -> tuple[object, ...]:
    muted = "locked" if state.mute_locked else "yes" if state.muted else "no"
    hand = "-" if state.hand is None else clock(state.hand)
    joined = clock(state.joined_at)
    who, number, role, status = state.participant, state.number, state.role.value, state.state.value
    return (who, number, role, status, muted, hand, state.tier, joined)


def _flat(fields: Mapping[str, object], before: str = "") -> Iterable[tuple[str, object]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _width(cell: str) -> int:
    """Columns on a terminal."""
    return sum(_columns(char) for char in cell)


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
