"""What happened, as log lines: who came, got connected, left, and which request had caused it.

Every line about a participant has `joined_by`, the request that let them in, so that what a backend
asked for and what became of the connection are found by one word. A line that a command caused has
its `request` as well. Events that come often (voices, tiers, hands) are not logged: the control
protocol tells them to whoever follows.
"""

from __future__ import annotations

from typing import Any

import structlog

from control.events import (
    EventBody,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantJoined,
    ParticipantLeft,
    RoomClosed,
    RoomCreated,
    ServerDraining,
    ServerOverloaded,
    ServerRecovered,
    ServerUndrained,
)

_log = structlog.get_logger()


class Journal:
    """Of one daemon. Remembers a word for each participant, for as long as they are here."""

    def __init__(self) -> None:
        self._joined_by: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        return len(self._joined_by)

    def joined_by(self, room: str, participant: str) -> str:
        """The request that let somebody in; empty when it is not known."""
        return self._joined_by.get((room, participant), "")

    def note(self, room: str | None, body: EventBody, request: str) -> None:
        """An event; `request` is of the command that caused it, or empty."""
        if room is None:
            self._note_daemon(body, _known(request=request))
        else:
            self._note_room(room, body, request)

    def _note_room(self, room: str, body: EventBody, request: str) -> None:
        told = _known(request=request)
        match body:
            case ParticipantJoined():
                self._joined_by[room, body.participant] = request
                role = body.state.role.value
                self._about("participant_joined", room, body.participant, role=role, **told)
            case ParticipantConnected():
                self._about("participant_connected", room, body.participant, **told)
            case ParticipantDisconnected():
                self._about("participant_disconnected", room, body.participant, **told)
            case ParticipantLeft():
                reason = body.reason.value
                self._about("participant_left", room, body.participant, reason=reason, **told)
                self._joined_by.pop((room, body.participant), None)
            case RoomCreated():
                _log.info("room_created", room=room, **told)
            case RoomClosed():
                _log.info("room_closed", room=room, reason=body.reason, **told)

    def _note_daemon(self, body: EventBody, told: dict[str, str]) -> None:
        match body:
            case ServerDraining():
                _log.info("draining", deadline_ms=body.deadline_ms, **told)
            case ServerUndrained():
                _log.info("undrained", **told)
            case ServerOverloaded():
                _log.warning("overloaded", limit=body.limit, **told)
            case ServerRecovered():
                _log.info("recovered", limit=body.limit, **told)

    def _about(self, event: str, room: str, participant: str, **fields: Any) -> None:
        cause = _known(joined_by=self.joined_by(room, participant))
        _log.info(event, room=room, participant=participant, **cause, **fields)


def _known(**words: str) -> dict[str, str]:
    return {name: word for name, word in words.items() if word}
