"""A member as others see them, and the chain of those who invited one another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.people.blocks import blocked_between
from deploy.club.people.follows import counts, newest_followed
from deploy.club.people.interests import choose_interests, interests_of
from deploy.club.people.named import clean_bio, clean_name, named
from deploy.club.refusal import N_, Refused
from deploy.club.store import Block, Follow, Member, Picture
from deploy.club.tokens import new_id

# Of those that somebody follows, what a profile shows.
SHOWN_MAX = 60
# Further up a chain nobody is known any more; it also ends what could only be a fault.
CHAIN_MAX = 50


@dataclass(frozen=True, slots=True)
class Profile:
    """One member, seen by another or by themselves."""

    member: Member
    inviter: Member | None  # whoever it was, gone or not; None for who came without invitation
    interests: frozenset[str]
    following: Sequence[Member]  # the SHOWN_MAX of them followed last
    following_count: int
    followers_count: int
    is_following_cut: bool  # there are more than `following`
    is_me: bool
    is_followed: bool  # by who looks
    is_blocked: bool  # by who looks


async def profile(tx: AsyncSession, viewer: Member, member_id: str) -> Profile:
    """What `viewer` sees of a member.

    Refused `not_found` for who is no member, and for who blocked the viewer: they look the same.
    """
    member = await named(tx, member_id)
    if await tx.get(Block, (member_id, viewer.id)) is not None:
        raise Refused("not_found", 404, N_("There is nobody here."))
    apart = await blocked_between(tx, viewer.id)
    following = await newest_followed(tx, member_id, SHOWN_MAX)
    following_count, followers_count = await counts(tx, member_id)
    return Profile(
        member=member,
        inviter=await tx.get(Member, member.invited_by) if member.invited_by else None,
        interests=await interests_of(tx, member_id),
        following=[one for one in following if one.id not in apart],
        following_count=following_count,
        followers_count=followers_count,
        is_following_cut=following_count > SHOWN_MAX,
        is_me=member_id == viewer.id,
        is_followed=await tx.get(Follow, (viewer.id, member_id)) is not None,
        is_blocked=await tx.get(Block, (viewer.id, member_id)) is not None,
    )


async def chain(tx: AsyncSession, viewer: Member, member_id: str) -> list[Member]:
    """The member, who invited them, who invited those, and so on: CHAIN_MAX at most.

    Who deleted an account or was removed keeps the place. Refused `not_found` as `profile`.
    """
    member: Member | None = (await profile(tx, viewer, member_id)).member
    links: list[Member] = []
    while member is not None and member not in links and len(links) < CHAIN_MAX:
        links.append(member)
        member = await tx.get(Member, member.invited_by) if member.invited_by else None
    return links


async def change_profile(
    tx: AsyncSession, member_id: str, name: str, bio: str, interests: Iterable[str]
) -> None:
    """What a member says of themselves. Refused: `bad_name`, `bad_bio`, `too_many_interests`."""
    member = await named(tx, member_id, is_locked=True)
    member.name = clean_name(name)
    member.bio = clean_bio(bio)
    await choose_interests(tx, member_id, interests)


async def change_picture(
    tx: AsyncSession, member_id: str, jpeg: bytes | None, now: datetime
) -> None:
    """The picture that `portraits.portrait` made, in place of any before; None takes it away.

    Each picture has an id of its own, so that browsers can keep it for ever.
    """
    member = await named(tx, member_id, is_locked=True)
    await tx.execute(delete(Picture).where(Picture.member_id == member_id))
    member.picture_id = None
    if jpeg is not None:
        member.picture_id = new_id("p")
        tx.add(Picture(id=member.picture_id, member_id=member_id, jpeg=jpeg, created_at=now))


async def picture(tx: AsyncSession, picture_id: str) -> bytes:
    """The JPEG of a picture that is in use. Refused `not_found`."""
    found = await tx.get(Picture, picture_id)
    if found is None:
        raise Refused("not_found", 404, N_("There is no such picture."))
    return found.jpeg
