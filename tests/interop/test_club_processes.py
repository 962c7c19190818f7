"""Two processes of the club, one PostgreSQL, one daemon: both are the same club."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from deploy.club.store import Store
from tests.club import postgres
from tests.club.founding import Founded, Founder
from tests.interop.club_process import ClubProcess, settings_for
from tests.interop.club_tab import WAIT_MS, Tab
from tests.interop.daemon import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# An older tab that fought for its place would have it back within this.
STAYS_MS = 3_000


@dataclass
class Fair:
    """A live room of Red's, at two processes."""

    browser: Browser
    addresses: list[str]
    red: Founded
    blue: Founded
    room: str

    async def enter(self, process: int, who: Founded) -> Tab:
        """A new tab in the room, at one of the processes."""
        address = self.addresses[process]
        tab = await Tab.open(self.browser, address, who.name, cookie=who.cookie)
        await tab.enter(f"/rooms/{self.room}")
        return tab


@pytest.fixture
async def fair(browser: Browser, tmp_path: Path) -> AsyncIterator[Fair]:
    async with AsyncExitStack() as stack:
        server = stack.enter_context(postgres.running())
        settings = settings_for(server.url(server.new_database()))
        daemon = stack.enter_context(running())
        addresses = []
        for name in ("one", "other"):
            folder = tmp_path / name
            folder.mkdir()
            own = replace(settings, base_url=settings_for(settings.database_url).base_url)
            await stack.enter_async_context(ClubProcess(own, daemon, folder))
            addresses.append(own.base_url)
        store = await Store.open(settings)
        stack.push_async_callback(store.close)
        founder = Founder(store, settings)
        red, blue = [await founder.person(name) for name in ("Red", "Blue")]
        yield Fair(browser, addresses, red, blue, await founder.room(red, "On two sides"))


async def test_two_processes_are_one_club(fair: Fair) -> None:
    """Hands and the stage are the same at both; a newer tab at the other process ends the older
    one, and neither fights for the place.
    """
    red = await fair.enter(0, fair.red)
    blue = await fair.enter(1, fair.blue)
    await blue.click("hand")
    await red.act_on(fair.blue.id, "call-up", "hands")
    await expect(blue.hook("standing")).to_have_text("You are on stage, muted.", timeout=WAIT_MS)
    await expect(red.hook("stage").locator("li")).to_have_count(2, timeout=WAIT_MS)

    newer = await fair.enter(1, fair.red)
    await expect(red.hook("farewell-text")).to_contain_text("another place", timeout=WAIT_MS)
    await newer.page.wait_for_timeout(STAYS_MS)
    await expect(newer.hook("farewell")).to_be_hidden()
    await expect(newer.hook("standing")).to_have_text("You are on stage, muted.")
    await newer.act_on(fair.blue.id, "move-down", "stage")
    await expect(blue.hook("standing")).to_have_text("You are listening.", timeout=WAIT_MS)
