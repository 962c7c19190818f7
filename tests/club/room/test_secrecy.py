"""What somebody who is not in a live room, or is not to know of it, does not learn."""

from __future__ import annotations

import asyncio
import json

import pytest

from deploy.club.people import blocks, follows, notices
from deploy.club.tokens import new_id
from tests.club.room.house import House, Visit


async def test_a_room_of_somebody_who_blocked_one_is_as_if_there_were_none(
    house: House, host: Visit
) -> None:
    blue = await house.site.signed_in("Blue")
    async with house.store.begin() as tx:
        await blocks.block(tx, host.id, blue.id, house.clock())
    answers = []
    for room in (host.room, new_id("r")):
        got = [await blue.get(f"/rooms/{room}{path}") for path in ("", "/log", "/calendar.ics")]
        for verb, body in (
            ("join", {"offer": "offer"}),
            ("restart-ice", {"offer": "offer"}),
            ("act", {"action": "raise_hand"}),
            ("act", {"action": "remove", "target": host.id}),
            ("act", {"action": "ping", "target": host.id}),
            ("leave", {}),
        ):
            got.append(await blue.post_json(f"/rooms/{room}/{verb}", body))
        for verb in ("will-come", "wont-come", "open", "cancel", "invite"):
            got.append(await blue.post(f"/rooms/{room}/{verb}", {"member": host.id}))
        answers.append([(page.status, page.url.replace(room, "")) for page in got])
    assert answers[0] == answers[1]


@pytest.mark.parametrize("why", ["blocked", "removed"])
async def test_a_ping_tells_nothing_of_what_is_between_a_friend_and_the_room(
    house: House, host: Visit, why: str
) -> None:
    blue = await house.visit("Blue", host.room)
    friend = await house.site.signed_in("Green")
    async with house.store.begin() as tx:
        await follows.follow(tx, friend.id, blue.id, house.clock())
        if why == "blocked":
            await blocks.block(tx, host.id, friend.id, house.clock())
    if why == "removed":
        visit = await house.visit(friend, host.room)
        await host.act("remove", visit)
        await visit.told_nothing_more()
    await blue.act("ping", friend.id)
    async with house.store.begin() as tx:
        told = await notices.latest(tx, friend.id)
    assert "ping" not in [one.kind for one in told]


async def test_a_page_that_has_not_joined_is_not_told_who_is_there(
    house: House, host: Visit
) -> None:
    blue = Visit(await house.site.signed_in("Blue"), host.room)
    await blue.open()
    await blue.told("rejoin")
    assert {"room", "speakers"}.isdisjoint(blue.news)


async def test_signing_out_ends_what_other_tabs_are_told(house: House, host: Visit) -> None:
    news = await host.who.socket("/news")
    await asyncio.sleep(0.05)
    await host.who.post("/sign-out")
    await host.told_nothing_more()
    async with asyncio.timeout(5):
        while not news.closed:
            message = await news.receive()
            assert message.data is None or "type" not in json.dumps(message.data)
