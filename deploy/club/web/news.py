"""Notices on every open page: a socket beside the page, to which nothing is sent.

A live room has a socket of its own, which tells them as well. What a page misses while its socket
is away is on /notices all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import WSCloseCode, web

from deploy.club.door.sessions import ENDED_TOPIC
from deploy.club.people import notices
from deploy.club.people.moderation import STANDING_TOPIC
from deploy.club.store.bus import RESUMED
from deploy.club.web.beside import beside
from deploy.club.web.locales import Locale, translations
from deploy.club.web.one_way import new_socket, tell
from deploy.club.web.parts import CLUB
from deploy.club.web.routes import Route, Standing
from deploy.club.web.visitor import visitor

# Of one member: the tabs that somebody has open; the oldest makes room for the newest.
PAGES_EACH_MAX: Final = 10
# Of one process. A socket with its buffers takes some 30 KiB.
PAGES_MAX: Final = 10_000
# What a page that reads slowly may have before it; the oldest are on /notices.
WAITING_MAX: Final = 8


class OpenPage:
    """One page's socket, and what it has yet to be told."""

    def __init__(self, locale: Locale, session_id: str = "") -> None:
        self.locale = locale
        self.session_id = session_id
        self.is_over = False
        self.code = WSCloseCode.POLICY_VIOLATION  # with which it ends: it need not come back
        self._told: deque[str] = deque(maxlen=WAITING_MAX)
        self._news = asyncio.Event()

    def tell(self, statement: str) -> None:
        """Put a statement in line."""
        self._told.append(statement)
        self._news.set()

    def end(self, code: WSCloseCode = WSCloseCode.POLICY_VIOLATION) -> None:
        """The page is nobody's any more; or it is to come back, by another `code`."""
        self.code = code
        self.is_over = True
        self._news.set()

    async def next(self) -> str | None:
        """The next statement, as soon as there is one; None at the end."""
        while not self._told and not self.is_over:
            self._news.clear()
            await self._news.wait()
        return None if self.is_over else self._told.popleft()


class News:
    """The open pages of one process, by member."""

    def __init__(self) -> None:
        self._pages: defaultdict[str, list[OpenPage]] = defaultdict(list)
        self.count = 0

    def open(self, member_id: str, locale: Locale, session_id: str = "") -> OpenPage:
        """One more page of a member, in the browser of a session."""
        page = OpenPage(locale, session_id)
        pages = self._pages[member_id]
        pages.append(page)
        self.count += 1
        if len(pages) > PAGES_EACH_MAX:
            pages[0].end()
        return page

    def close(self, member_id: str, page: OpenPage) -> None:
        """The page is gone."""
        pages = self._pages[member_id]
        pages.remove(page)
        self.count -= 1
        if not pages:
            del self._pages[member_id]

    def hear(self, topic: str, payload: dict[str, Any]) -> None:
        """What the club's bus says."""
        # A newer process may know more kinds than this one; they are on /notices.
        if topic == notices.BUS_TOPIC and payload["kind"] in notices.KINDS:
            for member_id in payload["to"]:
                for page in self._pages.get(member_id, ()):
                    page.tell(_statement(payload, page.locale))
        elif topic == ENDED_TOPIC:
            self._sign_out(payload["session"])
        elif topic == RESUMED:
            # Who was removed or signed out meanwhile is not known: all are recognised anew.
            for page in self._all():
                page.end(WSCloseCode.GOING_AWAY)
        elif topic == STANDING_TOPIC:
            for page in self._pages.get(payload["member"], ()):
                page.end()

    def _sign_out(self, session_id: str) -> None:
        for page in self._all():
            if page.session_id == session_id:
                page.end()

    def _all(self) -> list[OpenPage]:
        return [page for pages in self._pages.values() for page in pages]


NEWS: web.AppKey[News] = web.AppKey("news", News)


async def follow_bus(app: web.Application) -> AsyncIterator[None]:
    """Tell the pages while the site is up."""
    async with beside(_follow(app)):
        yield


async def _follow(app: web.Application) -> None:
    with app[CLUB].store.bus.listen({notices.BUS_TOPIC, STANDING_TOPIC, ENDED_TOPIC}) as messages:
        async for topic, payload in messages:
            app[NEWS].hear(topic, payload)


async def serve(request: web.Request) -> web.StreamResponse:
    """GET /news: the notices of whoever is signed in. Nobody's page is told to stay away, instead
    of being refused, upon which it would try again.
    """
    parts, who, news = request.app[CLUB], visitor(request), request.app[NEWS]
    if who.member is not None:
        parts.limits.take("socket", who.member.id, parts.clock())
    socket = new_socket()
    await socket.prepare(request)
    if who.member is None or who.standing is Standing.STRANGER or news.count >= PAGES_MAX:
        await socket.close(code=WSCloseCode.POLICY_VIOLATION)
        return socket
    assert who.session is not None, "a member has one"
    page = news.open(who.member.id, who.locale, who.session.id)
    try:
        await tell(request, socket, _write(socket, page))
    finally:
        news.close(who.member.id, page)
    return socket


async def _write(socket: web.WebSocketResponse, page: OpenPage) -> None:
    with contextlib.suppress(ConnectionError):
        while (statement := await page.next()) is not None:
            await socket.send_str(statement)
        await socket.close(code=page.code)


def _statement(payload: dict[str, Any], locale: Locale) -> str:
    kind = payload["kind"]
    text = notices.sentence(kind, payload["name"], payload["topic"], translations(locale).gettext)
    href = notices.address(kind, payload["member"], payload["room"])
    return json.dumps({"type": "notice", "kind": kind, "text": text, "href": href})


ROUTES: tuple[Route, ...] = (Route("GET", "/news", serve, Standing.STRANGER, is_json=True),)
