"""One-time codes: asked for, sent, and tried.

Nothing here knows whether a number is a member's, so nothing can tell.
"""

from __future__ import annotations

import hmac
from datetime import datetime

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.door.pace import (
    AGAIN_AFTER,
    CODE_LIFE,
    TRIES_MAX,
    WINDOW,
    Answer,
    Sent,
    answered,
    next_sent,
    too_many,
)
from deploy.club.door.phones import phone_hash
from deploy.club.settings import Settings
from deploy.club.store import LoginCode
from deploy.club.tokens import keyed_hash, new_code

# In the place of a hash: equal to that of no code.
USED = ""


async def issue(tx: AsyncSession, settings: Settings, phone: str, now: datetime) -> str:
    """A new code for `phone` (E.164), to be sent after the transaction; earlier ones are void.

    Raises Refused `too_many` with `retry_after_s`.
    """
    key = phone_hash(settings, phone)
    row = await tx.get(LoginCode, key, with_for_update=True)
    last = Sent(row.sent_at, row.sent_count, row.window_began_at) if row is not None else None
    sent = next_sent(last, now)
    code = new_code()
    if row is None:
        row = await _first(tx, key, sent)
    row.code_hash = _hash(settings, key, code)
    row.expires_at = now + CODE_LIFE
    row.tries = 0
    row.sent_at, row.sent_count, row.window_began_at = sent.at, sent.count, sent.window_began_at
    await tx.flush()
    return code


async def try_code(
    tx: AsyncSession, settings: Settings, phone: str, code: str, now: datetime
) -> Answer:
    """What `code`, as somebody typed it, is worth for `phone`. A right one is good once.

    It returns and does not raise, because a wrong try must be counted: commit in any case.
    """
    key = phone_hash(settings, phone)
    digits = "".join(char for char in code if char.isascii() and char.isdigit())
    # Counted before it is looked at: of many tries at once none is for free.
    counted = await tx.execute(
        update(LoginCode)
        .where(LoginCode.phone_hash == key, LoginCode.tries < TRIES_MAX)
        .values(tries=LoginCode.tries + 1)
        .returning(LoginCode.tries, LoginCode.code_hash, LoginCode.expires_at)
        .execution_options(synchronize_session=False)
    )
    row = counted.one_or_none()
    kept = row.code_hash if row is not None else USED
    is_equal = hmac.compare_digest(_hash(settings, key, digits), kept)
    if row is None or kept == USED:
        return Answer.VOID
    answer = answered(row.tries - 1, row.expires_at, now, is_equal=is_equal)
    if answer is Answer.RIGHT:
        await tx.execute(
            update(LoginCode).where(LoginCode.phone_hash == key).values(code_hash=USED)
        )
    return answer


async def sweep(tx: AsyncSession, now: datetime) -> None:
    """Forget numbers whose window is over: the next code begins a new one anyway."""
    await tx.execute(delete(LoginCode).where(LoginCode.expires_at <= now - WINDOW + CODE_LIFE))


async def _first(tx: AsyncSession, key: str, sent: Sent) -> LoginCode:
    row = LoginCode(
        phone_hash=key,
        code_hash=USED,
        expires_at=sent.at,
        sent_at=sent.at,
        window_began_at=sent.window_began_at,
    )
    try:
        async with tx.begin_nested():
            tx.add(row)
    except IntegrityError:
        # Another request for the same number was quicker by a moment.
        raise too_many(AGAIN_AFTER) from None
    return row


def _hash(settings: Settings, key: str, code: str) -> str:
    return keyed_hash(settings.secret, "code", f"{key}:{code}")
