"""How many people there are in all rooms together, by role, and how many rooms of each size there
are, without walking through the rooms."""

from __future__ import annotations

from control.types import Counts
from sfu.stage import Room
from sfu.worker.tally import Tally

_NOBODY = Counts()
PEOPLE_EDGES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)


class Census:
    """Of one worker: told of each room after anything was done to it."""

    def __init__(self) -> None:
        self.room_people = Tally(PEOPLE_EDGES)  # of each room in which there is anybody
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
        for counts, times in ((before, -1), (after, 1)):
            if counts != _NOBODY:
                self.room_people.add(_people(counts), times)
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


def _people(counts: Counts) -> int:
    return counts.moderator + counts.speaker + counts.listener
