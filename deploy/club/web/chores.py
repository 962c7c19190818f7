"""What happens by itself: reminders at their minute, and forgetting what is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

import structlog
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.door import codes, sessions
from deploy.club.hall import reminders
from deploy.club.refusal import Refused
from deploy.club.web.beside import beside
from deploy.club.web.parts import CLUB, Parts

log = structlog.get_logger()

Chore = Callable[[AsyncSession, datetime], Awaitable[object]]

# Reminders are due to the minute.
EVERY_S = 20.0
CHORES: tuple[tuple[Chore, timedelta], ...] = (
    (reminders.run_due, timedelta(0)),
    (codes.sweep, timedelta(hours=1)),
    (sessions.sweep, timedelta(hours=1)),
)


async def run_chores(app: web.Application) -> AsyncIterator[None]:
    """Keep doing them while the site is up."""
    async with beside(_run(app[CLUB])):
        yield


async def _run(parts: Parts) -> None:
    done_at: dict[Chore, datetime] = {}
    while True:
        for chore, every in CHORES:
            now = parts.clock()
            if chore in done_at and now - done_at[chore] < every:
                continue
            await do(parts, chore, now)
            done_at[chore] = now
        await asyncio.sleep(EVERY_S)


async def do(parts: Parts, chore: Chore, now: datetime) -> None:
    """Do one of them now. What cannot be done is logged; it is done the next time."""
    try:
        async with parts.store.begin() as tx:
            await chore(tx, now)
    except Refused as refused:  # the database is away
        log.info("chore.postponed", chore=_name(chore), reason=refused.code)
    except Exception:
        log.exception("chore.failed", chore=_name(chore))


def _name(chore: Chore) -> str:
    return f"{chore.__module__}.{chore.__name__}"
