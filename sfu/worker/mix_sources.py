"""What a room's mixer is told of those whose packets it gets: before the first, on change, and when
they leave.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sfu.mixing.orders import ForgetSource, SetSource

if TYPE_CHECKING:
    from sfu.stage import Room
    from sfu.worker.peers import Peers

# A bonus from here on makes a priority speaker, for whom others become quieter. It is a moderator's
# by role, and twice what a voice must be louder than another to take its slot: nobody has so much
# by accident.
PRIORITY_DB = 12.0
# More sources than a room has slots hold one now and then; who has not for long is told anew.
TOLD_MAX = 256


class MixSources:
    """Of the room that the mixer calls `number`."""

    __slots__ = ("_number", "_peers", "_told")

    def __init__(self, number: int, peers: Peers) -> None:
        self._number = number
        self._peers = peers
        self._told: dict[int, SetSource] = {}

    def describe(self, sources: Iterable[int], room: Room) -> Iterator[SetSource]:
        """Orders for those of `sources` that the mixer does not know, or not as they are."""
        for source in sources:
            order = self._order(source, room)
            if order is None or order == self._told.get(source):
                continue
            if len(self._told) >= TOLD_MAX:
                del self._told[next(iter(self._told))]
            self._told[source] = order
            yield order

    def leave(self, source: int) -> Iterator[ForgetSource]:
        """The order for one that leaves the room, if the mixer knows it."""
        if self._told.pop(source, None) is not None:
            yield ForgetSource(room=self._number, source=source)

    def __contains__(self, source: int) -> bool:
        return source in self._told

    def forget_all(self) -> None:
        """The mixer knows nobody any more."""
        self._told.clear()

    def _order(self, source: int, room: Room) -> SetSource | None:
        """None when `source` is nobody's in `room`: whoever it was has left."""
        peer = self._peers.by_source(source)
        if peer is None or peer.room is not room:
            return None
        participant = room.participants.get(peer.participant)
        if participant is None:
            return None
        return SetSource(
            room=self._number,
            source=source,
            csrc=participant.number,
            echo_group=participant.echo_group,
            bonus_db=participant.bonus_db,
            is_priority=participant.bonus_db >= PRIORITY_DB,
        )
