"""What the club remembers of people in a room: seats, and who is in it.

A `Talk` row without `left_at` is of somebody who is in the room, or whose line was lost a moment
ago: a lock does not keep them out. Who leaves of their own will, is removed, or stays away for too
long has left.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.hall.access import no_such_room
from deploy.club.refusal import N_, Refused
from deploy.club.store import Room, RoomSeat, Seat, Talk


async def room_of(tx: AsyncSession, room_id: str) -> Room:
    """The room. Refused `no_such_room`."""
    room = await tx.get(Room, room_id)
    if room is None:
        raise no_such_room()
    return room


async def live_room(tx: AsyncSession, room_id: str) -> Room:
    """The room, if it is live. Refused `no_such_room` or `over`."""
    room = await room_of(tx, room_id)
    if room.state != "live":
        raise Refused("over", 409, N_("This room is over."))
    return room


async def seat_of(tx: AsyncSession, room_id: str, member_id: str) -> Seat | None:
    """The seat of a member in a room."""
    row = await tx.get(RoomSeat, (room_id, member_id), populate_existing=True)
    return row.seat if row is not None else None


async def seats_of(tx: AsyncSession, room_id: str) -> dict[str, Seat]:
    """All seats of a room by member."""
    rows = await tx.execute(
        select(RoomSeat.member_id, RoomSeat.seat).where(RoomSeat.room_id == room_id)
    )
    return {member_id: seat for member_id, seat in rows}


async def give_seat(tx: AsyncSession, room_id: str, member_id: str, seat: Seat) -> None:
    """The member has this seat from now on, in place of another."""
    is_new = await tx.get(RoomSeat, (room_id, member_id), populate_existing=True) is None
    if is_new and await _added(tx, RoomSeat(room_id=room_id, member_id=member_id, seat=seat)):
        return
    await tx.execute(
        update(RoomSeat)
        .where(RoomSeat.room_id == room_id, RoomSeat.member_id == member_id)
        .values(seat=seat)
    )


async def give_up_seat(tx: AsyncSession, room_id: str, member_id: str) -> None:
    """A speaker is not one any more. They stay somebody whom the room has let in."""
    await tx.execute(
        update(RoomSeat)
        .where(
            RoomSeat.room_id == room_id, RoomSeat.member_id == member_id, RoomSeat.seat == "speaker"
        )
        .values(seat="invited")
    )


async def came(tx: AsyncSession, room_id: str, member_id: str, now: datetime) -> None:
    """The member is in the room; of who was in it before, the first time stands."""
    is_new = await tx.get(Talk, (room_id, member_id), populate_existing=True) is None
    if is_new and await _added(tx, Talk(room_id=room_id, member_id=member_id, joined_at=now)):
        return
    await tx.execute(
        update(Talk)
        .where(Talk.room_id == room_id, Talk.member_id == member_id)
        .values(left_at=None)
    )


async def went(tx: AsyncSession, room_id: str, member_ids: Collection[str], now: datetime) -> None:
    """They are in the room no more; of who had left before, the time stands."""
    await tx.execute(
        update(Talk)
        .where(Talk.room_id == room_id, Talk.member_id.in_(member_ids), Talk.left_at.is_(None))
        .values(left_at=now)
    )


async def came_back(tx: AsyncSession, room_id: str, member_ids: Collection[str]) -> None:
    """They are in the room after all; of who has never been in it nothing is written."""
    await tx.execute(
        update(Talk)
        .where(Talk.room_id == room_id, Talk.member_id.in_(member_ids), Talk.left_at.is_not(None))
        .values(left_at=None)
    )


async def never_came(tx: AsyncSession, room_id: str, member_id: str, now: datetime) -> None:
    """Take `came` back: the daemon did not let them in, and they have not been there before."""
    await tx.execute(
        delete(Talk).where(
            Talk.room_id == room_id, Talk.member_id == member_id, Talk.joined_at == now
        )
    )


async def is_inside(tx: AsyncSession, room_id: str, member_id: str) -> bool:
    """Whether the member is in the room, or comes back from a lost line."""
    row = await tx.get(Talk, (room_id, member_id), populate_existing=True)
    return row is not None and row.left_at is None


async def inside(tx: AsyncSession, room_ids: Collection[str]) -> set[tuple[str, str]]:
    """(room, member) of everybody who is in one of these rooms."""
    rows = await tx.execute(
        select(Talk.room_id, Talk.member_id).where(
            Talk.room_id.in_(room_ids), Talk.left_at.is_(None)
        )
    )
    return {(room_id, member_id) for room_id, member_id in rows}


async def _added(tx: AsyncSession, row: RoomSeat | Talk) -> bool:
    """Add a row; False if somebody else did at the same moment."""
    try:
        async with tx.begin_nested():
            tx.add(row)
    except IntegrityError:
        return False
    return True
