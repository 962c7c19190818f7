"""From a proven number to a person of the club: a name, interests, and a way in or a place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.door import invitations, numbers, sessions
from deploy.club.door.entry import Entry, entry
from deploy.club.door.phones import phone_hash
from deploy.club.door.waiting import let_in
from deploy.club.people.interests import choose_interests, known
from deploy.club.people.named import clean_name
from deploy.club.refusal import N_, Refused
from deploy.club.settings import Settings
from deploy.club.store import Member, Session
from deploy.club.tokens import new_id


@dataclass(frozen=True, slots=True)
class Form:
    """What somebody tells who signs up. `invitation` is empty for who has none."""

    name: str
    interests: Iterable[str]
    invitation: str
    language: str


async def sign_up(
    tx: AsyncSession, settings: Settings, session: Session, form: Form, now: datetime
) -> Member:
    """The session's owner as a member, or as somebody who waits.

    Refused `bad_name`, `too_many_interests`, `bad_invitation`, or `signed_up` for who already did.
    """
    name, slugs = clean_name(form.name), known(form.interests)
    if session.member_id is not None:
        raise _signed_up()
    try:
        member = await _waiting(tx, session.phone_hash, name, now, language=form.language)
    except IntegrityError:
        # The same form was sent twice, and the other one was quicker.
        raise _signed_up() from None
    await sessions.belong(tx, session.phone_hash, member.id)
    await choose_interests(tx, member.id, slugs)
    await enter(tx, settings, member, form.invitation, now)
    return member


async def enter(
    tx: AsyncSession, settings: Settings, member: Member, invitation: str, now: datetime
) -> bool:
    """Let somebody who waits in by an open door; False when they go on waiting.

    An invitation that the doors do not need is not spent. Refused `bad_invitation` for one that
    lets nobody in.
    """
    # A host may have admitted them since they opened the page: no invitation is spent then.
    await tx.refresh(member, with_for_update={"key_share": True})
    if member.standing != "waiting":
        return False
    is_listed = await numbers.is_listed(tx, member.phone_hash or "")
    how = entry(settings.doors, is_listed=is_listed, is_invited=bool(invitation))
    if not how.is_in:
        return False
    inviter_id = None
    if how is Entry.BY_INVITATION:
        inviter_id = await invitations.use(tx, invitation, member.id, now)
    return await let_in(tx, settings, member, now, invited_by=inviter_id)


async def appoint(
    tx: AsyncSession, settings: Settings, phone: str, name: str, now: datetime
) -> Member:
    """Make the owner of `phone` (E.164) a host of the club: the first one has nobody to do it.

    Somebody who never signed up is called `name` until they say otherwise; others keep theirs.
    """
    key = phone_hash(settings, phone)
    known = select(Member).where(Member.phone_hash == key)
    member = await tx.scalar(known)
    if member is None:
        try:
            member = await _waiting(tx, key, clean_name(name), now)
        except IntegrityError:
            # Several processes of the club start at once with the same hosts.
            member = (await tx.scalars(known)).one()
    await sessions.belong(tx, key, member.id)
    await let_in(tx, settings, member, now)
    if member.standing == "removed":
        member.standing = "member"
    member.is_host = True
    await tx.flush()
    return member


async def _waiting(
    tx: AsyncSession, key: str, name: str, now: datetime, *, language: str = "en"
) -> Member:
    """Somebody new, at the end of the line. IntegrityError when the number has an owner."""
    member = Member(
        id=new_id("m"),
        phone_hash=key,
        name=name,
        language=language,
        standing="waiting",
        waiting_since=now,
        created_at=now,
    )
    async with tx.begin_nested():
        tx.add(member)
    return member


def _signed_up() -> Refused:
    return Refused("signed_up", 409, N_("You are known here already."))
