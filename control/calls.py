"""(client) One coroutine per command.

All raise ControlError when the daemon refuses (`code` says why; `invalid_argument` and
`permission_denied` are possible everywhere and not repeated below), and ConnectionLost when there
is no connection to ask over.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, TypeVar

from control.commands import (
    Command,
    HandList,
    HandLower,
    HandRaise,
    HandsResult,
    JoinResult,
    ParticipantGet,
    ParticipantJoin,
    ParticipantList,
    ParticipantRemove,
    ParticipantSetRole,
    ParticipantsResult,
    Ping,
    RoomClose,
    RoomCreate,
    RoomGet,
    RoomList,
    RoomSnapshot,
    RoomsResult,
    ServerInfo,
    ServerInfoResult,
    ServerStats,
    SnapshotResult,
    TrackMute,
    TrackUnmute,
)
from control.types import Hand, HandPolicy, Metadata, ParticipantState, Role, RoomState

R = TypeVar("R")


class Calls(ABC):
    """The commands as methods of whatever can `call`."""

    @abstractmethod
    async def call(self, command: Command[R]) -> R:
        """Ask the daemon to do a command, and wait for its result."""

    async def ping(self) -> None:
        """Wait for the daemon to answer."""
        await self.call(Ping())

    async def server_info(self) -> ServerInfoResult:
        """Version, node, load and limits of the daemon."""
        return await self.call(ServerInfo())

    async def server_stats(self) -> dict[str, int]:
        """Counters since the daemon's start, by name."""
        return (await self.call(ServerStats())).counters

    async def room_create(
        self,
        *,
        room: str,
        max_participants: int | None = None,
        max_speakers: int | None = None,
        slots: int | None = None,
        hand_policy: HandPolicy | None = None,
        empty_timeout_s: int | None = None,
        metadata: Metadata | None = None,
    ) -> RoomState:
        """Create a room, or change the given fields of the one that exists.

        `slots` (1 to 6) is how many are heard at once; after `empty_timeout_s` seconds without
        anybody the room is closed. Errors: resource_exhausted (`rooms`).
        """
        command = RoomCreate(
            room=room,
            max_participants=max_participants,
            max_speakers=max_speakers,
            slots=slots,
            hand_policy=hand_policy,
            empty_timeout_s=empty_timeout_s,
            metadata=metadata,
        )
        return (await self.call(command)).room

    async def room_get(self, *, room: str) -> RoomState:
        """The state of a room. Errors: not_found (`room`)."""
        return (await self.call(RoomGet(room=room))).room

    async def room_list(self, *, prefix: str = "", page: int = 0) -> RoomsResult:
        """One page of the rooms whose id begins with `prefix`; `next_page` is None on the last."""
        return await self.call(RoomList(prefix=prefix, page=page))

    async def room_snapshot(self, *, room: str) -> SnapshotResult:
        """Room, participants, hands, and the event position from which to follow them.

        Errors: not_found (`room`), resource_exhausted (`frame_bytes`: use participant_list).
        """
        return await self.call(RoomSnapshot(room=room))

    async def room_close(self, *, room: str, reason: str | None = None) -> None:
        """Send everybody away with `room_closed`. Errors: not_found (`room`)."""
        await self.call(RoomClose(room=room, reason=reason))

    async def participant_join(
        self,
        *,
        room: str,
        participant: str,
        role: Role | str,
        offer: str,
        name: str | None = None,
        metadata: Metadata | None = None,
        on_duplicate: Literal["replace", "reject"] = "replace",
        echo_group: str | None = None,
        muted: bool = False,
    ) -> JoinResult:
        """Admit a participant with its SDP offer; the result's `answer` goes back to its client.

        Participants of one `echo_group` sit in one place and do not hear each other. Errors:
        not_found (`room`), already_exists (with `reject`), resource_exhausted (`max_participants`,
        `max_speakers`, `participants`, `load`), permission_denied (banned), failed_precondition
        (a locked room), unavailable (draining), invalid_argument (`offer`). `retry_after_ms` says
        how long a ban or a load may last.
        """
        command = ParticipantJoin(
            room=room,
            participant=participant,
            role=Role(role),
            offer=offer,
            name=name,
            metadata=metadata,
            on_duplicate=on_duplicate,
            echo_group=echo_group,
            muted=muted,
        )
        return await self.call(command)

    async def participant_get(self, *, room: str, participant: str) -> ParticipantState:
        """The state of a participant. Errors: not_found (`room`, `participant`)."""
        return (await self.call(ParticipantGet(room=room, participant=participant))).participant

    async def participant_list(
        self, *, room: str, role: Role | str | None = None, page: int = 0
    ) -> ParticipantsResult:
        """One page of the participants, of one role if given. Errors: not_found (`room`)."""
        wanted = None if role is None else Role(role)
        return await self.call(ParticipantList(room=room, role=wanted, page=page))

    async def participant_set_role(
        self, *, room: str, participant: str, role: Role | str, actor: str | None = None
    ) -> ParticipantState:
        """Call up or send back, at once and without renegotiation; the mute state stays.

        `actor` goes into the event. Errors: not_found (`room`, `participant`), resource_exhausted
        (`max_speakers`).
        """
        command = ParticipantSetRole(
            room=room, participant=participant, role=Role(role), actor=actor
        )
        return (await self.call(command)).participant

    async def participant_remove(
        self, *, room: str, participant: str, reason: str | None = None, ban_s: int = 0
    ) -> None:
        """Send a participant away; for `ban_s` seconds it cannot come back.

        Errors: not_found (`room`, `participant`).
        """
        await self.call(
            ParticipantRemove(room=room, participant=participant, reason=reason, ban_s=ban_s)
        )

    async def track_mute(
        self, *, room: str, participant: str, lock: bool = False, actor: str | None = None
    ) -> ParticipantState:
        """Silence a participant; with `lock` only track_unmute(lock=True) undoes it.

        Errors: not_found (`room`, `participant`).
        """
        command = TrackMute(room=room, participant=participant, lock=lock, actor=actor)
        return (await self.call(command)).participant

    async def track_unmute(
        self, *, room: str, participant: str, lock: bool = False, actor: str | None = None
    ) -> ParticipantState:
        """Undo a mute, and with `lock` its lock too.

        Errors: not_found (`room`, `participant`), failed_precondition (it is locked).
        """
        command = TrackUnmute(room=room, participant=participant, lock=lock, actor=actor)
        return (await self.call(command)).participant

    async def hand_raise(self, *, room: str, participant: str) -> list[Hand]:
        """Raise a hand; all raised hands, the first raised first.

        Errors: not_found (`room`, `participant`), failed_precondition (the room takes no hands, or
        the participant is on stage already).
        """
        return (await self.call(HandRaise(room=room, participant=participant))).hands

    async def hand_lower(self, *, room: str, participant: str) -> list[Hand]:
        """Lower a hand; the hands that remain. Errors: not_found (`room`, `participant`)."""
        return (await self.call(HandLower(room=room, participant=participant))).hands

    async def hand_list(self, *, room: str, page: int = 0) -> HandsResult:
        """One page of the raised hands, the first raised first. Errors: not_found (`room`)."""
        return await self.call(HandList(room=room, page=page))
