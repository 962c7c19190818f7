"""Buttons pressed twice in the same moment: done once, and never a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.people import blocks, deletion, follows, moderation, notices, profiles
from deploy.club.store import Member, MemberInterest, ModerationEntry, Picture, Store
from tests.club.founding import Founder
from tests.club.people.conftest import NOW

Deed = Callable[[AsyncSession], Awaitable[object]]


async def at_once(store: Store, *deeds: Deed) -> list[BaseException]:
    """Each in a transaction of its own; what was raised."""

    async def run(deed: Deed) -> None:
        async with store.begin() as tx:
            await deed(tx)

    done = await asyncio.gather(*(run(deed) for deed in deeds), return_exceptions=True)
    return [one for one in done if one is not None]


async def test_following_at_once_is_told_once(store: Store, founder: Founder) -> None:
    red, blue = await founder.people(2)
    deeds = [lambda tx: follows.follow(tx, red.id, blue.id, NOW)] * 4
    assert await at_once(store, *deeds) == []
    async with store.begin() as tx:
        assert await follows.counts(tx, red.id) == (1, 0)
        assert await notices.unread(tx, blue.id) == 1


async def test_two_follow_and_block_each_other_at_once(store: Store, founder: Founder) -> None:
    red, blue = await founder.people(2)
    assert [] == await at_once(
        store,
        lambda tx: follows.follow(tx, red.id, blue.id, NOW),
        lambda tx: follows.follow(tx, blue.id, red.id, NOW),
    )
    deeds = [
        lambda tx: blocks.block(tx, red.id, blue.id, NOW),
        lambda tx: blocks.block(tx, blue.id, red.id, NOW),
    ]
    assert await at_once(store, *deeds * 2) == []
    async with store.begin() as tx:
        assert await follows.counts(tx, red.id) == (0, 0)
        assert await blocks.blocked_between(tx, red.id) == {blue.id}


async def test_a_profile_saved_twice_at_once_is_saved(store: Store, founder: Founder) -> None:
    red = await founder.person("Red")
    deeds: list[Deed] = [
        lambda tx: profiles.change_profile(tx, red.id, "Green", "", ["music", "film"]),
        lambda tx: profiles.change_picture(tx, red.id, b"jpeg", NOW),
    ]
    assert await at_once(store, *deeds * 3) == []
    async with store.begin() as tx:
        assert await tx.scalar(select(func.count()).select_from(MemberInterest)) == 2
        kept = (await tx.scalars(select(Picture.id))).all()
        assert kept == [(await tx.get_one(Member, red.id)).picture_id]


async def test_two_hosts_decide_on_a_report_at_once(store: Store, founder: Founder) -> None:
    hosts = [await founder.person(name, is_host=True) for name in ("White", "Black")]
    red, blue = await founder.people(2)
    async with store.begin() as tx:
        report = await moderation.report(tx, red.id, blue.id, "spam", "", NOW)

    def decision(host_id: str) -> Deed:
        async def decide(tx: AsyncSession) -> None:
            host = await tx.get_one(Member, host_id)
            await moderation.resolve(tx, host, report.id, "removed", NOW)

        return decide

    raised = await at_once(store, *(decision(host.id) for host in hosts))
    assert [getattr(one, "code", one) for one in raised] == ["resolved"]
    async with store.begin() as tx:
        assert await tx.scalar(select(func.count()).select_from(ModerationEntry)) == 1


async def test_deleting_twice_at_once_deletes(store: Store, founder: Founder) -> None:
    red = await founder.person("Red", interests=["music"])
    await founder.room(red, "Tea")
    assert await at_once(store, *[lambda tx: deletion.forget(tx, red.id, NOW)] * 3) == []
    async with store.begin() as tx:
        assert (await tx.get_one(Member, red.id)).deleted_at == NOW
