"""Nothing on any page keeps somebody out: axe-core finds nothing serious, and pages are small."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Response

from tests.interop.club_sights import SIGHTS, Sight, Town, town
from tests.interop.club_tab import Tab
from tests.interop.daemon import running
from tests.interop.npm import install

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SOURCES = Path(__file__).with_name("axe")
SERIOUS = ("serious", "critical")
# The smallest telephones that are still in use.
NARROW = (320, 640)
# With another, long name for everybody of the town, if one is given.
IS_WIDE = """name => {
  const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (name && texts.nextNode()) {
    const text = texts.currentNode;
    if (text.parentElement.tagName !== "SCRIPT") {
      text.data = text.data.replace(/\\b(Red|Blue|Green|Violet|Orange|Cyan|Guest \\d+)\\b/g, name);
    }
  }
  return document.documentElement.scrollWidth > innerWidth;
}"""
# What a newcomer's telephone loads before anything can be read: page, style, scripts.
FIRST_PAGE_BYTES_MAX = 200 * 1024
# Of a live room, which is all of it.
ROOM_BYTES_MAX = 200 * 1024

RUN = """async rules => {
  const chosen = rules ? { runOnly: { type: "rule", values: rules } } : {};
  const found = await axe.run(document, { resultTypes: ["violations"], ...chosen });
  return found.violations.map(({ id, impact, nodes }) => (
    { id, impact, where: nodes.map((node) => `${node.target} ${node.failureSummary}`) }));
}"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script."""
    folder = install(SOURCES, tmp_path_factory.mktemp("axe") / "axe")
    return (folder / "node_modules/axe-core/axe.min.js").read_text()


@pytest.fixture
async def furnished(tmp_path: Path) -> AsyncIterator[Town]:
    """A club with every page."""
    with running() as daemon:
        async with town(tmp_path, daemon) as made:
            yield made


async def test_no_page_keeps_anybody_out(furnished: Town, browser: Browser, axe: str) -> None:
    """In both languages; contrast in both colour schemes, and on a small telephone."""
    findings: list[str] = []
    for language, size in (("en", (1280, 800)), ("de", NARROW)):
        tabs: dict[str | None, Tab] = {}
        for sight in SIGHTS:
            tab = tabs.get(sight.who)
            if tab is None:
                cookie = furnished.people[sight.who].cookie if sight.who else None
                tab = tabs[sight.who] = await Tab.open(
                    browser,
                    furnished.base_url,
                    sight.who or "stranger",
                    language=language,
                    size=size,
                    cookie=cookie,
                )
                await tab.speak(language)
            await furnished.show(sight, tab)
            findings += [f"{language} {one}" for one in await _look(sight, tab, axe)]
        stranger = tabs[None]
        await stranger.evaluate("() => document.body.append(document.createElement('input'))")
        assert await _look(SIGHTS[0], stranger, axe), "a field without a name is found"
        await asyncio.gather(*(tab.close() for tab in tabs.values()))
    assert not findings, "\n".join(sorted(set(findings)))


async def _look(sight: Sight, tab: Tab, axe: str) -> list[str]:
    """What axe finds in light, and what of it depends on colours in dark."""
    await tab.page.evaluate(axe)
    found: list[str] = []
    for scheme, rules in (("light", None), ("dark", ["color-contrast"])):
        await tab.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        told: list[dict[str, Any]] = await tab.evaluate(RUN, rules)
        found += [
            f"{sight.name} {scheme} {one['id']}: {where}"
            for one in told
            if one["impact"] in SERIOUS
            for where in one["where"]
        ]
    if await tab.evaluate(IS_WIDE, ""):
        found.append(f"{sight.name}: is wider than the screen")
    if await tab.evaluate(IS_WIDE, "W" * 40):
        found.append(f"{sight.name}: is wider than the screen with long names")
    if await tab.page.get_attribute("html", "lang") is None:
        found.append(f"{sight.name}: names no language")
    return found


async def test_pages_are_small(furnished: Town, browser: Browser) -> None:
    """Everything that comes over the wire for the entrance, and for a live room."""
    blue = furnished.people["Blue"].cookie
    room = "/rooms/" + furnished.names["live"]
    for path, cookie, limit in (("/", None, FIRST_PAGE_BYTES_MAX), (room, blue, ROOM_BYTES_MAX)):
        tab = await Tab.open(browser, furnished.base_url, path, cookie=cookie)
        responses: list[Response] = []
        tab.page.on("response", _into(responses))
        await tab.go(path)
        await tab.page.wait_for_load_state("networkidle")
        total = 0
        for response in responses:
            sizes = await response.request.sizes()
            total += sizes["responseBodySize"] + sizes["responseHeadersSize"]
        print(f"\n{path}: {total / 1024:.0f} KiB in {len(responses)} responses")
        assert 0 < total <= limit
        await tab.close()


def _into(responses: list[Response]) -> Callable[[Response], None]:
    def take(response: Response) -> None:
        responses.append(response)

    return take
