"""Who may enter a live room, and who is shown that there is one.

`refusal` and `is_shown` are the rules and take facts; `may_enter` and `visible` read the facts.

Nobody meets somebody they blocked or were blocked by: a room of a host on the other side of a block
is answered as if it did not exist, which tells nothing of the block. Whom the hosts removed stays
out until they invite again. A room for followers lets in who follows one of its hosts, one for
invited people only them; whoever has a seat was let in once already. A locked room lets in those
who have their seats in it, and nobody new.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.refusal import N_, Refused
from deploy.club.store import Block, Follow, Member, Room, RoomSeat, RoomState, Seat, Visibility

# Roles that outlast a lock; an invitation alone is of somebody new.
SEATED: frozenset[Seat] = frozenset({"host", "moderator", "speaker"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What is between a member and a room."""

    state: RoomState = "live"
    visibility: Visibility = "open"
    is_locked: bool = False
    seat: Seat | None = None
    is_follower: bool = False  # of one of the hosts
    is_blocked: bool = False  # either way, with one of the hosts
    is_inside: bool = False  # in the room at this moment, and comes back
    is_member: bool = True  # of the club: admitted, not removed, not deleted


def refusal(facts: Facts) -> Refused | None:
    """Why somebody may not enter; None if they may."""
    if not facts.is_member:
        return Refused("not_member", 403, N_("Only members of the club may do that."))
    if _is_hidden(facts):
        return no_such_room()
    if facts.seat == "removed":
        return Refused("removed", 403, N_("A moderator removed you from this room."))
    if facts.visibility == "followers" and not (facts.seat or facts.is_follower):
        return Refused("followers_only", 403, N_("This room is for followers of its hosts."))
    if facts.visibility == "invited" and not facts.seat:
        return Refused("invited_only", 403, N_("This room is for people its hosts have invited."))
    if facts.state == "scheduled":
        return Refused("not_open", 409, N_("This room has not opened yet."))
    if facts.state != "live":
        return Refused("over", 409, N_("This room is over."))
    if facts.is_locked and not (facts.is_inside or facts.seat in SEATED):
        return Refused("locked", 403, N_("This room is locked: nobody new comes in."))
    return None


def is_shown(facts: Facts) -> bool:
    """Whether lists show the room: those that one may enter, or could if it were open by now."""
    problem = refusal(facts)
    return problem is None or problem.code == "not_open"


def _is_hidden(facts: Facts) -> bool:
    return facts.is_blocked and facts.seat != "host"


def no_such_room() -> Refused:
    """The one answer for rooms that never were and rooms that somebody must not know of."""
    return Refused("no_such_room", 404, N_("There is no such room."))


async def may_enter(
    tx: AsyncSession, room: Room, member: Member, now: datetime, *, is_inside: bool = False
) -> None:
    """Raises Refused where the member may not be in the room at `now`.

    `is_inside`: the member is in it and only renews the connection, so that a lock is no obstacle.
    """
    problem = refusal(await facts_of(tx, room, member, is_inside=is_inside))
    if problem is not None:
        raise problem


async def may_see(tx: AsyncSession, room: Room, member: Member) -> None:
    """Raises Refused where the member may not read what the room is about, whatever its state."""
    problem = refusal(await facts_of(tx, room, member))
    if problem is not None and problem.code not in ("not_open", "over", "locked"):
        raise problem


async def facts_of(
    tx: AsyncSession, room: Room, member: Member, *, is_inside: bool = False
) -> Facts:
    """What is between the two at this moment."""
    return (await _all_facts(tx, [room], member, is_inside=is_inside))[room.id]


async def visible(tx: AsyncSession, rooms: Iterable[Room], member: Member) -> dict[str, Facts]:
    """Those of `rooms` that lists show to the member, by id and in the same order."""
    facts = await _all_facts(tx, list(rooms), member)
    return {room_id: each for room_id, each in facts.items() if is_shown(each)}


async def _all_facts(
    tx: AsyncSession, rooms: list[Room], member: Member, *, is_inside: bool = False
) -> dict[str, Facts]:
    """Three queries, however many rooms there are."""
    seats: dict[str, Seat] = {}
    hosts: dict[str, set[str]] = {room.id: set() for room in rooms}
    rows = await tx.execute(
        select(RoomSeat.room_id, RoomSeat.member_id, RoomSeat.seat).where(
            RoomSeat.room_id.in_(hosts),
            or_(RoomSeat.seat == "host", RoomSeat.member_id == member.id),
        )
    )
    for room_id, member_id, seat in rows:
        if seat == "host":
            hosts[room_id].add(member_id)
        if member_id == member.id:
            seats[room_id] = seat
    everybody = set[str]().union(*hosts.values())
    followed = await _followed(tx, member.id, everybody)
    blocked = await _blocked(tx, member.id, everybody)
    return {
        room.id: Facts(
            state=room.state,
            visibility=room.visibility,
            is_locked=room.is_locked,
            seat=seats.get(room.id),
            is_follower=not followed.isdisjoint(hosts[room.id]),
            is_blocked=not blocked.isdisjoint(hosts[room.id]),
            is_inside=is_inside,
            is_member=member.standing == "member" and member.deleted_at is None,
        )
        for room in rooms
    }


async def _followed(tx: AsyncSession, member_id: str, hosts: set[str]) -> set[str]:
    return set(
        await tx.scalars(
            select(Follow.followed_id).where(
                Follow.follower_id == member_id, Follow.followed_id.in_(hosts)
            )
        )
    )


async def _blocked(tx: AsyncSession, member_id: str, hosts: set[str]) -> set[str]:
    blocks = await tx.execute(
        select(Block.blocker_id, Block.blocked_id).where(
            or_(
                (Block.blocker_id == member_id) & Block.blocked_id.in_(hosts),
                (Block.blocked_id == member_id) & Block.blocker_id.in_(hosts),
            )
        )
    )
    return {person for pair in blocks for person in pair} - {member_id}
