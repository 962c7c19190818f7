"""Browsers that proved a telephone number. The cookie holds a secret, the table its hash."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.refusal import N_, Refused
from deploy.club.store import Member, Session, publish_after
from deploy.club.tokens import new_token, octets

# Bus: {"session": id}, so that a browser's other tabs are told nothing more.
ENDED_TOPIC = "session.ended"
# A telephone in a drawer for a season still knows its owner; a lost one does not for ever.
IDLE_MAX = timedelta(days=90)
# However often it is used, a session is proven anew once a year.
AGE_MAX = timedelta(days=365)
# How exactly is remembered when a session was used: less would write at every request.
SEEN_STEP = timedelta(hours=1)
# Of one number: every device a person has; the one used longest ago makes room.
SESSIONS_MAX = 20


async def find(tx: AsyncSession, token: str, now: datetime) -> Session | None:
    """The session of a cookie; None for one that is unknown, too old, or whose member is gone."""
    session = await tx.get(Session, _id_of(token))
    if session is None:
        return None
    if now >= session.seen_at + IDLE_MAX or now >= session.created_at + AGE_MAX:
        return None
    member = await tx.get(Member, session.member_id) if session.member_id is not None else None
    if member is not None and (member.standing == "removed" or member.deleted_at is not None):
        return None
    if now >= session.seen_at + SEEN_STEP:
        # Not by the row itself: a sign-out at the same moment shall win, and not fail the page.
        await tx.execute(update(Session).where(Session.id == session.id).values(seen_at=now))
    return session


async def begin(tx: AsyncSession, phone_hash: str, now: datetime) -> str:
    """A session for the number's owner, member or not yet; the token is for the cookie alone.

    Raises Refused `removed` for a number whose owner was removed from the club.
    """
    member = await tx.scalar(select(Member).where(Member.phone_hash == phone_hash))
    if member is not None and member.standing == "removed":
        raise Refused("removed", 403, N_("This number has been removed from the club."))
    await _make_room(tx, phone_hash)
    token = new_token()
    tx.add(
        Session(
            id=_id_of(token),
            member_id=member.id if member is not None else None,
            phone_hash=phone_hash,
            csrf=new_token(),
            created_at=now,
            seen_at=now,
        )
    )
    await tx.flush()
    return token


async def end(tx: AsyncSession, session: Session) -> None:
    """Sign this browser out; its cookie is worth nothing any more. Idempotent."""
    await tx.execute(delete(Session).where(Session.id == session.id))
    publish_after(tx, ENDED_TOPIC, {"session": session.id})


async def end_all(tx: AsyncSession, member_id: str) -> None:
    """Sign a member out everywhere."""
    await tx.execute(delete(Session).where(Session.member_id == member_id))


async def belong(tx: AsyncSession, phone_hash: str, member_id: str) -> None:
    """All sessions of a number are this member's from now on."""
    await tx.execute(
        update(Session).where(Session.phone_hash == phone_hash).values(member_id=member_id)
    )


async def sweep(tx: AsyncSession, now: datetime) -> None:
    """Forget sessions that `find` does not find any more for their age."""
    await tx.execute(
        delete(Session).where(
            (Session.seen_at <= now - IDLE_MAX) | (Session.created_at <= now - AGE_MAX)
        )
    )


async def _make_room(tx: AsyncSession, phone_hash: str) -> None:
    newest = (
        select(Session.id)
        .where(Session.phone_hash == phone_hash)
        .order_by(Session.seen_at.desc(), Session.id)
    )
    surplus = (await tx.scalars(newest)).all()[SESSIONS_MAX - 1 :]
    if surplus:
        await tx.execute(delete(Session).where(Session.id.in_(surplus)))


def _id_of(token: str) -> str:
    # The token is random in all its 256 bits: a plain hash of it cannot be guessed backwards.
    return hashlib.sha256(octets(token)).hexdigest()
