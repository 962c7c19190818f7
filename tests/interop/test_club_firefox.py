"""The live room's page in Firefox: listen, be called up, speak, be muted, leave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.club.founding import Founder
from tests.interop import firefox, wire
from tests.interop.bidi import Tab
from tests.interop.club_caller import Caller
from tests.interop.club_process import club_here, settings_for
from tests.interop.daemon import Daemon
from tests.interop.polling import until_equal
from tests.interop.wire import Wire

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

STANDING = "() => document.querySelector('[data-test=standing]')?.textContent ?? ''"
CLICK = "name => { document.querySelector(`[data-test=${name}]`).click(); }"
SPEAKS = 'id => !!document.querySelector(`[data-member="${id}"].is-speaking`)'


@dataclass
class Visit:
    """A page in Firefox in a room of somebody's who speaks."""

    tab: Tab
    member: str
    host: Caller
    room: str

    async def click(self, hook: str) -> None:
        """Press what carries the hook."""
        await self.tab.evaluate(CLICK, hook)

    async def stands(self, text: str) -> None:
        """Wait until the page says so."""

        async def said() -> str:
            told: str = await self.tab.evaluate(STANDING)
            return told

        await until_equal(said, text, timeout_s=20.0)

    async def shows_speaking(self, member: str, expected: bool = True) -> None:
        """Wait until the page shows that somebody speaks, or does not."""

        async def shown() -> bool:
            speaks: bool = await self.tab.evaluate(SPEAKS, member)
            return speaks

        await until_equal(shown, expected, timeout_s=20.0)


@pytest.fixture(scope="module")
def way() -> Iterator[Wire]:
    """Firefox ignores loopback: the daemon is at the other end of a wire."""
    wire.need()
    firefox.executable()
    with Wire.laid() as laid, laid.at_the_clients():
        yield laid


@pytest.fixture(scope="module")
def daemon(way: Wire) -> Iterator[Daemon]:
    with way.daemon() as started:
        yield started


@pytest.fixture
async def visit(daemon: Daemon, tmp_path: Path) -> AsyncIterator[Visit]:
    settings = settings_for(f"sqlite+aiosqlite:///{tmp_path / 'club.sqlite'}")
    async with AsyncExitStack() as stack:
        club = await stack.enter_async_context(club_here(settings, daemon))
        founder = Founder(club.store, settings)
        red, blue = await founder.person("Red"), await founder.person("Blue")
        room = await founder.room(red, "Tea and toast")
        host = await stack.enter_async_context(Caller(settings.base_url, red))
        await host.join(room)
        session = await stack.enter_async_context(firefox.launched(tmp_path))
        tab = await Tab.open(session)
        await tab.go(settings.base_url)
        await tab.evaluate("cookie => { document.cookie = `club=${cookie}; path=/`; }", blue.cookie)
        await tab.go(f"{settings.base_url}/rooms/{room}")
        yield Visit(tab, blue.id, host, room)


async def test_a_visit_in_firefox(visit: Visit) -> None:
    """From listening to the stage and out again."""
    await visit.stands("You are listening.")
    await visit.click("hand")
    await visit.stands("Your hand is up. The moderators see it.")
    await visit.host.act(visit.room, "call_up", visit.member)
    await visit.stands("You are on stage, muted.")
    await visit.click("mute")
    await visit.stands("You are on air.")
    await visit.shows_speaking(visit.member)
    await visit.host.act(visit.room, "mute_other", visit.member)
    await visit.stands("You are on stage, muted.")
    await visit.shows_speaking(visit.member, False)
    await visit.tab.evaluate("() => { dispatchEvent(new Event('online')); }")
    await visit.click("mute")
    await visit.stands("You are on air.")
    await visit.shows_speaking(visit.member)
    await visit.click("leave")

    async def where() -> str:
        path: str = await visit.tab.evaluate("() => location.pathname")
        return path

    await until_equal(where, "/hall", timeout_s=20.0)
