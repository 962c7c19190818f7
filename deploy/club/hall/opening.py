"""Rooms begin, at once or at their time, and end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CompoundSelect, Select, func, or_, select, union, update
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.hall.friends import check_friends
from deploy.club.hall.plans import Plan
from deploy.club.people.named import named
from deploy.club.people.notices import notify_all
from deploy.club.refusal import N_, Refused
from deploy.club.store import (
    Attendance,
    Block,
    Follow,
    Member,
    Room,
    RoomInterest,
    RoomSeat,
    RoomState,
    Talk,
)
from deploy.club.tokens import id_of, new_id

# Of one member at a time. Nobody hosts more; a script would.
LIVE_MAX = 3
SCHEDULED_MAX = 20
# Followers who are told that a room is open, the latest first; others find it in the hall. Each
# gets a notice of their own, written before the host's own page comes.
FOLLOWERS_TOLD_MAX = 500
# Hosts come a little before their guests.
OPEN_EARLY = timedelta(minutes=15)


async def open_room(tx: AsyncSession, creator: Member, plan: Plan, now: datetime) -> Room:
    """A room that is live from `now` on, with `creator` and the plan's hosts as its hosts.

    Its further hosts and those invited are told, and `creator`'s followers unless it is for invited
    people. The room that the same form has made already is given again. Raises Refused
    `too_many_rooms`, or `no_such_member` for people who cannot be asked.
    """
    made = await _made(tx, creator, plan)
    if made is not None:
        return made
    await _check_count(tx, creator, "live", LIVE_MAX)
    room = _room(creator, plan, now, state="live")
    room.opened_at = now
    await _furnish(tx, room, creator, plan, now)
    asked = plan.hosts | plan.invited
    told = [one for one in await _followers(tx, room, creator) if one not in asked]
    await _tell_open(tx, room, creator, told, now)
    return room


async def schedule_room(tx: AsyncSession, creator: Member, plan: Plan, now: datetime) -> Room:
    """A room that one of its hosts opens at the plan's time, when they are reminded.

    Otherwise as `open_room`.
    """
    assert plan.scheduled_at is not None
    made = await _made(tx, creator, plan)
    if made is not None:
        return made
    await _check_count(tx, creator, "scheduled", SCHEDULED_MAX)
    room = _room(creator, plan, now, state="scheduled")
    room.scheduled_at = plan.scheduled_at
    await _furnish(tx, room, creator, plan, now)
    for host_id in {creator.id, *plan.hosts}:
        tx.add(Attendance(room_id=room.id, member_id=host_id, at=now))
    await tx.flush()
    return room


async def open_scheduled(tx: AsyncSession, room: Room, host: Member, now: datetime) -> None:
    """Make a scheduled room live; tell those who said that they will come, and `host`'s followers.

    Nothing changes when another host was faster. Raises Refused `not_host`, `too_early` or `over`.
    """
    await check_host(tx, room, host)
    # Two hosts press the button at once: the second one waits here and finds it open.
    await tx.refresh(room, with_for_update=True)
    if room.state == "live":
        return
    if room.state != "scheduled" or room.scheduled_at is None:
        raise Refused("over", 409, N_("This room is over."))
    if now < room.scheduled_at - OPEN_EARLY:
        raise Refused(
            "too_early",
            409,
            N_("A room can be opened from %(minutes)d minutes before its time."),
            minutes=OPEN_EARLY // timedelta(minutes=1),
        )
    room.state = "live"
    room.opened_at = now
    await tx.flush()
    guests = await coming(tx, room.id)
    await _tell_open(tx, room, host, [*guests, *await _followers(tx, room, host)], now)


async def end_room(tx: AsyncSession, room: Room, now: datetime) -> None:
    """The room is over and nobody is in it any more; nothing changes when it was already."""
    if room.state == "live":
        room.state = "ended"
        room.ended_at = now
        await tx.flush()
        still_there = update(Talk).where(Talk.room_id == room.id, Talk.left_at.is_(None))
        await tx.execute(still_there.values(left_at=now))


async def cancel_room(tx: AsyncSession, room: Room, host: Member, now: datetime) -> None:
    """A scheduled room will not take place; those who would have come are told.

    Raises Refused `not_host`, or `over` when it is not waiting any more.
    """
    await check_host(tx, room, host)
    await tx.refresh(room, with_for_update=True)
    if room.state != "scheduled":
        raise Refused("over", 409, N_("This room is not waiting to be opened any more."))
    await call_off(tx, room, host.id, now)


async def call_off(tx: AsyncSession, room: Room, by: str | None, now: datetime) -> None:
    """Cancel without asking who may; `by` is None for the club itself."""
    room.state = "cancelled"
    room.ended_at = now
    await tx.flush()
    told = {"room": room.id} | ({"member": by} if by else {})
    await notify_all(tx, await coming(tx, room.id), "cancelled", told, now)


async def coming(tx: AsyncSession, room_id: str) -> list[str]:
    """Those to tell of the room because they said that they will come, in the order in which they
    said so; without those who have fallen out with one of its hosts since.
    """
    hosts = _hosts(room_id)
    return list(
        await tx.scalars(
            select(Attendance.member_id)
            .where(
                Attendance.room_id == room_id,
                or_(Attendance.member_id.in_(hosts), Attendance.member_id.not_in(_apart(room_id))),
            )
            .order_by(Attendance.at, Attendance.member_id)
        )
    )


async def check_host(tx: AsyncSession, room: Room, member: Member) -> None:
    """Raises Refused `not_host` for who has no power over the room."""
    seat = await tx.get(RoomSeat, (room.id, member.id))
    if seat is None or seat.seat != "host":
        raise Refused("not_host", 403, N_("Only the hosts of the room may do that."))


async def _followers(tx: AsyncSession, room: Room, host: Member) -> list[str]:
    """Those who follow `host` and may enter; of very many the latest."""
    if room.visibility == "invited":
        return []
    return list(
        await tx.scalars(
            select(Follow.follower_id)
            .join(Member, Member.id == Follow.follower_id)
            .where(
                Follow.followed_id == host.id,
                Member.standing == "member",
                Member.deleted_at.is_(None),
                Follow.follower_id.not_in(_apart(room.id)),
            )
            .order_by(Follow.at.desc(), Follow.follower_id)
            .limit(FOLLOWERS_TOLD_MAX)
        )
    )


async def _tell_open(
    tx: AsyncSession, room: Room, host: Member, members: Iterable[str], now: datetime
) -> None:
    told = {"room": room.id, "member": host.id}
    await notify_all(tx, list(members), "room_open", told, now)


def _hosts(room_id: str) -> Select[Any]:
    return select(RoomSeat.member_id).where(RoomSeat.room_id == room_id, RoomSeat.seat == "host")


def _apart(room_id: str) -> CompoundSelect[Any]:
    """Whom a host of the room blocked, or was blocked by."""
    hosts = _hosts(room_id)
    return union(
        select(Block.blocked_id).where(Block.blocker_id.in_(hosts)),
        select(Block.blocker_id).where(Block.blocked_id.in_(hosts)),
    )


def _room(creator: Member, plan: Plan, now: datetime, *, state: RoomState) -> Room:
    return Room(
        id=_id(creator, plan) if plan.form else new_id("r"),
        topic=plan.topic,
        about=plan.about,
        visibility=plan.visibility,
        created_by=creator.id,
        state=state,
        language=plan.language,
        is_locked=False,
    )


def _id(creator: Member, plan: Plan) -> str:
    return id_of("r", creator.id, plan.form, plan.topic, str(plan.scheduled_at))


async def _made(tx: AsyncSession, creator: Member, plan: Plan) -> Room | None:
    """The room of a form that was sent before. Whoever sends it twice at once waits here."""
    await named(tx, creator.id, is_locked=True)
    return await tx.get(Room, _id(creator, plan)) if plan.form else None


async def _check_count(tx: AsyncSession, creator: Member, state: RoomState, limit: int) -> None:
    count = await tx.scalar(
        select(func.count())
        .select_from(Room)
        .where(Room.created_by == creator.id, Room.state == state)
    )
    if (count or 0) >= limit:
        raise Refused("too_many_rooms", 409, N_("You have %(limit)d rooms already."), limit=limit)


async def _furnish(
    tx: AsyncSession, room: Room, creator: Member, plan: Plan, now: datetime
) -> None:
    """Store the room with its interests and seats, and tell whoever got one."""
    hosts = plan.hosts - {creator.id}
    invited = plan.invited - hosts - {creator.id}
    await check_friends(tx, creator, hosts | invited)
    tx.add(room)
    # The rows below point to it.
    await tx.flush()
    tx.add_all(RoomInterest(room_id=room.id, slug=slug) for slug in plan.interests)
    _seat(tx, room, {creator.id, *hosts}, "host")
    _seat(tx, room, invited, "invited")
    await tx.flush()
    told = {"room": room.id, "member": creator.id}
    await notify_all(tx, sorted(hosts), "host", told, now)
    await notify_all(tx, sorted(invited), "invited", told, now)


def _seat(tx: AsyncSession, room: Room, members: Iterable[str], seat: str) -> None:
    tx.add_all(RoomSeat(room_id=room.id, member_id=each, seat=seat) for each in members)
