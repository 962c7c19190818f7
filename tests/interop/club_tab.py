"""A person at a page of the club: a tab of Chromium whose microphone plays a tone of its own."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, Self

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.interop.page_peer import HEARD_DB
from tests.interop.polling import until_equal

EARS = Path(__file__).with_name("club_ears.js")
WAIT_MS = 15_000
CODE = re.compile(r"\b\d{6}\b")


class Tab:
    """One context of a browser with one page. A fault in the page's code fails the test, as does
    anything that the Content-Security-Policy stopped.
    """

    def __init__(self, name: str, context: BrowserContext, page: Page, base_url: str) -> None:
        self.name = name
        self.context = context
        self.page = page
        self.base_url = base_url

    @classmethod
    async def open(
        cls,
        browser: Browser,
        base_url: str,
        name: str,
        hz: int = 440,
        *,
        language: str = "en",
        scheme: Literal["light", "dark"] = "light",
        size: tuple[int, int] = (1280, 800),
        cookie: str | None = None,
    ) -> Self:
        """An empty tab; with `cookie` it is somebody who signed in before."""
        context = await browser.new_context(
            permissions=["microphone"],
            locale=language,
            color_scheme=scheme,
            reduced_motion="reduce",
            viewport={"width": size[0], "height": size[1]},
        )
        context.set_default_timeout(WAIT_MS)
        if cookie is not None:
            await context.add_cookies([{"name": "club", "value": cookie, "url": base_url}])
        page = await context.new_page()
        page.on("pageerror", lambda error: pytest.fail(f"{name}: {error}"))
        page.on("console", lambda said: _no_policy_violation(name, said.text))
        await page.add_init_script(f"window.toneHz = {hz};")
        await page.add_init_script(EARS.read_text())
        return cls(name, context, page, base_url)

    async def go(self, path: str) -> int:
        """Open a page of the club; its status."""
        response = await self.page.goto(self.base_url + path)
        assert response is not None
        return response.status

    @property
    def path(self) -> str:
        """Which page this is."""
        return self.page.url.removeprefix(self.base_url)

    def hook(self, name: str, within: Locator | None = None) -> Locator:
        """What carries `data-test="name"`."""
        return (within or self.page).locator(f'[data-test="{name}"]')

    async def click(self, name: str, within: Locator | None = None) -> None:
        """Press what carries the hook."""
        await self.hook(name, within).first.click()

    async def fill(self, name: str, text: str) -> None:
        """Write into what carries the hook."""
        await self.hook(name).first.fill(text)

    def row(self, member: str) -> Locator:
        """What the page shows of a member: the element with its id."""
        return self.page.locator(f'[data-member="{member}"]')

    async def sign_in(self, phone: str) -> None:
        """A number and the code that a club in development shows."""
        await self.go("/sign-in")
        await self.fill("phone", phone)
        await self.click("send")
        await self.page.wait_for_url("**/sign-in/code")
        found = CODE.search(await self.page.inner_text("main"))
        assert found is not None, "the page shows the code in development"
        await self.fill("code", found.group())
        await self.click("submit")
        await self.page.wait_for_url(lambda address: "/sign-in" not in address)

    async def introduce(self, name: str, *interests: str) -> None:
        """Fill in the page that newcomers see."""
        await expect(self.hook("name")).to_be_visible()
        await self.fill("name", name)
        for slug in interests:
            # The box itself is drawn by its label.
            await self.hook(f"interest-{slug}").check(force=True)
        await self.click("submit")
        await self.page.wait_for_url(lambda address: "/welcome" not in address)

    async def hears(self, tones: Collection[int], among: Collection[int]) -> None:
        """Wait until of `among` exactly these tones sound in what is played, steadily."""

        async def sounding() -> set[int]:
            return await self.tones(among)

        await until_equal(sounding, set(tones), timeout_s=WAIT_MS / 1000)

    async def tones(self, among: Collection[int]) -> set[int]:
        """Which of these tones are in the decoded sound now."""
        frequencies = sorted(among)
        levels = await self.page.evaluate("hz => window.ears.levels(hz)", frequencies)
        return {hz for hz, level in zip(frequencies, levels, strict=True) if level > HEARD_DB}

    async def longest_silence(self) -> float:
        """Seconds without sound at a stretch, since the last call."""
        seconds: float = await self.page.evaluate("() => window.ears.longestSilence()")
        return seconds

    async def microphone_requests(self) -> int:
        """How often the page asked for the microphone."""
        asked: int = await self.page.evaluate("() => window.ears.microphoneRequests")
        return asked

    async def evaluate(self, function: str, given: Any = None) -> Any:
        """What a function gives in the page."""
        return await self.page.evaluate(function, given)

    async def close(self) -> None:
        """As somebody who closes the tab."""
        await self.context.close()


def _no_policy_violation(name: str, said: str) -> None:
    if "Content Security Policy" in said:
        pytest.fail(f"{name}: {said}")
