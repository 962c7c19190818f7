"""Who follows whom: what the hall ranks by, what rooms for followers ask, and who is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.people.blocks import is_blocked
from deploy.club.people.named import named
from deploy.club.people.notices import notify
from deploy.club.refusal import N_, Refused
from deploy.club.store import Follow, Member, Notice

# A hall ranked by more people than this ranks by nobody; and a profile lists them all.
FOLLOWED_MAX = 2_000


async def followed_by(tx: AsyncSession, member_id: str) -> frozenset[str]:
    """The ids of those that the member follows."""
    rows = await tx.scalars(select(Follow.followed_id).where(Follow.follower_id == member_id))
    return frozenset(rows)


async def followers_of(tx: AsyncSession, member_id: str) -> frozenset[str]:
    """The ids of those that follow the member."""
    rows = await tx.scalars(select(Follow.follower_id).where(Follow.followed_id == member_id))
    return frozenset(rows)


async def newest_followed(tx: AsyncSession, member_id: str, limit: int) -> Sequence[Member]:
    """Whom the member followed last, members of the club only, newest first."""
    rows = await tx.scalars(
        select(Member)
        .join(Follow, Follow.followed_id == Member.id)
        .where(Follow.follower_id == member_id, Member.standing == "member")
        .order_by(Follow.at.desc(), Member.id)
        .limit(limit)
    )
    return rows.all()


async def counts(tx: AsyncSession, member_id: str) -> tuple[int, int]:
    """How many the member follows, and how many follow the member."""
    follows = select(func.count()).select_from(Follow)
    followed = await tx.scalar(follows.where(Follow.follower_id == member_id))
    followers = await tx.scalar(follows.where(Follow.followed_id == member_id))
    return followed or 0, followers or 0


async def follow(tx: AsyncSession, member_id: str, other_id: str, now: datetime) -> None:
    """Follows from now on, and tells the other one, once; again changes nothing.

    Refused `not_found` for nobody and for a block either way, `yourself` for oneself,
    `too_many_followed` above FOLLOWED_MAX.
    """
    if other_id == member_id:
        raise Refused("yourself", 400, N_("You cannot follow yourself."))
    await named(tx, member_id, is_locked=True)
    await named(tx, other_id)
    if await is_blocked(tx, member_id, other_id):
        raise Refused("not_found", 404, N_("There is nobody here."))
    if await tx.get(Follow, (member_id, other_id)) is not None:
        return
    if (await counts(tx, member_id))[0] >= FOLLOWED_MAX:
        text = N_("You follow %(limit)d people already: as many as one can.")
        raise Refused("too_many_followed", 400, text, limit=FOLLOWED_MAX)
    tx.add(Follow(follower_id=member_id, followed_id=other_id, at=now))
    if not await _was_told(tx, other_id, member_id):
        await notify(tx, other_id, "followed", {"member": member_id}, now)


async def unfollow(tx: AsyncSession, member_id: str, other_id: str) -> None:
    """Follows no more. Nobody is told."""
    await tx.execute(
        delete(Follow).where(Follow.follower_id == member_id, Follow.followed_id == other_id)
    )


async def _was_told(tx: AsyncSession, member_id: str, follower_id: str) -> bool:
    """Whether a notice of this follower is still there: going to and fro tells nothing new."""
    told = select(Notice.id).where(
        Notice.member_id == member_id,
        Notice.kind == "followed",
        Notice.payload["member"].as_string() == follower_id,
    )
    return await tx.scalar(told.limit(1)) is not None
