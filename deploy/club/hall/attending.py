"""Who comes to a room: people say so themselves, and hosts invite."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.hall.access import may_see
from deploy.club.hall.friends import check_friends
from deploy.club.hall.opening import check_host
from deploy.club.hall.plans import INVITED_MAX
from deploy.club.people.named import named
from deploy.club.people.notices import notify
from deploy.club.refusal import N_, Refused
from deploy.club.store import Attendance, Member, Room, RoomSeat


async def will_come(tx: AsyncSession, room: Room, member: Member, now: datetime) -> None:
    """The member comes, is reminded before and told when the room opens.

    Saying it again changes nothing. Raises Refused as `may_see`, or `not_waiting`.
    """
    await may_see(tx, room, member)
    _check_waiting(room)
    await named(tx, member.id, is_locked=True)
    if await tx.get(Attendance, (room.id, member.id)) is None:
        tx.add(Attendance(room_id=room.id, member_id=member.id, at=now))
        await tx.flush()


async def wont_come(tx: AsyncSession, room: Room, member: Member) -> None:
    """The member does not come after all. A host who was named by another is none any more.

    Raises Refused as `may_see`, or `not_waiting`.
    """
    await may_see(tx, room, member)
    _check_waiting(room)
    await named(tx, member.id, is_locked=True)
    attendance = await tx.get(Attendance, (room.id, member.id))
    if attendance is not None:
        await tx.delete(attendance)
    seat = await tx.get(RoomSeat, (room.id, member.id))
    if seat is not None and seat.seat == "host" and member.id != room.created_by:
        seat.seat = "invited"
    await tx.flush()


async def invite(tx: AsyncSession, room: Room, host: Member, member_id: str, now: datetime) -> None:
    """Let somebody in whom the room's visibility would keep out, or who was removed, and tell them.

    Raises Refused `not_host`, `over`, `no_such_member` for who does not follow the host, or
    `too_many_people`. Who has a seat keeps it and is told once.
    """
    await check_host(tx, room, host)
    # Of two who invite at once the second one waits here and sees what the first one did.
    await tx.refresh(room, with_for_update={"key_share": True})
    if room.state not in ("scheduled", "live"):
        raise Refused("over", 409, N_("This room is over."))
    await check_friends(tx, host, [member_id])
    seat = await tx.get(RoomSeat, (room.id, member_id))
    if seat is not None and seat.seat != "removed":
        return
    await _check_invited(tx, room)
    if seat is None:
        tx.add(RoomSeat(room_id=room.id, member_id=member_id, seat="invited"))
    else:
        seat.seat = "invited"
    await tx.flush()
    await notify(tx, member_id, "invited", {"room": room.id, "member": host.id}, now)


def _check_waiting(room: Room) -> None:
    if room.state != "scheduled":
        raise Refused("not_waiting", 409, N_("This room is not waiting to be opened any more."))


async def _check_invited(tx: AsyncSession, room: Room) -> None:
    count = await tx.scalar(
        select(func.count())
        .select_from(RoomSeat)
        .where(RoomSeat.room_id == room.id, RoomSeat.seat == "invited")
    )
    if (count or 0) >= INVITED_MAX:
        raise Refused(
            "too_many_people", 409, N_("Please choose at most %(limit)d people."), limit=INVITED_MAX
        )
