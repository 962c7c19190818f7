"""Commands about participants."""

from __future__ import annotations

from control.commands import (
    Empty,
    JoinResult,
    ParticipantGet,
    ParticipantJoin,
    ParticipantList,
    ParticipantRemove,
    ParticipantResult,
    ParticipantSetRole,
    ParticipantsResult,
)
from control.types import LeaveReason
from sfu.worker.commands.methods import Methods
from sfu.worker.commands.pages import page_of
from sfu.worker.registry import Registry


class ParticipantCommands:
    """Who is in a room, and as what."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def methods(self) -> Methods:
        """By command."""
        return {
            ParticipantJoin: self._join,
            ParticipantGet: self._get,
            ParticipantList: self._list,
            ParticipantSetRole: self._set_role,
            ParticipantRemove: self._remove,
        }

    def _join(self, command: ParticipantJoin, now: float) -> JoinResult:
        negotiation = self._registry.join(command, now)
        room = self._registry.room(command.room)
        return JoinResult(
            participant=room.participant_state(command.participant), answer=negotiation.answer
        )

    def _get(self, command: ParticipantGet, now: float) -> ParticipantResult:
        room = self._registry.room(command.room)
        return ParticipantResult(participant=room.participant_state(command.participant))

    def _list(self, command: ParticipantList, now: float) -> ParticipantsResult:
        room = self._registry.room(command.room)
        names = [
            name
            for name, participant in room.participants.items()
            if command.role is None or participant.role is command.role
        ]
        shown, next_page = page_of(names, command.page)
        return ParticipantsResult(
            participants=[room.participant_state(name) for name in shown], next_page=next_page
        )

    def _set_role(self, command: ParticipantSetRole, now: float) -> ParticipantResult:
        room = self._registry.room(command.room)
        self._registry.check_promotion(room, command.participant, command.role, now)
        room.moderation.set_role(command.participant, command.role, now, actor=command.actor)
        self._registry.settle_room(room)
        return ParticipantResult(participant=room.participant_state(command.participant))

    def _remove(self, command: ParticipantRemove, now: float) -> Empty:
        room = self._registry.room(command.room)
        room.participant_state(command.participant)  # not_found before anything happens
        peer = self._registry.peers.of(room.id, command.participant)
        assert peer is not None, "every participant of a room has a peer"
        self._registry.depart(
            peer, LeaveReason.REMOVED, now, detail=command.reason, ban_s=command.ban_s
        )
        return Empty()
