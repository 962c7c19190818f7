"""What several requests want of the hall at the same moment, as when a button is pressed twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio

from deploy.club.hall.attending import invite, will_come, wont_come
from deploy.club.hall.opening import LIVE_MAX, cancel_room, open_scheduled
from deploy.club.refusal import Refused
from deploy.club.store import Store
from tests.club.hall.club import NOW, TOMORROW, Club

AT_ONCE = 8


async def said(doing: Awaitable[Any]) -> str:
    try:
        await doing
    except Refused as refused:
        return refused.code
    return "done"


@pytest_asyncio.fixture(autouse=True)
async def _connected(store: Store) -> None:
    """With open connections they are really at once."""

    async def look() -> None:
        async with store.begin():
            await asyncio.sleep(0.01)

    await asyncio.gather(*(look() for _ in range(AT_ONCE)))


async def test_saying_at_once_that_one_comes_is_said_once(club: Club) -> None:
    room = await club.plan("Red", scheduled_at=TOMORROW)
    comes = [club.of("Blue", room, will_come, NOW) for _ in range(AT_ONCE)]
    assert Counter(await asyncio.gather(*map(said, comes))) == {"done": AT_ONCE}
    goes = [club.of("Blue", room, wont_come) for _ in range(AT_ONCE)]
    assert Counter(await asyncio.gather(*map(said, goes))) == {"done": AT_ONCE}


async def test_who_is_invited_at_once_is_told_once(club: Club) -> None:
    await club.follow("Blue", "Red")
    room, blue = await club.plan("Red"), club.people["Blue"].id
    asked = [club.of("Red", room, invite, blue, NOW) for _ in range(AT_ONCE)]
    assert Counter(await asyncio.gather(*map(said, asked))) == {"done": AT_ONCE}
    assert (await club.told("Blue")).count(("invited", room)) == 1


async def test_rooms_made_at_once_are_bounded_too(club: Club) -> None:
    made = Counter(await asyncio.gather(*(said(club.plan("Red")) for _ in range(AT_ONCE))))
    assert made == {"done": LIVE_MAX, "too_many_rooms": AT_ONCE - LIVE_MAX}


async def test_a_planned_room_is_opened_or_cancelled_and_not_both(club: Club) -> None:
    room = await club.plan("Red", scheduled_at=NOW)
    await club.of("Blue", room, will_come, NOW)
    opens = [club.of("Red", room, open_scheduled, NOW) for _ in range(4)]
    cancels = [club.of("Red", room, cancel_room, NOW) for _ in range(4)]
    await asyncio.gather(*map(said, [*opens, *cancels]))
    assert len(await club.told("Blue")) == 1


@pytest.mark.parametrize("when", [None, TOMORROW])
async def test_a_form_that_is_sent_twice_makes_one_room(club: Club, when: datetime | None) -> None:
    await club.follow("Blue", "Red")
    asked: dict[str, Any] = {"scheduled_at": when, "invited": club.ids("Blue"), "form": "a form"}
    made = await asyncio.gather(*(club.plan("Red", **asked) for _ in range(AT_ONCE)))
    assert len(set(made)) == 1
    assert await club.told("Blue") == [("invited", made[0])]
    changed = await club.plan("Red", **asked | {"topic": "Honey"})
    others = await club.plan("Green", form="a form", scheduled_at=when)
    assert len({made[0], changed, others}) == 3
