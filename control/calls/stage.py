"""(client) Calls about who may be heard, and about what one listener hears."""

from __future__ import annotations

from typing import TypedDict, Unpack

from control.calls.asker import Asker
from control.commands import (
    HandList,
    HandLower,
    HandRaise,
    HandsResult,
    StageAccept,
    StageDecline,
    StageInvite,
    SubscriptionGet,
    SubscriptionUpdate,
    TrackMute,
    TrackSetPriority,
    TrackUnmute,
)
from control.commands.stage import INVITATION_S
from control.types import Hand, ParticipantState, SubscriptionMode, SubscriptionState


class SubscriptionFields(TypedDict, total=False):
    """What a listener hears; those left out stay, an empty list ends a choice.

    `slots`: at most so many voices at once. `always`: heard before others while they hold a slot.
    `never`: not heard. `mode`: what the line allows, each voice as it comes ("forward") or all of
    them mixed ("mix"). `max_kbps`: at most so much, headers included; None ends that. `paused`:
    nothing is sent.
    """

    slots: int
    always: list[str]
    never: list[str]
    mode: SubscriptionMode
    max_kbps: int | None
    paused: bool


class StageCalls(Asker):
    """All may raise not_found (`room`, `participant`)."""

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

    async def stage_invite(
        self,
        *,
        room: str,
        participant: str,
        expires_s: int = INVITATION_S,
        actor: str | None = None,
    ) -> ParticipantState:
        """Ask a listener onto the stage, for `expires_s` seconds.

        Errors: failed_precondition (it is on stage).
        """
        command = StageInvite(room=room, participant=participant, expires_s=expires_s, actor=actor)
        return (await self.call(command)).participant

    async def stage_accept(self, *, room: str, participant: str) -> ParticipantState:
        """The invited listener becomes a speaker, muted.

        Errors: failed_precondition (not invited), resource_exhausted (`max_speakers`, `speakers`):
        the invitation stands on.
        """
        return (await self.call(StageAccept(room=room, participant=participant))).participant

    async def stage_decline(self, *, room: str, participant: str) -> ParticipantState:
        """End an invitation. Errors: failed_precondition (not invited)."""
        return (await self.call(StageDecline(room=room, participant=participant))).participant

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

    async def track_set_priority(
        self, *, room: str, participant: str, priority_db: float | None
    ) -> ParticipantState:
        """Compete for slots with this bonus (-60 to 60 dB) in place of the one of the role.

        None: with that of the role again.
        """
        command = TrackSetPriority(room=room, participant=participant, priority_db=priority_db)
        return (await self.call(command)).participant

    async def subscription_update(
        self, *, room: str, participant: str, **fields: Unpack[SubscriptionFields]
    ) -> SubscriptionState:
        """Change what a participant hears.

        Errors: failed_precondition (`mode` mix: the server makes none, or `never` names somebody,
        whom a mix cannot leave out).
        """
        command = SubscriptionUpdate(room=room, participant=participant, **fields)
        return (await self.call(command)).subscription

    async def subscription_get(self, *, room: str, participant: str) -> SubscriptionState:
        """What a participant hears, and how its line is."""
        command = SubscriptionGet(room=room, participant=participant)
        return (await self.call(command)).subscription
