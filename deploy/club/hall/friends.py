"""Whom a member may ask to host a room or to come to one."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.people.blocks import blocked_between
from deploy.club.refusal import N_, Refused
from deploy.club.store import Follow, Member


async def friends(tx: AsyncSession, member: Member) -> list[Member]:
    """Who may be asked to host or to come: those who follow the member, by name. Following is
    how somebody says that they want to hear of one's rooms; nobody else is called.
    """
    apart = await blocked_between(tx, member.id)
    rows = await tx.scalars(
        select(Member)
        .join(Follow, Follow.follower_id == Member.id)
        .where(
            Follow.followed_id == member.id,
            Member.standing == "member",
            Member.deleted_at.is_(None),
        )
        .order_by(func.lower(Member.name), Member.id)
    )
    return [each for each in rows if each.id not in apart]


async def check_friends(tx: AsyncSession, member: Member, asked: Collection[str]) -> None:
    """Raises Refused `no_such_member` where one of `asked` may not be asked."""
    if asked and not set(asked) <= {each.id for each in await friends(tx, member)}:
        raise Refused("no_such_member", 404, N_("You can ask people who follow you."))
