"""What commands answer, as people read it: tables for many, a list of fields for one, a sentence
for what was done. No IO, no clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from control.commands import (
    AnyCommand,
    HandList,
    HandLower,
    HandRaise,
    HandsResult,
    JoinResult,
    MutedResult,
    ParticipantGet,
    ParticipantJoin,
    ParticipantList,
    ParticipantMove,
    ParticipantRemove,
    ParticipantRestartIce,
    ParticipantResult,
    ParticipantSetRole,
    ParticipantsResult,
    ParticipantUpdate,
    RestartResult,
    RoomClose,
    RoomCreate,
    RoomGet,
    RoomList,
    RoomLock,
    RoomMuteAll,
    RoomResult,
    RoomSnapshot,
    RoomsResult,
    RoomSync,
    RoomUnlock,
    RoomUnmuteAll,
    RoomUpdate,
    ServerDrain,
    ServerInfo,
    ServerInfoResult,
    ServerStats,
    ServerStatsResult,
    ServerUndrain,
    SnapshotResult,
    StageAccept,
    StageDecline,
    StageInvite,
    SubscriptionGet,
    SubscriptionResult,
    SubscriptionUpdate,
    SyncResult,
    TrackMute,
    TrackSetPriority,
    TrackUnmute,
)
from control.sfuctl.qualities import subscription
from control.sfuctl.tables import clock, count, fields, left, names, number, span, table
from control.types import Hand, ParticipantState, ParticipantStatus, RoomState

ROOM_COLUMNS = ("ROOM", "PEOPLE", "ON STAGE", "SLOTS", "DOOR", "HANDS", "SPEAKING", "AGE")
PARTICIPANT_COLUMNS = ("PARTICIPANT", "NAME", "ROLE", "STATE", "MUTED", "HAND", "TIER", "AGE")
HAND_COLUMNS = ("NEXT", "PARTICIPANT", "RAISED")

_LINES: Final = {
    ParticipantStatus.NEW: "not connected yet",
    ParticipantStatus.CONNECTING: "connecting",
    ParticipantStatus.CONNECTED: "connected",
    ParticipantStatus.SUSPECT: "silent and perhaps gone",
}


def as_json(result: object) -> str:
    """A result as indented JSON, as it is on the wire."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2).decode()


def as_text(command: AnyCommand, result: Any, now_ms: int) -> str:
    """What the command did or found; ages count to `now_ms`, unix milliseconds."""
    return _TEXTS[type(command)](command, result, now_ms)


def rooms(states: list[RoomState], now_ms: int) -> str:
    """One line for each room."""
    if not states:
        return "no rooms"
    return table(ROOM_COLUMNS, [_room_row(state, now_ms) for state in states])


def participants(states: list[ParticipantState], now_ms: int) -> str:
    """One line for each participant."""
    if not states:
        return "nobody is here"
    return table(PARTICIPANT_COLUMNS, [_participant_row(state, now_ms) for state in states])


def hands(raised: list[Hand], now_ms: int) -> str:
    """One line for each raised hand, in order."""
    if not raised:
        return "no hand is raised"
    rows = [
        (place, hand.participant, f"{span(now_ms - hand.raised_at)} ago")
        for place, hand in enumerate(raised, 1)
    ]
    return table(HAND_COLUMNS, rows)


def mute_word(state: ParticipantState) -> str:
    """`no`, `yes` or `locked`."""
    return "locked" if state.mute_locked else "yes" if state.muted else "no"


def _room_row(state: RoomState, now_ms: int) -> tuple[object, ...]:
    people, on_stage = _crowd(state)
    door = "locked" if state.locked else "open"
    speaking = ",".join(speaker.participant for speaker in state.speakers) or "-"
    age = span(now_ms - state.created_at)
    return (state.room, people, on_stage, state.slots, door, state.hand_policy, speaking, age)


def _crowd(state: RoomState) -> tuple[str, str]:
    on_stage = state.counts.moderator + state.counts.speaker
    return f"{state.counts.total}/{state.max_participants}", f"{on_stage}/{state.max_speakers}"


