"""A notice comes to a page that is open, wherever in the club that is."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.club.founding import Founder
from tests.interop.club_caller import Caller
from tests.interop.club_process import club_here, settings_for
from tests.interop.club_tab import WAIT_MS, Tab
from tests.interop.daemon import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


async def test_who_is_asked_into_a_room_sees_it_in_the_hall_and_follows(
    browser: Browser, tmp_path: Path
) -> None:
    """The line leads into the room, is counted beside the bell, and stays among the notices."""
    settings = settings_for(f"sqlite+aiosqlite:///{tmp_path / 'club.sqlite'}")
    with running() as daemon:
        async with club_here(settings, daemon) as club:
            founder = Founder(club.store, settings)
            red, blue = await founder.person("Red"), await founder.person("Blue")
            await founder.follow(blue, red)
            room = await founder.room(red, "In red", visibility="followers")
            tab = await Tab.open(browser, settings.base_url, "Blue", cookie=blue.cookie)
            async with tab.page.expect_websocket():
                await tab.go("/upcoming")
            async with Caller(settings.base_url, red) as caller:
                await caller.join(room)
                await caller.act(room, "ping", blue.id)
                toast = tab.hook("toast")
                await expect(toast).to_contain_text("Red asks you", timeout=WAIT_MS)
                await expect(tab.hook("notice")).to_contain_text("1")
                await toast.click()
                await tab.page.wait_for_url(f"**/rooms/{room}")
                await expect(tab.hook("stage")).to_contain_text("Red", timeout=WAIT_MS)
                await tab.go("/notices")
                await expect(tab.page.locator("main")).to_contain_text("In red")
            await tab.close()
