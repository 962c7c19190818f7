"""Commands about who may be heard."""

from __future__ import annotations

from control.commands import (
    HandList,
    HandLower,
    HandRaise,
    HandsResult,
    ParticipantResult,
    StageAccept,
    StageDecline,
    StageInvite,
    TrackMute,
    TrackSetPriority,
    TrackUnmute,
)
from control.types import Role
from sfu.stage import Room
from sfu.worker.commands.methods import Methods
from sfu.worker.commands.pages import HANDS_PAGE_SIZE, page_of
from sfu.worker.registry import Registry


class StageCommands:
    """Mutes and priorities, invitations and hands."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def methods(self) -> Methods:
        """By command."""
        return {
            TrackMute: self._mute,
            TrackUnmute: self._unmute,
            TrackSetPriority: self._set_priority,
            StageInvite: self._invite,
            StageAccept: self._accept,
            StageDecline: self._decline,
            HandRaise: self._raise_hand,
            HandLower: self._lower_hand,
            HandList: self._list_hands,
        }

    def _mute(self, command: TrackMute, now: float) -> ParticipantResult:
        room = self._registry.room(command.room)
        room.moderation.set_muted(
            command.participant, True, now, lock=command.lock, actor=command.actor
        )
        return self._changed(room, command.participant)

    def _unmute(self, command: TrackUnmute, now: float) -> ParticipantResult:
        room = self._registry.room(command.room)
        room.moderation.set_muted(
            command.participant, False, now, lock=command.lock, actor=command.actor
        )
        return self._changed(room, command.participant)

    def _set_priority(self, command: TrackSetPriority, now: float) -> ParticipantResult:
        room = self._registry.room(command.room)
        room.moderation.set_priority(command.participant, command.priority_db)
        return self._changed(room, command.participant)

    def _invite(self, command: StageInvite, now: float) -> ParticipantResult:
        room = self._registry.room(command.room)
        room.moderation.invite(
            command.participant, now, expires_s=command.expires_s, actor=command.actor
        )
        return self._changed(room, command.participant)

    def _accept(self, command: StageAccept, now: float) -> ParticipantResult:
        room = self._registry.room(command.room)
        room.moderation.check_invited(command.participant)
        self._registry.check_promotion(room, command.participant, Role.SPEAKER, now)
        room.moderation.accept(command.participant, now)
        return self._changed(room, command.participant)

    def _decline(self, command: StageDecline, now: float) -> ParticipantResult:
        room = self._registry.room(command.room)
        room.moderation.decline(command.participant)
        return self._changed(room, command.participant)

    def _changed(self, room: Room, participant: str) -> ParticipantResult:
        self._registry.settle_room(room)
        return ParticipantResult(participant=room.participant_state(participant))

    def _raise_hand(self, command: HandRaise, now: float) -> HandsResult:
        room = self._registry.room(command.room)
        room.moderation.raise_hand(command.participant, now)
        self._registry.settle_room(room)
        return self._hands(room, 0)

    def _lower_hand(self, command: HandLower, now: float) -> HandsResult:
        room = self._registry.room(command.room)
        room.moderation.lower_hand(command.participant)
        self._registry.settle_room(room)
        return self._hands(room, 0)

    def _list_hands(self, command: HandList, now: float) -> HandsResult:
        return self._hands(self._registry.room(command.room), command.page)

    def _hands(self, room: Room, page: int) -> HandsResult:
        hands, next_page = page_of(room.hands, page, HANDS_PAGE_SIZE)
        return HandsResult(hands=list(hands), next_page=next_page)
