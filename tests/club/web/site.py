"""A browser without a browser: the whole site over a store, with cookies, forms and a clock."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import aiohttp
from aiohttp.test_utils import TestServer
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.door import sessions
from deploy.club.door.sender import LogSender
from deploy.club.settings import Settings
from deploy.club.store import Member, Store
from deploy.club.tokens import keyed_hash, new_id
from deploy.club.web.app import create_app
from deploy.club.web.limits import Limits
from deploy.club.web.routes import Route

NOW = datetime(2026, 1, 31, 18, 0, tzinfo=UTC)
CSRF = re.compile(r'name="csrf" value="([^"]+)"')


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let so much time pass."""
        self.now += timedelta(seconds=seconds)


class QuietRooms:
    """Stands in for the live rooms where a test has none: nothing is live, nothing happens."""

    async def run(self) -> None:
        """Follow no daemon."""

    def counts(self, room_id: str) -> None:
        """Nobody is anywhere."""

    async def close(self) -> None:
        """Nothing to close."""


class Page:
    """One answer, read."""

    def __init__(self, status: int, text: str, headers: Any, url: str) -> None:
        self.status = status
        self.text = text
        self.headers = headers
        self.url = url

    def has(self, hook: str, **attributes: str) -> bool:
        """Whether an element with this `data-test` is on the page, with these attributes."""
        tags = re.findall(rf'<[^>]*data-test="{re.escape(hook)}"[^>]*>', self.text)
        return any(
            all(f'{name}="{value}"' in tag for name, value in attributes.items()) for tag in tags
        )


class Browser:
    """One person's cookies. Redirects are followed unless a test looks at them."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []
        self._http = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), base_url=site.url
        )

    async def close(self) -> None:
        """Close its connections: a socket that is left to the collector is a warning there."""
        for socket in self._sockets:
            await socket.close()
        await self._http.close()

    async def get(self, path: str, *, follow: bool = True, **options: Any) -> Page:
        """GET `path`."""
        return await self.ask("GET", path, allow_redirects=follow, **options)

    async def post(
        self,
        path: str,
        data: Any = None,
        *,
        follow: bool = True,
        csrf: str | None = None,
        **options: Any,
    ) -> Page:
        """Post a form, with the CSRF token that the visitor has (or another one)."""
        token = csrf if csrf is not None else await self.csrf()
        if isinstance(data, aiohttp.FormData):
            data.add_field("csrf", token)
            fields: Any = data
        else:
            fields = dict(data or {}) | {"csrf": token}
        return await self.ask("POST", path, data=fields, allow_redirects=follow, **options)

    async def post_json(self, path: str, body: Any, *, csrf: str | None = None) -> Page:
        """Post JSON as the site's scripts do."""
        token = csrf if csrf is not None else await self.csrf()
        return await self.ask("POST", path, json=body, headers={"X-CSRF": token})

    async def socket(self, path: str, **options: Any) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket from a page of the site."""
        headers = {"Origin": self._site.url}
        opened: aiohttp.ClientWebSocketResponse = await self._http.ws_connect(
            path, headers=headers, **options
        )
        self._sockets.append(opened)
        return opened

    async def csrf(self) -> str:
        """The token of this visitor's forms, which even the page of a wrong address has."""
        page = await self.get("/nowhere")
        found = CSRF.search(page.text)
        assert found is not None, page.text
        return found[1]

    def sign_in_with(self, token: str) -> None:
        """Take a session's cookie."""
        self.give_cookie("club", token)

    def give_cookie(self, name: str, value: str) -> None:
        """As if the site had set it."""
        self._http.cookie_jar.update_cookies({name: value})

    def take_cookies(self, other: Browser) -> None:
        """Those of another browser, beside its own."""
        for cookie in other._http.cookie_jar:
            self._http.cookie_jar.update_cookies({cookie.key: cookie.value})

    def cookie(self, name: str) -> str:
        """What the site keeps in this browser under `name`; empty for nothing."""
        return next((kept.value for kept in self._http.cookie_jar if kept.key == name), "")

    async def ask(self, method: str, path: str, **options: Any) -> Page:
        """Any request."""
        async with self._http.request(method, path, **options) as answer:
            body = await answer.read()
            text = body.decode(errors="replace")
            return Page(answer.status, text, answer.headers, str(answer.url))


class Site:
    """The site under test; made by `serving`."""

    def __init__(self, server: TestServer, store: Store, settings: Settings, clock: Clock) -> None:
        self.store = store
        self.settings = settings
        self.clock = clock
        self._server = server
        self._browsers: list[Browser] = []

    @property
    def url(self) -> str:
        """The site's origin."""
        return str(self._server.make_url("/")).rstrip("/")

    def browser(self) -> Browser:
        """A browser that nobody has signed in with."""
        browser = Browser(self)
        self._browsers.append(browser)
        return browser

    async def add_member(self, name: str, standing: str = "member", **fields: Any) -> Member:
        """A member with a number of its own."""
        async with self.store.begin() as tx:
            return await self._member(tx, name, standing, fields)

    async def signed_in(self, name: str, standing: str = "member", **fields: Any) -> SignedIn:
        """A new member with a browser."""
        async with self.store.begin() as tx:
            member = await self._member(tx, name, standing, fields)
        return await self.browser_of(member)

    async def browser_of(self, member: Member) -> SignedIn:
        """One more browser of a member."""
        assert member.phone_hash is not None
        async with self.store.begin() as tx:
            token = await sessions.begin(tx, member.phone_hash, self.clock())
        browser = self.browser()
        browser.sign_in_with(token)
        return SignedIn(member, browser)

    async def close(self) -> None:
        """Close all browsers and the server."""
        for browser in self._browsers:
            await browser.close()
        await self._server.close()

    async def _member(
        self, tx: AsyncSession, name: str, standing: str, fields: dict[str, Any]
    ) -> Member:
        id = fields.pop("id", None) or new_id("m")
        phone_hash = keyed_hash(self.settings.secret, "phone", id)
        now = self.clock()
        times = {"waiting_since" if standing == "waiting" else "admitted_at": now}
        member = Member(
            **{
                **dict(id=id, phone_hash=phone_hash, name=name, standing=standing),
                **dict(created_at=now, invitations_left=self.settings.invitations_each),
                **times,
                **fields,
            }
        )
        tx.add(member)
        await tx.flush()
        return member


class SignedIn:
    """A member and a browser of theirs."""

    def __init__(self, member: Member, browser: Browser) -> None:
        self.member = member
        self.id = member.id
        self.browser = browser
        self.get = browser.get
        self.post = browser.post
        self.post_json = browser.post_json
        self.socket = browser.socket


@asynccontextmanager
async def serving(
    store: Store,
    settings: Settings,
    *,
    live: Any = None,
    clock: Clock | None = None,
    limits: Limits | None = None,
    routes: Iterable[Route] = (),
) -> AsyncIterator[Site]:
    """The whole site over `store`, in this process."""
    clock = clock or Clock()
    sender = LogSender(is_development=settings.is_development)
    rooms = live or cast(Any, QuietRooms())
    app = create_app(settings, store, rooms, sender, clock=clock, limits=limits, more=routes)
    server = TestServer(app)
    await server.start_server()
    site = Site(server, store, settings, clock)
    try:
        yield site
    finally:
        await site.close()
