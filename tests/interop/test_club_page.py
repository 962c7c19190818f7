"""The live room's page keeps its line up, its keyboard's place, and what the person wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.club.founding import Founded, Founder
from tests.interop.club_process import club_here, settings_for
from tests.interop.club_tab import WAIT_MS, Tab
from tests.interop.daemon import Daemon, Ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

RED, BLUE = 440, 740
TONES = (RED, BLUE)
# An ICE restart moves a session that goes on; a new one has to be set up and is heard as a gap.
SILENCE_S_MAX = 0.3
ACTIVE = "() => document.activeElement?.dataset.test ?? document.activeElement?.id ?? ''"


@dataclass
class Evening:
    """A club with a live room of Red's, and the daemon, which may be restarted."""

    base_url: str
    browser: Browser
    ports: Ports
    people: dict[str, Founded]
    room: str
    daemon: Daemon

    async def enter(self, name: str, hz: int) -> Tab:
        """A tab in the room."""
        cookie = self.people[name].cookie
        tab = await Tab.open(self.browser, self.base_url, name, hz, cookie=cookie)
        await tab.enter(f"/rooms/{self.room}")
        await expect(tab.hook("standing")).not_to_have_text("Connecting…", timeout=WAIT_MS)
        return tab

    async def restart_daemon(self) -> None:
        """As its keeper does after a crash: all its rooms are forgotten."""
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.daemon.log.unlink()
        self.daemon = await asyncio.to_thread(Daemon.start, ports=self.ports)


@asynccontextmanager
async def an_evening(browser: Browser, folder: Path) -> AsyncIterator[Evening]:
    """With Red, who hosts, Blue, and Green, who follows Red."""
    settings = settings_for(f"sqlite+aiosqlite:///{folder / 'club.sqlite'}")
    ports = Ports.free()
    daemon = Daemon.start(ports=ports)
    async with AsyncExitStack() as stack:
        club = await stack.enter_async_context(club_here(settings, daemon))
        founder = Founder(club.store, settings)
        people = {name: await founder.person(name) for name in ("Red", "Blue", "Green")}
        await founder.follow(people["Green"], people["Red"])
        room = await founder.room(people["Red"], "Tea and toast")
        made = Evening(settings.base_url, browser, ports, people, room, daemon)
        try:
            yield made
        finally:
            made.daemon.stop()


@pytest.fixture
async def evening(browser: Browser, tmp_path: Path) -> AsyncIterator[Evening]:
    async with an_evening(browser, tmp_path) as made:
        yield made


async def come_over_another_network(page: Page) -> int:
    """The status of the answer to the restart of ICE that follows."""
    async with page.expect_response("**/restart-ice") as answer:
        await page.evaluate("() => { dispatchEvent(new Event('online')); }")
    return (await answer.value).status


async def test_another_network_restarts_ice_and_nothing_is_missed(evening: Evening) -> None:
    """Both who speaks and who listens come over another network in the middle of it."""
    red, blue = await evening.enter("Red", RED), await evening.enter("Blue", BLUE)
    await red.unmute()
    await blue.hears({RED}, TONES)
    await blue.longest_silence()
    for tab in (red, blue):
        assert await come_over_another_network(tab.page) == 200
        assert not await tab.hook("banner").is_visible(), "nothing was lost"
    assert await blue.longest_silence() <= SILENCE_S_MAX
    await blue.hears({RED}, TONES)


async def test_news_of_the_network_that_come_together_restart_ice_without_a_gap(
    evening: Evening,
) -> None:
    """A telephone that leaves the house says it twice and more."""
    blue = await evening.enter("Blue", BLUE)
    asked: list[str] = []
    blue.page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    for _ in range(2):
        await blue.page.evaluate(
            "() => { for (let i = 0; i < 3; i += 1) dispatchEvent(new Event('online')); }"
        )
        await asyncio.sleep(0.05)
    # Longer than a page waits for a path that it restarted.
    await asyncio.sleep(7)
    assert "restart-ice" in asked and "join" not in asked, asked
    assert not await blue.hook("banner").is_visible()


async def test_who_talked_goes_on_talking_after_the_audio_server_was_gone(
    evening: Evening,
) -> None:
    """Pages join again by themselves; nobody presses anything, nobody is asked anything twice."""
    red, blue = await evening.enter("Red", RED), await evening.enter("Blue", BLUE)
    await red.unmute()
    await blue.hears({RED}, TONES)
    await evening.restart_daemon()
    await expect(blue.hook("banner")).to_be_visible(timeout=WAIT_MS)
    for tab in (red, blue):
        await expect(tab.hook("banner")).to_be_hidden(timeout=2 * WAIT_MS)
    await blue.hears({RED}, TONES)
    assert await red.microphone_requests() == 1
    assert await blue.microphone_requests() == 0


async def test_a_room_opened_elsewhere_goes_on_there_alone(evening: Evening) -> None:
    """The older page says so and does not fight for the place."""
    first = await evening.enter("Red", RED)
    second = await evening.enter("Red", RED)
    await expect(first.hook("farewell-text")).to_contain_text("another place", timeout=WAIT_MS)
    await asyncio.sleep(2.0)  # longer than a page waits before it joins again
    await expect(second.hook("farewell")).to_be_hidden()
    await expect(second.hook("standing")).to_have_text("You are on stage, muted.")


