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
        page.on("pageerror", lambda error: _fail(f"{name}: {error}"))
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

    async def speak(self, language: str) -> None:
        """Choose the language of the pages, as the foot of each page offers it."""
        await self.go("/")
        await self.page.locator(f'button[name="language"][value="{language}"]').click()
        await expect(self.page.locator("html")).to_have_attribute("lang", language)

    async def sign_in(self, phone: str) -> None:
        """A number and the code that a club in development shows."""
        await self.go("/sign-in")
        await self.fill("phone", phone)
        await self.click("send")
        await self.enter_code()

    async def enter_code(self) -> None:
        """The code that was just sent."""
        await self.page.wait_for_url("**/sign-in/code")
        found = CODE.search(await self.hook("shown-code").inner_text())
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

    async def schedule_in(self, minutes: int) -> None:
        """Choose a time in the browser's own zone."""
        local: str = await self.page.evaluate(
            """minutes => {
                const then = new Date(Date.now() + minutes * 60_000);
                const shifted = new Date(then - then.getTimezoneOffset() * 60_000);
                return shifted.toISOString().slice(0, 16);
            }""",
            minutes,
        )
        await self.fill("when", local)

    async def until_shown(self, selector: str, text: str, *, path: str) -> None:
        """Load a page until it says so: what another process or task does first."""

        async def is_shown() -> bool:
            await self.go(path)
            return text in await self.page.inner_text(selector)

        await until_equal(is_shown, True, timeout_s=WAIT_MS / 1000, holds=1)

    async def enter(self, room: str) -> None:
        """Into a live room, as far as its first statement."""
        await self.go(room)
        join = self.hook("join")
        if await join.count() and await join.is_visible():
            await join.click()
        await expect(self.hook("leave").first).to_be_visible(timeout=WAIT_MS)

    async def unmute(self) -> None:
        """Speak."""
        await self._press_mute("unmute")

    async def mute(self) -> None:
        """Speak no more."""
        await self._press_mute("mute")

    async def _press_mute(self, action: str) -> None:
        button = self.page.locator(f'[data-test="mute"][data-action="{action}"]')
        await button.click()
        await expect(button).to_have_count(0, timeout=WAIT_MS)

    async def act_on(self, member: str, action: str, within: str) -> None:
        """Press a moderator's button beside somebody."""
        row = self.hook(within).locator(f'[data-member="{member}"]')
        await self.click(action, within=row)

    async def offers_none(self, member: str, actions: Collection[str]) -> bool:
        """Whether there is no such button beside somebody."""
        found = [await self.hook(action, self.row(member)).count() for action in actions]
        return not any(found)

    async def watch_speaking(self, member: str) -> None:
        """Note from now on when the page first shows that somebody speaks."""
        await self.page.evaluate("member => window.ears.watchSpeaking(member)", member)

    async def speaking_seen_ms(self) -> float:
        """When that was, in ms of the machine's clock; waits for it."""
        seen = await self.page.wait_for_function("() => window.ears.speakingSeenMs")
        moment: float = await seen.json_value()
        return moment

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
        _fail(f"{name}: {said}")


def _fail(why: str) -> None:
    # What playwright then says is that its connection is gone; this is what happened.
    print(f"\nthe page: {why}")
    pytest.fail(why)
