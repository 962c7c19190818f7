"""What tests of the door share: one club, its numbers, and people at its door."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.door import sessions
from deploy.club.door.phones import phone_hash
from deploy.club.door.signing_up import Form, appoint, sign_up
from deploy.club.settings import Settings
from deploy.club.store import Member, Session

SETTINGS = Settings(database_url="sqlite+aiosqlite://", secret=b"0123456789abcdef" * 2)
NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


def phone_of(number: int) -> str:
    """A number that nobody has."""
    return f"+491512000{number:04}"


async def proven(tx: AsyncSession, number: int, now: datetime = NOW) -> Session:
    """A session of somebody who typed the right code."""
    token = await sessions.begin(tx, phone_hash(SETTINGS, phone_of(number)), now)
    session = await sessions.find(tx, token, now)
    assert session is not None
    return session


async def signed_up(
    tx: AsyncSession,
    number: int,
    now: datetime = NOW,
    *,
    invitation: str = "",
    settings: Settings = SETTINGS,
) -> Member:
    """Somebody who filled in the form, and is in or waits."""
    session = await proven(tx, number, now)
    form = Form(name=f"guest {number}", interests=["music"], invitation=invitation, language="en")
    return await sign_up(tx, settings, session, form, now)


async def host(tx: AsyncSession, number: int = 9000) -> Member:
    """A host of the club."""
    return await appoint(tx, SETTINGS, phone_of(number), "Red", NOW)
