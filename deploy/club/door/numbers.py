"""The list of numbers that get in without an invitation. It can be asked, never read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.door.phones import phone_hash, read_phones
from deploy.club.door.waiting import let_in
from deploy.club.people.moderation import record
from deploy.club.refusal import N_, Refused
from deploy.club.settings import Door, Settings
from deploy.club.store import AllowedNumber, Member
from deploy.club.tokens import normalise_phone

# A closed test: a community, not a country.
NUMBERS_MAX = 100_000


class Added(NamedTuple):
    """What a list of numbers changed."""

    added: int  # numbers that were not on the list
    admitted: int  # people who waited with one of the numbers


async def add(
    tx: AsyncSession, settings: Settings, host: Member, text: str, now: datetime
) -> Added:
    """Put the numbers in `text`, one in each line, on the list; who waits with one is let in.

    Nothing is added when one of the lines is no number: Refused `bad_phone`; or `full`.
    """
    keys = [phone_hash(settings, phone) for phone in read_phones(text)]
    present = set(
        await tx.scalars(select(AllowedNumber.phone_hash).where(AllowedNumber.phone_hash.in_(keys)))
    )
    new = [key for key in keys if key not in present]
    if await count(tx) + len(new) > NUMBERS_MAX:
        raise Refused("full", 409, N_("The list is full."))
    tx.add_all(AllowedNumber(phone_hash=key, added_by=host.id, added_at=now) for key in new)
    await tx.flush()
    admitted = await _admit(tx, settings, keys, now) if Door.CLOSED in settings.doors else 0
    detail = {"added": len(new), "admitted": admitted}
    record(tx, host.id, "numbers.add", None, now, detail=detail)
    return Added(len(new), admitted)


async def remove(
    tx: AsyncSession, settings: Settings, host: Member, phone: str, now: datetime
) -> bool:
    """Take a number off the list; False when it was not on it. Who got in with it stays.

    Refused `bad_phone`.
    """
    removed = await tx.scalar(
        delete(AllowedNumber)
        .where(AllowedNumber.phone_hash == phone_hash(settings, normalise_phone(phone)))
        .returning(AllowedNumber.phone_hash)
    )
    if removed is not None:
        record(tx, host.id, "numbers.remove", None, now)
    return removed is not None


async def is_listed(tx: AsyncSession, key: str) -> bool:
    """Whether the number with this hash is on the list."""
    return await tx.get(AllowedNumber, key) is not None


async def count(tx: AsyncSession) -> int:
    """How many numbers are on the list."""
    return await tx.scalar(select(func.count()).select_from(AllowedNumber)) or 0


async def _admit(tx: AsyncSession, settings: Settings, keys: Sequence[str], now: datetime) -> int:
    rows = await tx.scalars(
        select(Member)
        .where(Member.phone_hash.in_(keys), Member.standing == "waiting")
        .order_by(Member.waiting_since, Member.id)
    )
    return sum([await let_in(tx, settings, member, now) for member in rows.all()])