async def test_a_page_that_never_came_in_takes_nobodys_place_when_it_goes(evening: Evening) -> None:
    """The same person is in the room by another browser all the while."""
    blue = await evening.enter("Blue", BLUE)
    cookie = evening.people["Blue"].cookie
    other = await Tab.open(evening.browser, evening.base_url, "Blue", BLUE, cookie=cookie)
    await other.page.route("**/join", lambda route: route.fulfill(status=503, body="{}"))
    async with other.page.expect_response("**/join"):
        await other.page.goto(f"{evening.base_url}/rooms/{evening.room}")
    await other.hook("leave").click()
    await other.page.wait_for_url("**/hall")
    # Longer than the server needs to say goodbye.
    await asyncio.sleep(1)
    assert not await blue.hook("farewell-text").is_visible()


async def test_the_keyboard_keeps_its_place(evening: Evening) -> None:
    """A button that was pressed is still under the finger; one that went away leaves it near."""
    red, blue = await evening.enter("Red", RED), await evening.enter("Blue", BLUE)
    await blue.hook("hand").focus()
    await blue.page.keyboard.press("Enter")
    await expect(blue.hook("hand")).to_have_attribute("aria-pressed", "true", timeout=WAIT_MS)
    assert await blue.evaluate(ACTIVE) == "hand"
    call_up = red.hook("call-up", red.hook("hands"))
    await call_up.focus(timeout=WAIT_MS)
    await red.page.keyboard.press("Enter")
    await expect(red.hook("stage")).to_contain_text("Blue", timeout=WAIT_MS)
    await expect(blue.hook("mute")).to_be_visible(timeout=WAIT_MS)
    assert await blue.evaluate(ACTIVE) == "mute"
    await red.hook("make-moderator", red.row(evening.people["Blue"].id)).focus()
    await red.page.keyboard.press("Enter")
    await expect(red.hook("unmake-moderator")).to_be_visible(timeout=WAIT_MS)
    held = await red.evaluate("() => document.activeElement?.closest('[data-member]')?.id ?? null")
    assert held is not None, "the focus is still on Blue's card"


async def test_without_a_microphone_the_page_says_so_and_stays_muted(evening: Evening) -> None:
    """Nobody is on air with nothing to be heard."""
    red = await evening.enter("Red", RED)
    await red.evaluate(
        """() => {
            navigator.mediaDevices.getUserMedia = () =>
                Promise.reject(new DOMException("", "NotAllowedError"));
        }"""
    )
    await red.click("mute")
    await expect(red.hook("toast")).to_contain_text("not allowed", timeout=WAIT_MS)
    await expect(red.hook("standing")).to_have_text("You are on stage, muted.")


async def test_who_is_in_charge_has_the_room_in_hand(evening: Evening) -> None:
    """No hands, a locked door, and a way onto the stage that is asked for."""
    red, blue = await evening.enter("Red", RED), await evening.enter("Blue", BLUE)
    await expect(blue.hook("lock")).to_be_hidden()
    await red.click("lock-hands")
    await expect(blue.hook("hand")).to_be_disabled(timeout=WAIT_MS)
    await expect(blue.hook("standing")).to_contain_text("No hands are taken")
    await red.click("invite", red.row(evening.people["Blue"].id))
    await expect(blue.page.locator("#invitation")).to_contain_text("Red asks you", timeout=WAIT_MS)
    await blue.click("accept")
    await expect(blue.hook("standing")).to_contain_text("You are on stage", timeout=WAIT_MS)
    await expect(blue.page.locator("#invitation")).to_be_hidden()
    await blue.click("leave-stage")
    await expect(blue.hook("standing")).to_contain_text("You are listening", timeout=WAIT_MS)
    await red.click("lock")
    await expect(blue.page.locator("#locked")).to_be_visible(timeout=WAIT_MS)
    green = await Tab.open(
        evening.browser, evening.base_url, "Green", cookie=evening.people["Green"].cookie
    )
    await green.go(f"/rooms/{evening.room}")
    await expect(green.hook("locked")).to_contain_text("This room is locked")
    await red.click("lock")
    await expect(blue.page.locator("#locked")).to_be_hidden(timeout=WAIT_MS)
    await green.enter(f"/rooms/{evening.room}")


async def test_a_friend_is_asked_in_and_told_where_they_are(evening: Evening) -> None:
    """A ping reaches whoever follows, also on a live room's page; others are not on the list."""
    red = await evening.enter("Red", RED)
    await red.click("ping")
    friends = red.page.locator("#ping-dialog li")
    await expect(friends).to_have_count(1)
    await red.click("ping-friend", friends.filter(has_text="Green"))
    await expect(red.hook("ping-friend")).to_have_text("Asked", timeout=WAIT_MS)
    await red.page.keyboard.press("Escape")
    await expect(red.page.locator("#ping-dialog")).to_be_hidden()
    green = await Tab.open(
        evening.browser, evening.base_url, "Green", cookie=evening.people["Green"].cookie
    )
    await green.go("/notices")
    await green.page.get_by_role("link", name="Tea and toast").click()
    await expect(green.hook("standing")).to_have_text("You are listening.", timeout=WAIT_MS)
    blue = await Tab.open(
        evening.browser, evening.base_url, "Blue", cookie=evening.people["Blue"].cookie
    )
    await blue.go(f"/people/{evening.people['Green'].id}")
    await blue.click("follow")
    await expect(green.hook("toast")).to_have_text("Blue follows you.", timeout=WAIT_MS)
