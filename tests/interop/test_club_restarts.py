"""The club is killed in the middle of a live room, and once PostgreSQL is gone as well."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from deploy.club.settings import Settings
from deploy.club.store import Store
from tests.club import postgres
from tests.club.founding import Founded, Founder
from tests.interop.club_caller import Caller, Following
from tests.interop.club_process import ClubProcess, settings_for
from tests.interop.club_tab import WAIT_MS, Tab
from tests.interop.daemon import Daemon, running
from tests.interop.polling import until, until_equal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

HZ = 440
GONE_S = 30.0
_MUTED = re.compile(r"\bis-muted\b")
# Whoever listens notices nothing; a machine that starts processes may stutter.
SILENCE_S_MAX = 0.5


@dataclass
class Night:
    """A live room: Red speaks, Blue listens in a browser, Green's hand is up."""

    club: ClubProcess
    daemon: Daemon
    server: postgres.Postgres
    red: Caller
    green: Caller
    blue: Tab
    room: str
    guests: list[Founded]

    async def nothing_has_changed(self) -> None:
        """The pages are told again what they were told before, and what is done is done."""
        async with self.red.following(self.room) as told:
            state = await told.until("room", lambda state: bool(state["hands"]), 15.0)
            assert [one["id"] for one in state["stage"]] == [self.red.person.id]
            assert [one["id"] for one in state["hands"]] == [self.green.person.id]
            await self.blue.click("hand")
            await told.until("room", lambda state: len(state["hands"]) == 2, 15.0)
            # Its page is told by a socket that comes back when it does.
            hand = self.blue.hook("hand")
            await expect(hand).to_have_attribute("aria-pressed", "true", timeout=WAIT_MS)
            await hand.click()
            await told.until("room", lambda state: len(state["hands"]) == 1, 15.0)

    async def blue_is_told(self) -> None:
        """The page in the browser follows the room again."""
        await self.red.act(self.room, "mute")
        row = self.blue.hook("stage").locator(f'[data-member="{self.red.person.id}"]')
        await expect(row).to_have_class(_MUTED, timeout=2 * WAIT_MS)
        await self.blue.hears(set(), {HZ})
        await self.red.act(self.room, "unmute")
        await expect(row).not_to_have_class(_MUTED, timeout=WAIT_MS)
        await self.blue.hears({HZ}, {HZ})
        assert await self.blue.longest_silence() > 0.0, "it would have been noticed"

    async def nobody_stopped_hearing(self) -> None:
        """Since the last call."""
        assert await self.blue.longest_silence() <= SILENCE_S_MAX
        assert await self.blue.tones({HZ}) == {HZ}


@pytest.fixture
async def night(browser: Browser, tmp_path: Path) -> AsyncIterator[Night]:
    async with AsyncExitStack() as stack:
        server = stack.enter_context(postgres.running())
        settings = settings_for(server.url(server.new_database()))
        daemon = stack.enter_context(running())
        club = await stack.enter_async_context(ClubProcess(settings, daemon, tmp_path))
        people, room = await _furnish(settings)
        red, green = [
            await stack.enter_async_context(Caller(settings.base_url, person))
            for person in people[:2]
        ]
        await red.join(room)
        await red.act(room, "unmute")
        talking = asyncio.create_task(red.talk(HZ))
        stack.callback(talking.cancel)
        await green.join(room)
        await green.act(room, "raise_hand")
        blue = await Tab.open(browser, settings.base_url, "Blue", cookie=people[2].cookie)
        await blue.enter(f"/rooms/{room}")
        await blue.hears({HZ}, {HZ})
        await blue.longest_silence()
        yield Night(club, daemon, server, red, green, blue, room, people[3:])


async def test_nobody_stops_hearing_when_the_club_is_killed_twice(night: Night) -> None:
    """The second time PostgreSQL is gone for half a minute, and the club cannot even start."""
    await night.club.kill()
    await night.club.start()
    await night.nobody_stopped_hearing()
    await night.nothing_has_changed()
    await night.blue_is_told()

    loop = asyncio.get_running_loop()
    back_at = loop.time() + GONE_S
    night.server.stop()
    try:
        assert (await night.red.get("/hall"))[0] == 503
        await night.club.kill()
        starting = asyncio.create_task(_insist(night.club))
        await asyncio.sleep(back_at - loop.time())
        await night.nobody_stopped_hearing()
    finally:
        night.server.start()
    await starting
    await night.nobody_stopped_hearing()
    await night.nothing_has_changed()
    await night.blue_is_told()
    assert (await night.red.get("/hall"))[0] == 200


async def test_two_processes_say_the_same_before_and_after_their_database_was_away(
    night: Night, tmp_path: Path
) -> None:
    """While it is away pages say so, and the room goes on."""
    other = replace(settings_for(night.club.settings.database_url), name="the other")
    folder = tmp_path / "other"
    folder.mkdir()
    async with ClubProcess(other, night.daemon, folder):
        async with AsyncExitStack() as stack:
            first, *others = [
                await stack.enter_async_context(Caller(other.base_url, person))
                for person in night.guests
            ]
            told = await stack.enter_async_context(night.red.following(night.room))
            await told.until("room", lambda state: bool(state["hands"]), 15.0)
            await _follow(first, night.red)
            await told.until("notice", lambda notice: first.person.name in notice["text"])
            await first.join(night.room)
            await first.act(night.room, "raise_hand")
            await told.until("room", lambda state: len(state["hands"]) == 2)

            night.server.stop()
            try:
                for caller in (night.red, first):
                    assert (await caller.get("/hall"))[0] == 503
                await night.nobody_stopped_hearing()
            finally:
                night.server.start()
            await until_equal(night.club.answers, True, holds=1)
            await until_equal(functools.partial(_has_hall, first), True, holds=1)
            await first.act(night.room, "lower_hand")
            await told.until("room", lambda state: len(state["hands"]) == 1)
            await _is_told_again(told, others, night.red)


async def _is_told_again(told: Following, others: list[Caller], red: Caller) -> None:
    """The processes find each other again a little after their database is back; what happened in
    between is on the page of notices alone.
    """
    before = told.count("notice")
    for caller in others:
        await _follow(caller, red)
        with contextlib.suppress(AssertionError):
            await until(lambda: told.count("notice") > before, "", 1.5)
            return
    raise AssertionError("one process hears no news of the other any more")


async def _follow(caller: Caller, other: Caller) -> None:
    status, _ = await caller.post(f"/people/{other.person.id}/follow")
    assert status == 303


async def _has_hall(caller: Caller) -> bool:
    return (await caller.get("/hall"))[0] == 200


async def _insist(club: ClubProcess) -> None:
    """Start it again and again, as whatever keeps services does."""
    while True:
        try:
            await club.start()
        except AssertionError:
            await asyncio.sleep(1.0)
        else:
            return


async def _furnish(settings: Settings) -> tuple[list[Founded], str]:
    store = await Store.open(settings)
    try:
        founder = Founder(store, settings)
        people = [
            await founder.person(name)
            for name in ("Red", "Green", "Blue", "Cyan", "Amber", "Grey", "Violet")
        ]
        return people, await founder.room(people[0], "Through the night")
    finally:
        await store.close()
