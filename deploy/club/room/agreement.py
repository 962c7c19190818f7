"""Where what the daemon shows of a room differs from what the database says of it: locks and seats.

A process may have been killed between writing a change down and telling the daemon. What differs at
one look may be on its way; what still differs in the same way at the next is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control import Client
from control.types import HandPolicy, ParticipantState, RoomState
from deploy.club.room.scenes import Scene, is_locked, metadata_of, room_metadata
from deploy.club.store import Room, RoomSeat, Seat


@dataclass(frozen=True, slots=True)
class Locks:
    """What the daemon should show of a room."""

    room_id: str
    is_locked: bool
    hands: HandPolicy

    async def tell(self, control: Client) -> None:
        """Tell the daemon."""
        await control.room_update(
            room=self.room_id,
            metadata=room_metadata(is_locked=self.is_locked),
            hand_policy=self.hands,
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """What the daemon should show of somebody's seat, for as long as they are there this time."""

    room_id: str
    member_id: str
    seat: Seat
    picture: str | None
    generation: int

    async def tell(self, control: Client) -> None:
        """Tell the daemon."""
        await control.participant_update(
            room=self.room_id,
            participant=self.member_id,
            metadata=metadata_of(self.seat, self.picture),
            if_generation=self.generation,
        )


Difference = Locks | Shown


class Agreement:
    """Remembers the last look."""

    def __init__(self) -> None:
        self._before: frozenset[Difference] = frozenset()

    async def look(self, tx: AsyncSession, scenes: Mapping[str, Scene]) -> list[Difference]:
        """What differed at the last look already."""
        rooms = await tx.scalars(select(Room).where(Room.id.in_(scenes), Room.state == "live"))
        now: set[Difference | None] = {_locks(room, scenes[room.id].view.room) for room in rooms}
        seats = await tx.execute(
            select(RoomSeat.room_id, RoomSeat.member_id, RoomSeat.seat).where(
                RoomSeat.room_id.in_(scenes), RoomSeat.seat != "removed"
            )
        )
        now |= {
            _shown(seat, room_id, scenes[room_id].view.participants.get(member_id))
            for room_id, member_id, seat in seats
        }
        before, self._before = self._before, frozenset(one for one in now if one is not None)
        return [one for one in self._before if one in before]


def _locks(room: Room, shown: RoomState) -> Locks | None:
    hands: HandPolicy = "open" if room.are_hands_open else "closed"
    if room.is_locked == is_locked(shown) and hands == shown.hand_policy:
        return None
    return Locks(room.id, room.is_locked, hands)


def _shown(seat: Seat, room_id: str, state: ParticipantState | None) -> Shown | None:
    if state is None or state.metadata.get("seat") == metadata_of(seat, None)["seat"]:
        return None
    picture = state.metadata.get("picture")
    known = picture if isinstance(picture, str) else None
    return Shown(room_id, state.participant, seat, known, state.generation)
