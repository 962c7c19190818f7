"""What the pages of the hall show, read for one member."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.hall.access import Facts, visible
from deploy.club.hall.ranking import Candidate, rank
from deploy.club.hall.reminders import MISSED_AFTER
from deploy.club.people.blocks import blocked_between
from deploy.club.people.interests import interests_of
from deploy.club.refusal import N_
from deploy.club.store import (
    Attendance,
    Follow,
    Member,
    Room,
    RoomInterest,
    RoomSeat,
    Seat,
    Visibility,
)

# The newest live rooms that are looked at, and how many of them a page shows.
LIVE_READ_MAX = 500
LIVE_SHOWN_MAX = 60
UPCOMING_READ_MAX = 300
UPCOMING_SHOWN_MAX = 60
# Faces on a card.
FACES_MAX = 4
ON_STAGE: frozenset[Seat] = frozenset({"host", "moderator", "speaker"})

# What each visibility is called on pages.
VISIBILITIES: dict[Visibility, str] = {
    "open": N_("Open to all members"),
    "followers": N_("For followers of the hosts"),
    "invited": N_("For invited people"),
}


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many are in a room at this moment, and the names of those on stage."""

    speakers: int = 0
    listeners: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoomCard:
    """One room as a card shows it."""

    room: Room
    hosts: tuple[Member, ...]
    interests: tuple[str, ...]  # slugs
    crowd: Crowd = Crowd()
    coming: int = 0
    is_coming: bool = False
    is_host: bool = False
    is_invited: bool = False

    @property
    def faces(self) -> tuple[Member, ...]:
        """Those whose pictures there is room for."""
        return self.hosts[:FACES_MAX]


async def hall(
    tx: AsyncSession, member: Member, crowd_of: Callable[[str], Crowd], now: datetime
) -> list[RoomCard]:
    """The live rooms that are open to the member, in their order (see `ranking`)."""
    rows = await tx.scalars(
        select(Room)
        .where(Room.state == "live")
        .order_by(Room.opened_at.desc(), Room.id)
        .limit(LIVE_READ_MAX)
    )
    rooms = rows.all()
    shown = await visible(tx, rooms, member)
    rooms = [room for room in rooms if room.id in shown]
    seated = await _seated(tx, [room.id for room in rooms])
    about = await _interests(tx, [room.id for room in rooms])
    crowds = {room.id: crowd_of(room.id) for room in rooms}
    follows = await tx.scalars(select(Follow.followed_id).where(Follow.follower_id == member.id))
    ranked = rank(
        (_candidate(room, shown, seated, about, crowds[room.id]) for room in rooms),
        await interests_of(tx, member.id),
        frozenset(follows),
        now,
    )[:LIVE_SHOWN_MAX]
    cards = await _cards(tx, [each.room_id for each in ranked], rooms, shown, seated, about)
    return [replace(card, crowd=crowds[card.room.id]) for card in cards]


async def upcoming(tx: AsyncSession, member: Member, now: datetime) -> list[RoomCard]:
    """The rooms to come that are open to the member, the next one first."""
    rows = await tx.scalars(
        select(Room)
        .where(Room.state == "scheduled", Room.scheduled_at > now - MISSED_AFTER)
        .order_by(Room.scheduled_at, Room.id)
        .limit(UPCOMING_READ_MAX)
    )
    rooms = rows.all()
    shown = await visible(tx, rooms, member)
    ids = [room.id for room in rooms if room.id in shown][:UPCOMING_SHOWN_MAX]
    cards = await _cards(tx, ids, rooms, shown, await _seated(tx, ids), await _interests(tx, ids))
    return await _with_coming(tx, cards, member)


async def card_of(tx: AsyncSession, room: Room, member: Member, facts: Facts) -> RoomCard:
    """One room, whatever its state; who may see it was asked before."""
    ids = [room.id]
    cards = await _cards(
        tx, ids, [room], {room.id: facts}, await _seated(tx, ids), await _interests(tx, ids)
    )
    return (await _with_coming(tx, cards, member))[0]


async def guests(tx: AsyncSession, room: Room, member: Member, limit: int) -> list[Member]:
    """Those who said that they will come, the first ones first; without those whom the member does
    not meet.
    """
    rows = await tx.scalars(
        select(Member)
        .join(Attendance, Attendance.member_id == Member.id)
        .where(
            Attendance.room_id == room.id,
            Member.standing == "member",
            Member.id.not_in(await blocked_between(tx, member.id)),
        )
        .order_by(Attendance.at, Member.id)
        .limit(limit)
    )
    return list(rows)


