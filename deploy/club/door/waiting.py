"""The waiting list: everybody's place in it, and how the club's hosts let people in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.door.phones import phone_hash
from deploy.club.people import notices
from deploy.club.people.moderation import record
from deploy.club.refusal import N_, Refused
from deploy.club.settings import Settings
from deploy.club.store import Member
from deploy.club.tokens import normalise_phone

# Of the list, on the hosts' page: who is let in next stands at its top.
LISTED_MAX = 100


async def place(tx: AsyncSession, member: Member) -> int:
    """How many people are let in until this one is, with this one: 1 is next."""
    assert member.waiting_since is not None, "only somebody who waits has a place"
    ahead = await tx.scalar(
        select(func.count())
        .select_from(Member)
        .where(
            Member.standing == "waiting",
            or_(
                Member.waiting_since < member.waiting_since,
                and_(Member.waiting_since == member.waiting_since, Member.id < member.id),
            ),
        )
    )
    return (ahead or 0) + 1


async def waiting(tx: AsyncSession) -> Sequence[Member]:
    """Who waits, longest first; at most LISTED_MAX."""
    return (await tx.scalars(_in_order().limit(LISTED_MAX))).all()


async def count(tx: AsyncSession) -> int:
    """How many wait."""
    counted = select(func.count()).select_from(Member).where(Member.standing == "waiting")
    return await tx.scalar(counted) or 0


async def admit(
    tx: AsyncSession, settings: Settings, host: Member, member_id: str, now: datetime
) -> Member:
    """Let one person of the list in, whatever their place. Refused `not_waiting`."""
    member = await tx.get(Member, member_id)
    if member is None or not await let_in(tx, settings, member, now):
        raise not_waiting()
    record(tx, host.id, "admit", member.id, now)
    return member


async def admit_next(tx: AsyncSession, settings: Settings, host: Member, now: datetime) -> Member:
    """Let in who waits longest. Refused `not_waiting` when nobody does."""
    first = await tx.scalar(_in_order().limit(1).with_for_update(skip_locked=True))
    if first is None:
        raise not_waiting()
    return await admit(tx, settings, host, first.id, now)


async def admit_number(
    tx: AsyncSession, settings: Settings, host: Member, phone: str, now: datetime
) -> Member:
    """Let in who signed up with `phone`, however it is written. Refused `not_waiting`."""
    key = phone_hash(settings, normalise_phone(phone))
    member_id = await tx.scalar(select(Member.id).where(Member.phone_hash == key))
    if member_id is None:
        raise not_waiting()
    return await admit(tx, settings, host, member_id, now)


async def let_in(
    tx: AsyncSession,
    settings: Settings,
    member: Member,
    now: datetime,
    *,
    invited_by: str | None = None,
) -> bool:
    """Make somebody who waits a member; False when they do not wait (any more).

    The new member gets the club's number of invitations, and a notice if it took a while.
    """
    since = member.waiting_since
    admitted = await tx.scalar(
        update(Member)
        .where(Member.id == member.id, Member.standing == "waiting", Member.deleted_at.is_(None))
        .values(
            standing="member",
            admitted_at=now,
            waiting_since=None,
            invitations_left=settings.invitations_each,
            invited_by=invited_by,
        )
        .returning(Member.id)
    )
    if admitted is None:
        return False
    await tx.refresh(member)
    if since is not None and since < now:
        await notices.notify(tx, member.id, "admitted", {}, now)
    if invited_by is not None:
        await notices.notify(tx, invited_by, "joined", {"member": member.id}, now)
    return True


def not_waiting() -> Refused:
    """The refusal to admit who does not wait."""
    return Refused("not_waiting", 404, N_("Nobody of that name or number is waiting."))


def _in_order() -> Select[Member]:
    return (
        select(Member)
        .where(Member.standing == "waiting", Member.deleted_at.is_(None))
        .order_by(Member.waiting_since, Member.id)
    )
