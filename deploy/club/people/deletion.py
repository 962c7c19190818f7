"""Somebody leaves for good, and what the club knew of them goes.

What stays is a row without name, number, bio or picture, because others' rows point to it: the
chain of invitations, and the log of moderation, keep "somebody who deleted the account". What
others did stays theirs. COVERED says for each table what happens; a test compares it with the
tables that there are.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.hall.opening import call_off, end_room
from deploy.club.people.moderation import STANDING_TOPIC
from deploy.club.people.notices import forget_caused_by
from deploy.club.store import (
    AllowedNumber,
    Attendance,
    Block,
    Follow,
    Invitation,
    LoginCode,
    Member,
    MemberInterest,
    Notice,
    Picture,
    Report,
    Room,
    RoomInterest,
    RoomSeat,
    Session,
    Talk,
    publish_after,
)

# The topic of a room whose hosts are all gone; in no language.
NO_TOPIC = "–"

# What `forget` does with each table that knows of members.
COVERED: dict[str, str] = {
    "members": "emptied; the row stays for the chain of invitations",
    "login_codes": "deleted",
    "sessions": "deleted",
    "allowed_numbers": "deleted; who added other numbers stays as an empty member",
    "invitations": "unused ones deleted, used ones without their label for the chain",
    "member_interests": "deleted",
    "follows": "deleted, both ways",
    "blocks": "deleted, both ways",
    "reports": "about the member deleted; by the member without author and text",
    "pictures": "deleted",
    "notices": "deleted, with those that the member caused",
    "moderation_entries": "stay, with the empty member: they hold no names and no texts",
    "rooms": "handed to another host, or emptied of their texts where there is none",
    "room_seats": "deleted",
    "attendances": "deleted",
    "talks": "deleted",
}


async def forget(tx: AsyncSession, member_id: str, now: datetime) -> None:
    """Deletes what the club knows of a member; again changes nothing.

    Live rooms where the member is the only host end; scheduled ones are cancelled, and those who
    would have come are told. Open pages and live rooms hear of it by the bus.
    """
    # Whoever is about to point to this member waits until there is nobody to point to.
    member = await tx.get(Member, member_id, populate_existing=True, with_for_update=True)
    if member is None or member.deleted_at is not None:
        return
    await _leave_rooms(tx, member_id, now)
    await _forget_the_door(tx, member)
    await _forget_people(tx, member_id)
    await tx.execute(delete(MemberInterest).where(MemberInterest.member_id == member_id))
    await tx.execute(delete(Picture).where(Picture.member_id == member_id))
    await tx.execute(delete(Notice).where(Notice.member_id == member_id))
    await forget_caused_by(tx, member_id)
    _empty(member, now)
    publish_after(tx, STANDING_TOPIC, {"member": member_id, "standing": "deleted"})


def _empty(member: Member, now: datetime) -> None:
    member.phone_hash = None
    member.name = ""
    member.bio = ""
    member.picture_id = None
    member.language = "en"
    member.standing = "removed"
    member.is_host = False
    member.invitations_left = 0
    member.waiting_since = None
    member.deleted_at = now


async def _leave_rooms(tx: AsyncSession, member_id: str, now: datetime) -> None:
    for room in (await tx.scalars(select(Room).where(Room.created_by == member_id))).all():
        heir = await _other_host(tx, room.id, member_id)
        if heir is not None:
            room.created_by = heir
            continue
        if room.state == "scheduled":
            await call_off(tx, room, None, now)
        await end_room(tx, room, now)
        room.topic, room.about = NO_TOPIC, ""
        await tx.execute(delete(RoomInterest).where(RoomInterest.room_id == room.id))
    for table in (RoomSeat, Attendance, Talk):
        await tx.execute(delete(table).where(table.member_id == member_id))


async def _other_host(tx: AsyncSession, room_id: str, member_id: str) -> str | None:
    other: str | None = await tx.scalar(
        select(RoomSeat.member_id)
        .where(
            RoomSeat.room_id == room_id, RoomSeat.seat == "host", RoomSeat.member_id != member_id
        )
        .order_by(RoomSeat.member_id)
        .limit(1)
    )
    return other


async def _forget_the_door(tx: AsyncSession, member: Member) -> None:
    if member.phone_hash is not None:
        for table in (LoginCode, AllowedNumber, Session):
            await tx.execute(delete(table).where(table.phone_hash == member.phone_hash))
    await tx.execute(delete(Session).where(Session.member_id == member.id))
    own = Invitation.inviter_id == member.id
    await tx.execute(delete(Invitation).where(own, Invitation.used_by.is_(None)))
    await tx.execute(update(Invitation).where(own).values(label=""))


async def _forget_people(tx: AsyncSession, member_id: str) -> None:
    follows = or_(Follow.follower_id == member_id, Follow.followed_id == member_id)
    blocks = or_(Block.blocker_id == member_id, Block.blocked_id == member_id)
    await tx.execute(delete(Follow).where(follows))
    await tx.execute(delete(Block).where(blocks))
    await tx.execute(delete(Report).where(Report.reported_id == member_id))
    await tx.execute(
        update(Report).where(Report.reporter_id == member_id).values(reporter_id=None, text="")
    )
