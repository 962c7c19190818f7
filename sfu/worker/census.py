"""How many people there are in all rooms together, by role, without walking through the rooms."""

from __future__ import annotations

from control.types import Counts
from sfu.stage import Room

_NOBODY = Counts()


class Census:
    """Of one worker: told of each room after anything was done to it."""

    def __init__(self) -> None:
        self.moderators = self.speakers = self.listeners = 0
        self._known: dict[str, Counts] = {}  # of each room in which there is anybody

    @property
    def on_stage(self) -> int:
        """Moderators and speakers."""
        return self.moderators + self.speakers

    def note(self, room: Room) -> None:
        """Follow what has changed in `room`, or its end."""
        before = self._known.get(room.id, _NOBODY)
        after = _NOBODY if room.is_closed else room.counts
        if after == before:
            return
        self.moderators += after.moderator - before.moderator
        self.speakers += after.speaker - before.speaker
        self.listeners += after.listener - before.listener
        if after == _NOBODY:
            del self._known[room.id]
        else:
            self._known[room.id] = after

    def sizes(self) -> dict[str, int]:
        """By name, as metrics have them."""
        return {
            "participants_moderator": self.moderators,
            "participants_speaker": self.speakers,
            "participants_listener": self.listeners,
        }