async def invited(tx: AsyncSession, room: Room) -> list[Member]:
    """Those whom the hosts have let in, by name."""
    rows = await tx.scalars(
        select(Member)
        .join(RoomSeat, RoomSeat.member_id == Member.id)
        .where(RoomSeat.room_id == room.id, RoomSeat.seat == "invited")
        .order_by(func.lower(Member.name), Member.id)
    )
    return list(rows)


Seated = dict[str, list[tuple[str, Seat]]]  # by room: members and seats
Topics = dict[str, list[str]]  # by room: interests


async def _seated(tx: AsyncSession, ids: Collection[str]) -> Seated:
    rows = await tx.execute(
        select(RoomSeat.room_id, RoomSeat.member_id, RoomSeat.seat)
        .where(RoomSeat.room_id.in_(ids), RoomSeat.seat.in_(ON_STAGE))
        .order_by(RoomSeat.member_id)
    )
    seated: Seated = defaultdict(list)
    for room_id, member_id, seat in rows:
        seated[room_id].append((member_id, seat))
    return seated


async def _interests(tx: AsyncSession, ids: Collection[str]) -> Topics:
    rows = await tx.execute(
        select(RoomInterest.room_id, RoomInterest.slug)
        .where(RoomInterest.room_id.in_(ids))
        .order_by(RoomInterest.slug)
    )
    topics: Topics = defaultdict(list)
    for room_id, slug in rows:
        topics[room_id].append(slug)
    return topics


def _candidate(
    room: Room, shown: dict[str, Facts], seated: Seated, about: Topics, crowd: Crowd
) -> Candidate:
    assert room.opened_at is not None
    return Candidate(
        room_id=room.id,
        opened_at=room.opened_at,
        interests=frozenset(about.get(room.id, ())),
        hosts=_with_seat(seated, room.id, "host"),
        stage=frozenset(member_id for member_id, _ in seated.get(room.id, ())),
        speakers=crowd.speakers,
        listeners=crowd.listeners,
        is_invited=shown[room.id].seat == "invited",
    )


def _with_seat(seated: Seated, room_id: str, wanted: Seat) -> frozenset[str]:
    return frozenset(member_id for member_id, seat in seated.get(room_id, ()) if seat == wanted)


async def _cards(
    tx: AsyncSession,
    ids: Sequence[str],
    rooms: Sequence[Room],
    shown: dict[str, Facts],
    seated: Seated,
    about: Topics,
) -> list[RoomCard]:
    """Cards of `ids`, in their order."""
    by_id = {room.id: room for room in rooms}
    host_ids = {room_id: _with_seat(seated, room_id, "host") for room_id in ids}
    everybody = await _members(tx, frozenset[str]().union(*host_ids.values()))
    cards = []
    for room_id in ids:
        room = by_id[room_id]
        hosts = [everybody[each] for each in host_ids[room_id] if each in everybody]
        hosts.sort(key=lambda host: (host.name.casefold(), host.id))
        # Whose idea it was comes first.
        creator_id = room.created_by
        hosts = [h for h in hosts if h.id == creator_id] + [h for h in hosts if h.id != creator_id]
        cards.append(
            RoomCard(
                room=room,
                hosts=tuple(hosts),
                interests=tuple(about.get(room_id, ())),
                is_host=shown[room_id].seat == "host",
                is_invited=shown[room_id].seat == "invited",
            )
        )
    return cards


async def _members(tx: AsyncSession, ids: Collection[str]) -> dict[str, Member]:
    rows = await tx.scalars(select(Member).where(Member.id.in_(ids), Member.deleted_at.is_(None)))
    return {each.id: each for each in rows}


async def _with_coming(
    tx: AsyncSession, cards: Sequence[RoomCard], member: Member
) -> list[RoomCard]:
    ids = [card.room.id for card in cards]
    counts = await tx.execute(
        select(Attendance.room_id, func.count())
        .where(Attendance.room_id.in_(ids))
        .group_by(Attendance.room_id)
    )
    count_of = {room_id: count for room_id, count in counts}
    mine = set(
        await tx.scalars(
            select(Attendance.room_id).where(
                Attendance.room_id.in_(ids), Attendance.member_id == member.id
            )
        )
    )
    return [
        replace(card, coming=count_of.get(card.room.id, 0), is_coming=card.room.id in mine)
        for card in cards
    ]
