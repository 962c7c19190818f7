"""Two processes of the club with one PostgreSQL, in front of one daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from deploy.club.store import Store
from tests.club import postgres
from tests.club.founding import Founder
from tests.interop.club_caller import Caller, Declined, Following
from tests.interop.club_process import ClubProcess, settings_for
from tests.interop.daemon import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

# Two processes are heard one after the other, on a machine that does other things.
TOLD_S = 15.0


@dataclass
class Pair:
    """Red hosts by the first process, Blue comes by the second; they follow each other."""

    first: ClubProcess
    second: ClubProcess
    red: Caller
    blue: Caller
    room: str


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        server = stack.enter_context(postgres.running())
        url = server.url(server.new_database())
        daemon = stack.enter_context(running())
        clubs = []
        for name in ("first", "second"):
            folder = tmp_path / name
            folder.mkdir()
            clubs.append(ClubProcess(settings_for(url), daemon, folder))
        # At the same moment, on a database that is empty.
        await asyncio.gather(*(stack.enter_async_context(club) for club in clubs))
        store = await Store.open(clubs[0].settings)
        founder = Founder(store, clubs[0].settings)
        red, blue = await founder.person("Red"), await founder.person("Blue")
        await founder.follow(red, blue)
        await founder.follow(blue, red)
        room = await founder.room(red, "In two houses")
        await store.close()
        first, second = clubs
        yield Pair(
            first,
            second,
            await stack.enter_async_context(Caller(first.settings.base_url, red)),
            await stack.enter_async_context(Caller(second.settings.base_url, blue)),
            room,
        )


def ids(people: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in people]


async def a_hand_leads_to_the_stage(pair: Pair, red: Following, blue: Following) -> None:
    """Raised at one process, called up at the other."""
    member = pair.blue.person.id
    await pair.blue.act(pair.room, "raise_hand")
    await red.until("room", lambda state: ids(state["hands"]) == [member], TOLD_S)
    await pair.red.act(pair.room, "call_up", member)
    await blue.until("you", lambda you: you["role"] == "speaker", TOLD_S)
    await red.until("room", lambda state: member in ids(state["stage"]), TOLD_S)


async def test_people_of_two_processes_are_in_one_room(pair: Pair) -> None:
    """What one does the other sees, notices reach a page of the other, and who is out is out."""
    await pair.red.join(pair.room)
    async with pair.red.following(pair.room) as red:
        await pair.red.act(pair.room, "ping", pair.blue.person.id)
        assert "In two houses" in (await pair.blue.get("/notices"))[1]
        await pair.blue.join(pair.room)
        async with pair.blue.following(pair.room) as blue:
            await a_hand_leads_to_the_stage(pair, red, blue)
            for verb in ("unfollow", "follow"):
                status, _ = await pair.red.post(f"/people/{pair.blue.person.id}/{verb}")
                assert status == 303
            await blue.until("notice", lambda notice: notice["kind"] == "followed", TOLD_S)
            await pair.red.act(pair.room, "lock")
            await blue.until("locked", lambda locks: locks["locked"] is True, TOLD_S)
            await pair.red.act(pair.room, "remove", pair.blue.person.id)
            await blue.until("left", lambda left: left["reason"] == "banned", TOLD_S)
        await red.until("room", lambda state: len(state["stage"]) == 1, TOLD_S)
        with pytest.raises(Declined, match="403"):
            await pair.blue.join(pair.room)


async def test_one_goes_on_when_the_other_is_killed(pair: Pair) -> None:
    """Whose process is gone is in the room still, and comes by the one that is left."""
    await pair.red.join(pair.room)
    await pair.blue.join(pair.room)
    await pair.second.kill()
    moved = Caller(pair.first.settings.base_url, pair.blue.person)
    async with moved, pair.red.following(pair.room) as red, moved.following(pair.room) as blue:
        await red.until("room", lambda state: state["audience_count"] == 1, TOLD_S)
        await a_hand_leads_to_the_stage(replace(pair, blue=moved), red, blue)
