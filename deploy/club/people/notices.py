"""What a member is told: kept until read and beyond, and sent to open pages at once.

A notice stores ids only, never names or topics: those are looked up when it is shown, so that who
deletes an account is named nowhere, and a room that was renamed is named right. What goes over the
bus (topic BUS_TOPIC) carries them, because it is shown in the same moment:

    {"to": [member ids], "kind", "member": id | None, "name", "room": id | None, "topic", "at"}
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.people.blocks import blocked_between
from deploy.club.refusal import N_
from deploy.club.store import Member, Notice, Room, publish_after
from deploy.club.tokens import new_id

BUS_TOPIC = "notice"
# What one member keeps; older ones are forgotten. Nobody reads further back, and a busy club
# would otherwise fill its database with what is long over.
KEPT_MAX = 200
# What the page of notices shows.
SHOWN_MAX = 50
# Members who are told the same thing in one message, which PostgreSQL's NOTIFY has room for.
BATCH = 100


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind reads and where it leads. `text` has places %(name)s and %(topic)s."""

    text: str
    leads_to: str  # "room", "member", or an address of the club


KINDS: dict[str, Kind] = {
    "admitted": Kind(N_("Welcome: you are a member now."), "/hall"),
    "invited": Kind(N_("%(name)s invited you to the room “%(topic)s”."), "room"),
    "joined": Kind(N_("%(name)s joined the club with your invitation."), "member"),
    "followed": Kind(N_("%(name)s follows you."), "member"),
    "ping": Kind(N_("%(name)s asks you to come into “%(topic)s”."), "room"),
    "reminder": Kind(N_("“%(topic)s” begins soon."), "room"),
    "room_open": Kind(N_("%(name)s opened the room “%(topic)s”."), "room"),
    "cancelled": Kind(N_("“%(topic)s” was cancelled."), "/upcoming"),
    "stage": Kind(N_("%(name)s invites you to the stage of “%(topic)s”."), "room"),
    "host": Kind(N_("%(name)s made you a host of “%(topic)s”."), "room"),
    "warned": Kind(N_("The hosts of the club ask you to mind how you treat others."), "/hall"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """A notice with what its ids stand for today; empty texts for what is no more."""

    id: str
    kind: str
    member_id: str | None
    name: str
    room_id: str | None
    topic: str
    created_at: datetime
    is_unread: bool

    def sentence(self, translate: Callable[[str], str]) -> str:
        """What it says in the language of `translate`."""
        return sentence(self.kind, self.name, self.topic, translate)

    @property
    def address(self) -> str:
        """Where it leads within the club."""
        return address(self.kind, self.member_id, self.room_id)


def sentence(kind: str, name: str, topic: str, translate: Callable[[str], str]) -> str:
    """What a notice of this kind says; KeyError for a kind that is not in KINDS."""
    name = name or translate(N_("Deleted member"))
    topic = topic or translate(N_("Deleted room"))
    return translate(KINDS[kind].text) % {"name": name, "topic": topic}


def address(kind: str, member_id: str | None, room_id: str | None) -> str:
    """Where a notice of this kind leads within the club; /notices when its target is unknown."""
    leads_to = KINDS[kind].leads_to
    if leads_to.startswith("/"):
        return leads_to
    if leads_to == "room":
        return f"/rooms/{room_id}" if room_id else "/notices"
    return f"/people/{member_id}" if member_id else "/notices"


async def notify(
    tx: AsyncSession, member_id: str, kind: str, payload: dict[str, Any], now: datetime
) -> None:
    """Tells one member. `payload`: `member` is the id of who caused it, `room` that of a room.

    Nothing happens when the two do not want to meet. KeyError for a kind that is not in KINDS.
    """
    await notify_all(tx, (member_id,), kind, payload, now)


async def notify_all(
    tx: AsyncSession,
    member_ids: Collection[str],
    kind: str,
    payload: dict[str, Any],
    now: datetime,
) -> None:
    """Tells several members the same, like `notify`; nobody twice, and never who caused it."""
    assert kind in KINDS, kind
    by, room_id = payload.get("member"), payload.get("room")
    apart = await blocked_between(tx, by) if by else set()
    recipients = [one for one in dict.fromkeys(member_ids) if one != by and one not in apart]
    if not recipients:
        return
    name = await tx.scalar(select(Member.name).where(Member.id == by)) if by else ""
    topic = await tx.scalar(select(Room.topic).where(Room.id == room_id)) if room_id else ""
    stored = {key: value for key, value in (("member", by), ("room", room_id)) if value}
    said = {"kind": kind, "member": by, "name": name or "", "room": room_id, "topic": topic or ""}
    for start in range(0, len(recipients), BATCH):
        batch = recipients[start : start + BATCH]
        tx.add_all(
            Notice(id=new_id("n"), member_id=one, kind=kind, payload=stored, created_at=now)
            for one in batch
        )
        publish_after(tx, BUS_TOPIC, {"to": batch, **said, "at": now.isoformat()})
        await tx.flush()
        await _forget_old(tx, batch)


async def unread(tx: AsyncSession, member_id: str) -> int:
    """How many notices the member has not read."""
    count = await tx.scalar(
        select(func.count())
        .select_from(Notice)
        .where(Notice.member_id == member_id, Notice.read_at.is_(None))
    )
    return count or 0


async def latest(tx: AsyncSession, member_id: str, limit: int = SHOWN_MAX) -> list[Told]:
    """The newest notices of the member, newest first."""
    rows = await tx.scalars(
        select(Notice)
        .where(Notice.member_id == member_id)
        .order_by(Notice.created_at.desc(), Notice.id)
        .limit(limit)
    )
    kept = [one for one in rows if one.kind in KINDS]
    names = await _names(tx, kept)
    topics = await _topics(tx, kept)
    return [_told(one, names, topics) for one in kept]


async def read_all(tx: AsyncSession, member_id: str, now: datetime) -> None:
    """The member has seen what there is."""
    await tx.execute(
        update(Notice)
        .where(Notice.member_id == member_id, Notice.read_at.is_(None))
        .values(read_at=now)
    )


async def forget_caused_by(tx: AsyncSession, member_id: str) -> None:
    """Removes from everybody's notices those that this member caused."""
    await tx.execute(delete(Notice).where(Notice.payload["member"].as_string() == member_id))


def _told(notice: Notice, names: dict[str, str], topics: dict[str, str]) -> Told:
    member_id, room_id = notice.payload.get("member"), notice.payload.get("room")
    return Told(
        id=notice.id,
        kind=notice.kind,
        member_id=member_id if member_id in names else None,
        name=names.get(member_id or "", ""),
        room_id=room_id if room_id in topics else None,
        topic=topics.get(room_id or "", ""),
        created_at=notice.created_at,
        is_unread=notice.read_at is None,
    )


async def _names(tx: AsyncSession, notices: Sequence[Notice]) -> dict[str, str]:
    ids = {one.payload["member"] for one in notices if "member" in one.payload}
    rows = await tx.execute(
        select(Member.id, Member.name).where(Member.id.in_(ids), Member.deleted_at.is_(None))
    )
    return {id: name for id, name in rows}


async def _topics(tx: AsyncSession, notices: Sequence[Notice]) -> dict[str, str]:
    ids = {one.payload["room"] for one in notices if "room" in one.payload}
    rows = await tx.execute(select(Room.id, Room.topic).where(Room.id.in_(ids)))
    return {id: topic for id, topic in rows}


async def _forget_old(tx: AsyncSession, member_ids: Sequence[str]) -> None:
    """Of each of these, what is older than the newest KEPT_MAX."""
    newest_first = func.row_number().over(
        partition_by=Notice.member_id, order_by=Notice.created_at.desc()
    )
    ranked = (
        select(Notice.id, newest_first.label("rank"))
        .where(Notice.member_id.in_(member_ids))
        .subquery()
    )
    old = select(ranked.c.id).where(ranked.c.rank > KEPT_MAX)
    await tx.execute(delete(Notice).where(Notice.id.in_(old)))