def _participant_row(state: ParticipantState, now_ms: int) -> tuple[object, ...]:
    return (
        state.participant,
        state.name or "-",
        state.role.value,
        state.state.value,
        mute_word(state),
        "-" if state.hand is None else span(now_ms - state.hand),
        state.tier,
        span(now_ms - state.joined_at),
    )


def _when(at_ms: int, now_ms: int) -> str:
    return f"{clock(at_ms)}, {span(now_ms - at_ms)} ago"


def _metadata(metadata: dict[str, Any]) -> str | None:
    return msgspec.json.encode(metadata).decode() if metadata else None


def _room(state: RoomState, now_ms: int) -> str:
    counts = state.counts
    roles = ", ".join(
        [
            count(counts.moderator, "moderator"),
            count(counts.speaker, "speaker"),
            count(counts.listener, "listener"),
        ]
    )
    orphan = "kept" if state.orphan_policy == "keep" else f"closed after {state.orphan_timeout_s}s"
    return fields(
        {
            "room": state.room,
            "people": f"{counts.total:,} of {state.max_participants:,}: {roles}",
            "on stage": f"{counts.moderator + counts.speaker} of {state.max_speakers}",
            "speaking": names(one.participant for one in state.speakers),
            "slots": state.slots,
            "door": "locked" if state.locked else "open",
            "hands": state.hand_policy,
            "when empty": f"closed after {state.empty_timeout_s}s",
            "without backend": orphan,
            "created": _when(state.created_at, now_ms),
            "version": state.version,
            "metadata": _metadata(state.metadata),
        }
    )


def _participant(state: ParticipantState, now_ms: int) -> str:
    until = state.invited_until
    return fields(
        {
            "participant": state.participant,
            "name": state.name,
            "role": state.role.value,
            "state": state.state.value,
            "muted": mute_word(state),
            "hand": None if state.hand is None else f"raised {_when(state.hand, now_ms)}",
            "invited": None if until is None else f"for {left(until - now_ms)} more",
            "priority": None if state.priority_db is None else f"{state.priority_db:+g} dB",
            "hears": f"{count(state.slots, 'voice')} at once, tier {state.tier}",
            "profile": None if state.profile == "voice" else state.profile,
            "joined": _when(state.joined_at, now_ms),
            "number": state.number,
            "generation": state.generation,
            "metadata": _metadata(state.metadata),
        }
    )


def _standing(state: ParticipantState) -> str:
    """One sentence about what somebody is now."""
    heard = {"no": "not muted", "yes": "muted", "locked": "muted and locked"}[mute_word(state)]
    line = _LINES[state.state]
    return f"{state.participant} is a {state.role.value}, {heard}, {line}"


def _info(command: ServerInfo, result: ServerInfoResult, now_ms: int) -> str:
    about = fields(
        {
            "node": result.node,
            "version": result.version,
            "protocol": ", ".join(map(str, result.protocol_versions)),
            "epoch": result.epoch,
            "started": _when(result.started_at, now_ms),
            "load": f"{result.load:.0%} of what it can carry",
            "newcomers": "refused: draining" if result.draining else "taken",
        }
    )
    rows = [
        (name, number(result.use.get(name, 0)), number(limit))
        for name, limit in result.limits.items()
    ]
    return f"{about}\n\n{table(('LIMIT', 'IN USE', 'OF'), rows)}"


def _stats(command: ServerStats, result: ServerStatsResult, now_ms: int) -> str:
    rows = [(name, number(value)) for name, value in sorted(result.counters.items())]
    return table(("COUNTER", "VALUE"), rows)


def _snapshot(command: RoomSnapshot, result: SnapshotResult, now_ms: int) -> str:
    people = participants(result.participants, now_ms)
    parts = [_room(result.room, now_ms), people, hands(result.hands, now_ms)]
    return "\n\n".join([*parts, f"as of event {result.epoch}:{result.seq}"])


def _rooms(command: RoomList, result: RoomsResult, now_ms: int) -> str:
    return _with_more(rooms(result.rooms, now_ms), result.next_page)


def _people(command: ParticipantList, result: ParticipantsResult, now_ms: int) -> str:
    return _with_more(participants(result.participants, now_ms), result.next_page)


