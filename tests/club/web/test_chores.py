"""What happens by itself, while nobody looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from deploy.club.refusal import Refused
from deploy.club.store import Attendance, LoginCode, Notice, Room
from deploy.club.web import chores
from tests.club.web.site import NOW, Site
from tests.interop.polling import until_equal


@pytest.fixture(autouse=True)
async def often(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """As if minutes were moments: what is due is still the site's clock's to say."""
    monkeypatch.setattr(chores, "EVERY_S", 0.01)
    yield


async def a_planned_room(site: Site, at: datetime) -> str:
    """A room that somebody comes to; their id."""
    red = await site.add_member("Red")
    async with site.store.begin() as tx:
        tx.add(Room(id="r-1", topic="Red", created_by=red.id, state="scheduled", scheduled_at=at))
        await tx.flush()
        tx.add(Attendance(room_id="r-1", member_id=red.id, at=NOW))
    return red.id


async def test_who_comes_to_a_room_is_reminded_in_time(site: Site) -> None:
    red = await a_planned_room(site, NOW + timedelta(hours=1))

    async def reminders() -> int:
        async with site.store.begin() as tx:
            counted = select(func.count()).select_from(Notice).where(Notice.member_id == red)
            return await tx.scalar(counted) or 0

    await asyncio.sleep(0)
    assert await reminders() == 0
    site.clock.advance(51 * 60)
    await until_equal(reminders, 1)


async def test_codes_that_are_good_for_nothing_are_forgotten(site: Site) -> None:
    async with site.store.begin() as tx:
        tx.add(
            LoginCode(
                phone_hash="a" * 64,
                code_hash="b" * 64,
                expires_at=NOW,
                sent_at=NOW,
                window_began_at=NOW,
            )
        )

    async def codes() -> int:
        async with site.store.begin() as tx:
            return await tx.scalar(select(func.count()).select_from(LoginCode)) or 0

    site.clock.advance(3 * 86_400)
    await until_equal(codes, 0)


async def test_a_chore_that_fails_keeps_no_other_from_being_done(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    async def away(tx: AsyncSession, now: datetime) -> None:
        done.append("away")
        raise Refused("store_away", 503, "")

    async def broken(tx: AsyncSession, now: datetime) -> None:
        done.append("broken")
        raise RuntimeError("a bug")

    async def whole(tx: AsyncSession, now: datetime) -> None:
        done.append("whole")

    due = timedelta(0)
    with capture_logs() as logs:
        monkeypatch.setattr(chores, "CHORES", ((away, due), (broken, due), (whole, due)))

        async def rounds() -> bool:
            return done.count("whole") >= 2

        await until_equal(rounds, True)
    assert {"away", "broken", "whole"} == set(done)
    assert {entry["event"] for entry in logs} >= {"chore.postponed", "chore.failed"}
