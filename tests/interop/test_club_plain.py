"""The club in a browser that runs no scripts, and by keyboard alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from deploy.club.web.options import Appointed
from tests.club.founding import phone_of
from tests.interop.club_process import club_here, settings_for
from tests.interop.club_tab import WAIT_MS, Tab
from tests.interop.daemon import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

PHONE = phone_of(9_100_001)
# From the top of a page to anything on it.
STEPS_MAX = 60


@pytest.fixture
async def base_url(tmp_path: Path) -> AsyncIterator[str]:
    """A club with one host."""
    settings = settings_for(f"sqlite+aiosqlite:///{tmp_path / 'club.sqlite'}")
    with running() as daemon:
        async with club_here(settings, daemon, [Appointed(PHONE, "Red")]):
            yield settings.base_url


async def test_everything_but_the_live_room_needs_no_script(
    base_url: str, browser: Browser
) -> None:
    """Sign in, invite, plan a room for a time in UTC, come, and change the language."""
    context = await browser.new_context(java_script_enabled=False)
    context.set_default_timeout(WAIT_MS)
    tab = Tab("Red", context, await context.new_page(), base_url)
    await tab.sign_in(PHONE)
    await tab.go("/invitations")
    await tab.fill("label", "a friend")
    await tab.click("submit")
    await expect(tab.hook("invitation")).to_have_count(1)
    await tab.go("/rooms/new")
    await tab.fill("topic", "Without a script")
    then = datetime.now(UTC) + timedelta(hours=2)
    await tab.fill("when", then.strftime("%Y-%m-%dT%H:%M"))
    await tab.click("submit")
    await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Without a script")
    await expect(tab.page.locator("main")).to_contain_text(then.strftime("%H:%M"))
    await tab.click("wont-come")
    await expect(tab.hook("will-come")).to_be_visible()
    await tab.speak("de")
    assert await tab.go("/me") == 200


async def test_a_keyboard_leads_from_the_entrance_into_a_room_and_out(
    base_url: str, browser: Browser
) -> None:
    """Nothing is clicked. Focus can be seen wherever it is."""
    tab = await Tab.open(browser, base_url, "Red")
    page = tab.page
    await tab.go("/")
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await _press(page, '[data-test="sign-in"]')
    await expect(tab.hook("phone")).to_be_visible()
    await _reach(page, '[data-test="phone"]')
    await page.keyboard.type(PHONE)
    await page.keyboard.press("Enter")
    await expect(tab.hook("code")).to_be_focused()
    await page.keyboard.type(await tab.hook("shown-code").inner_text())
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/hall")
    await _press(page, '[data-test="new-room"]')
    await page.wait_for_url("**/rooms/new")
    await _reach(page, '[data-test="topic"]')
    await page.keyboard.type("By keyboard")
    await page.keyboard.press("Enter")
    unmute = '[data-test="mute"][data-action="unmute"]'
    await expect(page.locator(unmute)).to_be_visible(timeout=WAIT_MS)
    await _press(page, unmute)
    mute = page.locator('[data-test="mute"][data-action="mute"]')
    await expect(mute).to_be_focused(timeout=WAIT_MS)
    await _press(page, '[data-test="leave"]')
    await page.wait_for_url("**/hall")


async def _reach(page: Page, selector: str) -> None:
    """Step on until it has the focus, which must be seen."""
    for _ in range(STEPS_MAX):
        if await page.locator(selector).first.evaluate("it => it === document.activeElement"):
            break
        await page.keyboard.press("Tab")
    reached = page.locator(selector).first
    await expect(reached).to_be_focused()
    outline = await reached.evaluate(
        "it => getComputedStyle(it).outlineStyle + getComputedStyle(it).boxShadow"
    )
    assert outline != "nonenone", f"{selector} does not show that it has the focus"


async def _press(page: Page, selector: str) -> None:
    await _reach(page, selector)
    await page.keyboard.press("Enter")