def _hands(command: AnyCommand, result: HandsResult, now_ms: int) -> str:
    return _with_more(hands(result.hands, now_ms), result.next_page)


def _with_more(text: str, next_page: int | None) -> str:
    return text if next_page is None else f"{text}\n(more: --page {next_page})"


def _one_room(command: AnyCommand, result: RoomResult, now_ms: int) -> str:
    return _room(result.room, now_ms)


def _one_participant(command: AnyCommand, result: ParticipantResult, now_ms: int) -> str:
    return _participant(result.participant, now_ms)


def _what_is_now(command: AnyCommand, result: ParticipantResult, now_ms: int) -> str:
    return _standing(result.participant)


def _one_subscription(command: AnyCommand, result: SubscriptionResult, now_ms: int) -> str:
    return subscription(result.subscription, now_ms)


def _answer(command: AnyCommand, result: JoinResult | RestartResult, now_ms: int) -> str:
    # The answer ends with a line break of its own, and a second one would be no SDP.
    return result.answer.rstrip("\r\n")


def _muted(command: AnyCommand, result: MutedResult, now_ms: int) -> str:
    return f"muted on stage: {names(result.muted)}"


def _synced(command: RoomSync, result: SyncResult, now_ms: int) -> str:
    done = f"{result.removed} removed, {result.changed} changed"
    return f"{done}; not here: {names(result.missing)}" if result.missing else done


def _removed(command: ParticipantRemove, result: object, now_ms: int) -> str:
    ban = f" and kept out for {command.ban_s}s" if command.ban_s else ""
    return f"{command.participant} is sent away{ban}"


def _moved(command: ParticipantMove, result: ParticipantResult, now_ms: int) -> str:
    return f"{_standing(result.participant)}; moved to {command.to_room}"


def _invited(command: StageInvite, result: ParticipantResult, now_ms: int) -> str:
    until = result.participant.invited_until
    for_ = "" if until is None else f" for {left(until - now_ms)}"
    return f"{command.participant} is invited to the stage{for_}"


def _declined(command: StageDecline, result: ParticipantResult, now_ms: int) -> str:
    return f"{command.participant} is no longer invited"


def _priority(command: TrackSetPriority, result: ParticipantResult, now_ms: int) -> str:
    if command.priority_db is None:
        return f"{command.participant} counts as others of its role do"
    return f"{command.participant} counts with {command.priority_db:+g} dB"


def _draining(command: ServerDrain, result: object, now_ms: int) -> str:
    return f"nobody new is taken; whoever is here in {command.deadline_s}s has to leave"


_TEXTS: Final[dict[type[AnyCommand], Callable[[Any, Any, int], str]]] = {
    ServerInfo: _info,
    ServerStats: _stats,
    ServerDrain: _draining,
    ServerUndrain: lambda command, result, now_ms: "newcomers are taken again",
    RoomCreate: _one_room,
    RoomGet: _one_room,
    RoomList: _rooms,
    RoomSnapshot: _snapshot,
    RoomUpdate: _one_room,
    RoomClose: lambda command, result, now_ms: f"{command.room} is closed",
    RoomLock: lambda command, result, now_ms: f"{command.room} takes nobody new",
    RoomUnlock: lambda command, result, now_ms: f"{command.room} takes newcomers",
    RoomMuteAll: _muted,
    RoomUnmuteAll: _muted,
    RoomSync: _synced,
    ParticipantJoin: _answer,
    ParticipantGet: _one_participant,
    ParticipantList: _people,
    ParticipantUpdate: _one_participant,
    ParticipantSetRole: _what_is_now,
    ParticipantRemove: _removed,
    ParticipantMove: _moved,
    ParticipantRestartIce: _answer,
    HandRaise: _hands,
    HandLower: _hands,
    HandList: _hands,
    StageInvite: _invited,
    StageAccept: _what_is_now,
    StageDecline: _declined,
    TrackMute: _what_is_now,
    TrackUnmute: _what_is_now,
    TrackSetPriority: _priority,
    SubscriptionUpdate: _one_subscription,
    SubscriptionGet: _one_subscription,
}
