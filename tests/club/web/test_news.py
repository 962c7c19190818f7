"""Notices reach every open page of those whom they are for, and nobody else's."""

from __future__ import annotations

import asyncio
from collections import deque

import aiohttp
import pytest
from aiohttp import WSCloseCode

from deploy.club.door.waiting import let_in
from deploy.club.people import moderation
from deploy.club.people.follows import follow
from deploy.club.web import news
from deploy.club.web.news import News, OpenPage
from tests.club.web.site import SignedIn, Site

WAIT_S = 5.0


async def followed(site: Site, by: SignedIn, who: SignedIn) -> None:
    """Cause a notice."""
    async with site.store.begin() as tx:
        await follow(tx, by.id, who.id, site.clock())


async def closed_with(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    """How the server ends a socket, without having said anything."""
    async with asyncio.timeout(WAIT_S):
        message = await socket.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE, message
    return socket.close_code


async def test_a_notice_reaches_all_pages_of_its_member_in_their_language(site: Site) -> None:
    red = await site.signed_in("Red", language="de")
    blue = await site.signed_in("Blue")
    pages = [await red.socket("/news"), await (await site.browser_of(red.member)).socket("/news")]
    others = await blue.socket("/news")
    await followed(site, blue, red)
    for page in pages:
        told = await page.receive_json(timeout=WAIT_S)
        assert told == {
            "type": "notice",
            "kind": "followed",
            "text": "Blue folgt dir.",
            "href": f"/people/{blue.id}",
        }
    await followed(site, red, blue)
    assert (await others.receive_json(timeout=WAIT_S))["text"] == "Red follows you."


async def test_who_waits_hears_that_they_are_let_in(site: Site) -> None:
    red = await site.signed_in("Red", "waiting")
    page = await red.socket("/news")
    site.clock.advance(60)
    async with site.store.begin() as tx:
        await let_in(tx, site.settings, await tx.merge(red.member), site.clock())
    assert (await page.receive_json(timeout=WAIT_S))["kind"] == "admitted"


async def test_nobodys_page_is_told_to_stay_away(site: Site) -> None:
    page = await site.browser().socket("/news")
    assert await closed_with(page) == WSCloseCode.POLICY_VIOLATION


async def test_who_is_removed_from_the_club_hears_nothing_more(site: Site) -> None:
    host, red = await site.signed_in("Green", is_host=True), await site.signed_in("Red")
    page = await red.socket("/news")
    async with site.store.begin() as tx:
        await moderation.remove_member(tx, host.member, red.id, site.clock())
    assert await closed_with(page) == WSCloseCode.POLICY_VIOLATION


async def test_a_page_that_talks_is_closed(client: SignedIn) -> None:
    page = await client.socket("/news")
    await page.send_str("hello")
    assert await closed_with(page) == WSCloseCode.POLICY_VIOLATION


async def test_the_newest_tabs_of_a_member_are_told_and_a_full_house_takes_no_more(
    client: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "PAGES_EACH_MAX", 1)
    monkeypatch.setattr(news, "PAGES_MAX", 2)
    first = await client.socket("/news")
    await client.socket("/news")
    assert await closed_with(first) == WSCloseCode.POLICY_VIOLATION
    monkeypatch.setattr(news, "PAGES_MAX", 1)
    assert await closed_with(await client.socket("/news")) == WSCloseCode.POLICY_VIOLATION


async def test_a_page_that_reads_slowly_is_told_the_latest() -> None:
    page = OpenPage("en")
    for number in range(news.WAITING_MAX + 3):
        page.tell(str(number))
    told = [await page.next() for _ in range(news.WAITING_MAX)]
    assert told == [str(number) for number in range(3, news.WAITING_MAX + 3)]


def test_what_only_a_newer_process_knows_is_left_out() -> None:
    news = News()
    page = news.open("m-1", "en")
    news.hear("notice", {"to": ["m-1"], "kind": "of the future"})
    assert page._told == deque()


def test_nothing_is_kept_of_pages_that_are_gone() -> None:
    kept = News()
    pages = [kept.open("m-1", "en"), kept.open("m-1", "en")]
    for page in pages:
        kept.close("m-1", page)
    assert kept.count == 0
    kept.hear("standing", {"member": "m-1", "standing": "removed"})
    assert kept._pages == {}
