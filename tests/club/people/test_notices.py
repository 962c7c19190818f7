"""What members are told, and what they are spared."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from deploy.club.people import blocks, notices
from deploy.club.people.notices import KEPT_MAX, KINDS, address, sentence
from deploy.club.store import Member, Room, Store
from tests.club.founding import Founder
from tests.club.people.conftest import NOW


def same(text: str) -> str:
    return text


async def told(store: Store, member_id: str) -> list[str]:
    async with store.begin() as tx:
        return [one.sentence(same) for one in await notices.latest(tx, member_id)]


async def test_a_notice_names_who_and_where_as_they_are_called_today(
    store: Store, founder: Founder
) -> None:
    red, blue = await founder.person("Red"), await founder.person("Blue")
    room = await founder.room(blue, "Tea")
    async with store.begin() as tx:
        payload = {"member": blue.id, "room": room}
        await notices.notify(tx, red.id, "ping", payload, NOW)
    assert await told(store, red.id) == ["Blue asks you to come into “Tea”."]
    async with store.begin() as tx:
        (await tx.get_one(Room, room)).topic = "Coffee"
        (await tx.get_one(Member, blue.id)).name = "Green"
    assert await told(store, red.id) == ["Green asks you to come into “Coffee”."]
    async with store.begin() as tx:
        (notice,) = await notices.latest(tx, red.id)
    assert (notice.address, notice.is_unread) == (f"/rooms/{room}", True)


async def test_open_pages_hear_of_it_once_it_is_kept(store: Store, founder: Founder) -> None:
    red, blue = await founder.person("Red"), await founder.person("Blue")
    with store.bus.listen({notices.BUS_TOPIC}) as listening:
        with pytest.raises(ZeroDivisionError):
            async with store.begin() as tx:
                await notices.notify(tx, red.id, "warned", {}, NOW)
                raise ZeroDivisionError
        async with store.begin() as tx:
            await notices.notify(tx, red.id, "followed", {"member": blue.id}, NOW)
        topic, message = await anext(listening)
    assert topic == notices.BUS_TOPIC
    expected: dict[str, Any] = {"to": [red.id], "kind": "followed", "member": blue.id}
    expected |= {"name": "Blue", "room": None, "topic": "", "at": NOW.isoformat()}
    assert message == expected


async def test_many_are_told_the_same_once_each_but_not_who_caused_it(
    store: Store, founder: Founder
) -> None:
    red, *others = await founder.people(250)
    room = await founder.room(red, "Tea")
    everybody = [one.id for one in (red, *others, others[0])]
    with store.bus.listen({notices.BUS_TOPIC}) as listening:
        async with store.begin() as tx:
            payload = {"member": red.id, "room": room}
            await notices.notify_all(tx, everybody, "room_open", payload, NOW)
        reached: list[str] = []
        while len(reached) < len(others):
            reached += (await anext(listening))[1]["to"]
    assert sorted(reached) == sorted(one.id for one in others)
    assert await told(store, red.id) == []
    assert await told(store, others[0].id) == ["guest 1 opened the room “Tea”."]


async def test_who_does_not_want_to_meet_tells_each_other_nothing(
    store: Store, founder: Founder
) -> None:
    red, blue, white = await founder.people(3)
    async with store.begin() as tx:
        await notices.notify(tx, red.id, "followed", {"member": blue.id}, NOW)
        await blocks.block(tx, red.id, blue.id, NOW)
        for one, other in ((red, blue), (blue, red), (red, white)):
            await notices.notify(tx, one.id, "followed", {"member": other.id}, NOW)
        assert await notices.unread(tx, red.id) == 1
    assert await told(store, red.id) == ["guest 3 follows you."]
    assert await told(store, blue.id) == []


async def test_reading_leaves_nothing_unread(store: Store, founder: Founder) -> None:
    red, blue = await founder.people(2)
    async with store.begin() as tx:
        for one in (red, red, blue):
            await notices.notify(tx, one.id, "warned", {}, NOW)
        assert await notices.unread(tx, red.id) == 2
        await notices.read_all(tx, red.id, NOW)
        assert (await notices.unread(tx, red.id), await notices.unread(tx, blue.id)) == (0, 1)
        assert not any(one.is_unread for one in await notices.latest(tx, red.id))


async def test_of_many_notices_the_newest_are_kept(store: Store, founder: Founder) -> None:
    red, blue = await founder.people(2)
    async with store.begin() as tx:
        for minute in range(KEPT_MAX + 3):
            now = NOW + timedelta(minutes=minute)
            await notices.notify_all(tx, [red.id], "warned", {}, now)
        await notices.notify(tx, blue.id, "warned", {}, NOW)
        kept = await notices.latest(tx, red.id, KEPT_MAX + 10)
        assert await notices.unread(tx, blue.id) == 1
    assert len(kept) == KEPT_MAX
    assert kept[0].created_at == NOW + timedelta(minutes=KEPT_MAX + 2)
    assert kept[-1].created_at == NOW + timedelta(minutes=3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_sentence_and_a_place_even_when_all_is_gone(kind: str) -> None:
    assert "%" not in sentence(kind, "", "", same)
    assert address(kind, None, None).startswith("/")
    assert address(kind, "m-1", "r-1").startswith("/")
