"""Commands about participants."""

from __future__ import annotations

from control.commands import (
    Empty,
    JoinResult,
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
            ParticipantUpdate: self._update,
            ParticipantSetRole: self._set_role,
            ParticipantRemove: self._remove,
            ParticipantMove: self._move,
            ParticipantRestartIce: self._restart_ice,
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

    def _update(self, command: ParticipantUpdate, now: float) -> ParticipantResult:
        room = self._registry.room(command.room)
        room.update_participant(command)
        self._registry.settle_room(room)
        return ParticipantResult(participant=room.participant_state(command.participant))

    def _set_role(self, command: ParticipantSetRole, now: float) -> ParticipantResult:
        room = self._registry.room(command.room)
        self._registry.check_promotion(room, command.participant, command.role, now)
        room.moderation.set_role(command.participant, command.role, now, actor=command.actor)
        self._registry.settle_room(room)
        return ParticipantResult(participant=room.participant_state(command.participant))

    def _remove(self, command: ParticipantRemove, now: float) -> Empty:
        room = self._registry.room(command.room)
        room.check_generation(command.participant, command.if_generation)
        peer = self._registry.peer(room, command.participant)
        self._registry.depart(
            peer, LeaveReason.REMOVED, now, detail=command.reason, ban_s=command.ban_s
        )
        return Empty()

    def _move(self, command: ParticipantMove, now: float) -> ParticipantResult:
        room = self._registry.move(command, now)
        return ParticipantResult(participant=room.participant_state(command.participant))

    def _restart_ice(self, command: ParticipantRestartIce, now: float) -> RestartResult:
        return RestartResult(answer=self._registry.restart_ice(command, now).answer)
