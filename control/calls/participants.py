"""(client) Calls about participants."""

from __future__ import annotations

from typing import Literal

from control.calls.asker import Asker
from control.commands import (
    JoinResult,
    ParticipantGet,
    ParticipantJoin,
    ParticipantList,
    ParticipantMove,
    ParticipantRemove,
    ParticipantRestartIce,
    ParticipantSetRole,
    ParticipantsResult,
    ParticipantUpdate,
)
from control.types import Metadata, ParticipantState, Profile, Role


class ParticipantCalls(Asker):
    """All may raise not_found (`room`, `participant`)."""

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
        profile: Profile = "voice",
    ) -> JoinResult:
        """Admit a participant with its SDP offer; the result's `answer` goes back to its client.

        Participants of one `echo_group` sit in one place and do not hear each other; `profile`
        "music" asks the client for stereo at a high rate instead of speech. Errors:
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
            profile=profile,
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

    async def participant_update(
        self,
        *,
        room: str,
        participant: str,
        name: str | None = None,
        metadata: Metadata | None = None,
        if_generation: int | None = None,
    ) -> ParticipantState:
        """Change name (empty: none) or metadata. Errors: conflict (of another generation)."""
        command = ParticipantUpdate(
            room=room,
            participant=participant,
            name=name,
            metadata=metadata,
            if_generation=if_generation,
        )
        return (await self.call(command)).participant

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
        self,
        *,
        room: str,
        participant: str,
        reason: str | None = None,
        ban_s: int = 0,
        if_generation: int | None = None,
    ) -> None:
        """Send a participant away; for `ban_s` seconds it cannot come back.

        Say `if_generation` when its own connection to you was lost: it may have joined again.
        Errors: not_found (`room`, `participant`), conflict (it is of another generation).
        """
        command = ParticipantRemove(
            room=room,
            participant=participant,
            reason=reason,
            ban_s=ban_s,
            if_generation=if_generation,
        )
        await self.call(command)

    async def participant_move(
        self, *, room: str, participant: str, to_room: str, role: Role | str | None = None
    ) -> ParticipantState:
        """Change rooms on the same media connection; the client has nothing to do.

        Errors: those of a join into `to_room`, but of the daemon's own limits only `speakers`, for
        one who goes on stage by it; already_exists when somebody of that id is there.
        """
        command = ParticipantMove(
            room=room,
            participant=participant,
            to_room=to_room,
            role=None if role is None else Role(role),
        )
        return (await self.call(command)).participant

    async def participant_restart_ice(self, *, room: str, participant: str, offer: str) -> str:
        """Answer an offer with new ICE credentials; DTLS, keys and slots are kept. The answer.

        Errors: invalid_argument (`offer`: not one of the same session).
        """
        command = ParticipantRestartIce(room=room, participant=participant, offer=offer)
        return (await self.call(command)).answer
