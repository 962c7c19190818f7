"""A small daemon behind the control server: rooms and people in dicts, and levers for the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import msgspec

from control.commands import (
    AnyCommand,
    Empty,
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
    RoomListWithin,
    RoomLock,
    RoomMuteAll,
    RoomResult,
    RoomSettingsCommand,
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
from control.errors import not_found
from control.events import EventBody, RoomClosed, RoomCreated
from control.types import (
    ActiveSpeaker,
    Counts,
    Hand,
    ParticipantState,
    ParticipantStatus,
    RoomState,
    SubscriptionState,
)

AT_MS = 1_700_000_000_000


def room_state(room: str, **fields: Any) -> RoomState:
    """A room with the usual values, but for the given fields."""
    defaults: dict[str, Any] = {
        "created_at": AT_MS,
        "max_participants": 100,
        "max_speakers": 20,
        "slots": 3,
        "locked": False,
        "hand_policy": "open",
        "empty_timeout_s": 300,
        "metadata": {},
        "version": 1,
        "counts": Counts(),
        "speakers": [],
    }
    return RoomState(room=room, **{**defaults, **fields})


class FakeDaemon:
    """Runs commands at once, except those whose room is in `held`, which wait for its future.

    `done` lists commands in the order of their effects; `raises` maps a method to what it raises.
    """

    def __init__(self) -> None:
        self.rooms: dict[str, RoomState] = {}
        self.people: dict[str, dict[str, ParticipantState]] = {}
        self.done: list[AnyCommand] = []
        self.held: dict[str, asyncio.Future[None]] = {}
        self.raises: dict[str, Exception] = {}
        self.events: list[tuple[str | None, EventBody]] = []

    def submit(self, command: AnyCommand) -> Awaitable[Any]:
        """Take effect now; answer now or when released."""
        self.done.append(command)
        return self._answer(command)

    async def _answer(self, command: AnyCommand) -> Any:
        error = self.raises.get(command.method)
        if error is not None:
            raise error
        gate = self.held.get(getattr(command, "room", ""))
        if gate is not None:
            await gate
        return _ANSWERS[type(command)](self, command)

    def hold(self, room: str) -> asyncio.Future[None]:
        """Commands on this room wait until the future is done."""
        self.held[room] = asyncio.get_running_loop().create_future()
        return self.held[room]

    def state(self, room: str) -> RoomState:
        """The room, or not_found."""
        if room not in self.rooms:
            raise not_found("room", room)
        return self.rooms[room]

    def person(self, room: str, participant: str) -> ParticipantState:
        """The participant, or not_found."""
        self.state(room)
        if participant not in self.people[room]:
            raise not_found("participant", participant)
        return self.people[room][participant]

    def change(self, command: Any, **fields: Any) -> ParticipantResult:
        """Replace fields of the participant that the command names."""
        old = self.person(command.room, command.participant)
        new = msgspec.structs.replace(old, **fields)
        self.people[command.room][command.participant] = new
        return ParticipantResult(participant=new)

    def hands(self, room: str) -> list[Hand]:
        """Raised hands in order."""
        self.state(room)
        raised = [(one.hand, one.participant) for one in self.people[room].values() if one.hand]
        return [Hand(participant=who, raised_at=at or 0) for at, who in sorted(raised)]


def _create(daemon: FakeDaemon, command: RoomSettingsCommand) -> RoomResult:
    names = [name for name in command.__struct_fields__ if name not in ("room", "if_version")]
    fields = {name: getattr(command, name) for name in names}
    given = {name: value for name, value in fields.items() if value is not None}
    old = daemon.rooms.get(command.room) or room_state(command.room)
    daemon.rooms[command.room] = new = msgspec.structs.replace(old, **given)
    daemon.people.setdefault(command.room, {})
    daemon.events.append((command.room, RoomCreated(state=new)))
    return RoomResult(room=new)


def _close(daemon: FakeDaemon, command: RoomClose) -> Empty:
    daemon.state(command.room)
    del daemon.rooms[command.room]
    daemon.events.append((command.room, RoomClosed(reason=command.reason or "")))
    return Empty()


def _list(daemon: FakeDaemon, command: RoomList) -> RoomsResult:
    within = command.within if isinstance(command, RoomListWithin) else ("",)
    names = [room for room in daemon.rooms if room.startswith(command.prefix)]
    rooms = [daemon.rooms[room] for room in names if room.startswith(within)]
    return RoomsResult(rooms=rooms)


def _snapshot(daemon: FakeDaemon, command: RoomSnapshot) -> SnapshotResult:
    return SnapshotResult(
        room=daemon.state(command.room),
        participants=list(daemon.people[command.room].values()),
        hands=daemon.hands(command.room),
        epoch="",
        seq=0,
    )


def _join(daemon: FakeDaemon, command: ParticipantJoin) -> JoinResult:
    room = daemon.state(command.room)
    number = len(daemon.people[command.room]) + 1
    state = ParticipantState(
        participant=command.participant,
        number=number,
        role=command.role,
        state=ParticipantStatus.NEW,
        muted=command.muted,
        profile=command.profile,
        mute_locked=False,
        hand=None,
        tier="A1",
        slots=room.slots,
        joined_at=AT_MS,
        metadata=command.metadata or {},
        generation=1,
        name=command.name,
    )
    daemon.people[command.room][command.participant] = state
    speaker = ActiveSpeaker(participant=command.participant, level=30, slot=0)
    daemon.rooms[command.room] = msgspec.structs.replace(room, speakers=[speaker])
    return JoinResult(participant=state, answer=f"answer to {command.offer}")


def _people(daemon: FakeDaemon, command: ParticipantList) -> ParticipantsResult:
    daemon.state(command.room)
    people = daemon.people[command.room].values()
    return ParticipantsResult(
        participants=[one for one in people if command.role in (None, one.role)]
    )


def _remove(daemon: FakeDaemon, command: ParticipantRemove) -> Empty:
    daemon.person(command.room, command.participant)
    del daemon.people[command.room][command.participant]
    return Empty()


def _raise_hand(daemon: FakeDaemon, command: HandRaise) -> HandsResult:
    daemon.change(command, hand=AT_MS + len(daemon.hands(command.room)))
    return HandsResult(hands=daemon.hands(command.room))


def _lower_hand(daemon: FakeDaemon, command: HandLower) -> HandsResult:
    daemon.change(command, hand=None)
    return HandsResult(hands=daemon.hands(command.room))


def _info(daemon: FakeDaemon, command: ServerInfo) -> ServerInfoResult:
    return ServerInfoResult(
        version="1.2.3",
        protocol_versions=[1],
        node="n1",
        epoch="e1",
        started_at=AT_MS,
        draining=False,
        load=0.25,
        limits={"rooms": 10},
        use={"rooms": len(daemon.rooms)},
    )


def _sync(daemon: FakeDaemon, command: RoomSync) -> SyncResult:
    daemon.state(command.room)
    here = daemon.people[command.room]
    listed = [one.participant for one in command.participants]
    return SyncResult(
        removed=len(here.keys() - set(listed)),
        changed=0,
        missing=[name for name in listed if name not in here],
    )


def _subscription(command: Any, paused: bool) -> SubscriptionResult:
    return SubscriptionResult(
        subscription=SubscriptionState(
            participant=command.participant,
            tier="A1",
            slots=3,
            paused=paused,
            mode="auto",
            always=[],
            never=[],
        )
    )


_ANSWERS: dict[type[AnyCommand], Any] = {
    ServerInfo: _info,
    ServerStats: lambda daemon, command: ServerStatsResult(counters={"done": len(daemon.done)}),
    RoomCreate: _create,
    RoomGet: lambda daemon, command: RoomResult(room=daemon.state(command.room)),
    RoomList: _list,
    RoomListWithin: _list,
    RoomSnapshot: _snapshot,
    RoomClose: _close,
    ParticipantJoin: _join,
    ParticipantGet: lambda daemon, command: ParticipantResult(
        participant=daemon.person(command.room, command.participant)
    ),
    ParticipantList: _people,
    ParticipantSetRole: lambda daemon, command: daemon.change(command, role=command.role),
    ParticipantRemove: _remove,
    TrackMute: lambda daemon, command: daemon.change(command, muted=True, mute_locked=command.lock),
    TrackUnmute: lambda daemon, command: daemon.change(command, muted=False),
    HandRaise: _raise_hand,
    HandLower: _lower_hand,
    HandList: lambda daemon, command: HandsResult(hands=daemon.hands(command.room)),
    ServerDrain: lambda daemon, command: Empty(),
    ServerUndrain: lambda daemon, command: Empty(),
    RoomUpdate: lambda daemon, command: _create(daemon, command),
    RoomLock: lambda daemon, command: Empty(),
    RoomUnlock: lambda daemon, command: Empty(),
    RoomMuteAll: lambda daemon, command: MutedResult(muted=list(daemon.people[command.room])),
    RoomUnmuteAll: lambda daemon, command: MutedResult(muted=[]),
    RoomSync: _sync,
    ParticipantUpdate: lambda daemon, command: daemon.change(command, name=command.name),
    ParticipantMove: lambda daemon, command: daemon.change(command),
    ParticipantRestartIce: lambda daemon, command: RestartResult(
        answer=f"restarted by {command.offer}"
    ),
    StageInvite: lambda daemon, command: daemon.change(
        command, invited_until=AT_MS + command.expires_s * 1_000
    ),
    StageAccept: lambda daemon, command: daemon.change(command, role="speaker", muted=True),
    StageDecline: lambda daemon, command: daemon.change(command, invited_until=None),
    TrackSetPriority: lambda daemon, command: daemon.change(
        command, priority_db=command.priority_db
    ),
    SubscriptionUpdate: lambda daemon, command: _subscription(command, bool(command.paused)),
    SubscriptionGet: lambda daemon, command: _subscription(command, False),
}
