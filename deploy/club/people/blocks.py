"""Who does not want to meet whom. One blocks, both are out of each other's sight."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.people.named import named
from deploy.club.refusal import N_, Refused
from deploy.club.store import Block, Follow, Member, Notice


async def blocked_between(tx: AsyncSession, member_id: str) -> set[str]:
    """The ids of all that this member blocked or that blocked this member."""
    rows = await tx.execute(
        select(Block.blocker_id, Block.blocked_id).where(
            or_(Block.blocker_id == member_id, Block.blocked_id == member_id)
        )
    )
    return {blocked if blocker == member_id else blocker for blocker, blocked in rows}


async def is_blocked(tx: AsyncSession, one_id: str, other_id: str) -> bool:
    """Whether either of the two blocked the other."""
    return (
        await tx.scalar(select(Block.at).where(_either_way(one_id, other_id)).limit(1)) is not None
    )


async def blocked_by(tx: AsyncSession, member_id: str) -> Sequence[Member]:
    """Those that this member blocked, newest first; not those that blocked this member."""
    rows = await tx.scalars(
        select(Member)
        .join(Block, Block.blocked_id == Member.id)
        .where(Block.blocker_id == member_id)
        .order_by(Block.at.desc(), Member.id)
    )
    return rows.all()


async def block(tx: AsyncSession, member_id: str, other_id: str, now: datetime) -> None:
    """From now on the two do not meet, neither follows the other any more, and what one caused the
    other to be told is gone.

    Doing it again changes nothing. Refused `not_found` for nobody, `yourself` for oneself.
    """
    if other_id == member_id:
        raise Refused("yourself", 400, N_("You cannot block yourself."))
    await named(tx, member_id, is_locked=True)
    await named(tx, other_id)
    if await tx.get(Block, (member_id, other_id)) is None:
        tx.add(Block(blocker_id=member_id, blocked_id=other_id, at=now))
    await tx.execute(
        delete(Follow).where(
            or_(
                and_(Follow.follower_id == member_id, Follow.followed_id == other_id),
                and_(Follow.follower_id == other_id, Follow.followed_id == member_id),
            )
        )
    )
    caused_by = Notice.payload["member"].as_string()
    for told, by in ((member_id, other_id), (other_id, member_id)):
        await tx.execute(delete(Notice).where(Notice.member_id == told, caused_by == by))


async def unblock(tx: AsyncSession, member_id: str, other_id: str) -> None:
    """Takes back what this member did; what the other did stays."""
    await tx.execute(
        delete(Block).where(Block.blocker_id == member_id, Block.blocked_id == other_id)
    )


def _either_way(one_id: str, other_id: str) -> ColumnElement[bool]:
    return or_(
        and_(Block.blocker_id == one_id, Block.blocked_id == other_id),
        and_(Block.blocker_id == other_id, Block.blocked_id == one_id),
    )
