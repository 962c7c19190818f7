"""What nobody's browser sends by itself: requests that are made to cost, to break or to deceive."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import FormData, WSCloseCode, WSMsgType, web
from aiohttp.test_utils import make_mocked_request
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from deploy.club.door.invitations import invite, inviter_of
from deploy.club.settings import Settings
from deploy.club.store import Store
from deploy.club.store.bus import RESUMED
from deploy.club.web import CLUB, Limits, Parts, client_address
from tests.club.web.site import Clock, QuietRooms, Site, serving

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class CountingRooms(QuietRooms):
    """Counts the pages that were attached."""

    def __init__(self) -> None:
        self.attached = 0

    async def attach(self, *_: Any) -> Any:
        """A page's socket opened."""
        self.attached += 1
        raise AssertionError

    def detach(self, _: Any) -> None:
        """It closed."""


async def test_a_link_to_a_rooms_socket_takes_nobodys_place(
    store: Store, settings: Settings
) -> None:
    """A browser that follows another site's link sends the cookie, but asks for no socket."""
    rooms = CountingRooms()
    async with serving(store, settings, live=rooms) as site:
        red = await site.signed_in("Red")
        page = await red.get("/rooms/r-1/socket", headers={"Origin": "https://elsewhere.example"})
    assert (page.status, rooms.attached) == (400, 0)


def forwarded(*values: str, remote: str = "198.51.100.7") -> str:
    """The address that counts behind one proxy of ours, which sends these headers."""
    app = web.Application()
    nothing: Any = None
    settings = replace(Settings("sqlite+aiosqlite:///x", b"s" * 32), trusted_proxies=1)
    app[CLUB] = Parts(settings, nothing, Clock(), nothing, nothing, Limits())
    request = make_mocked_request("GET", "/", app=app)
    headers = request.headers.copy()
    for value in values:
        headers.add("X-Forwarded-For", value)
    return client_address(request.clone(headers=headers, remote=remote))


def test_what_a_proxy_says_in_a_header_of_its_own_is_believed() -> None:
    """Some proxies add a line below the one that the client has made up."""
    assert forwarded("192.0.2.66", "203.0.113.1") == "203.0.113.1"


def test_an_ipv4_address_that_is_written_as_ipv6_counts_for_itself() -> None:
    assert forwarded("::ffff:203.0.113.1") == "203.0.113.1"


async def test_a_packed_body_is_not_unpacked(site: Site) -> None:
    """3 kB would become a million fields."""
    packed = gzip.compress(b"a=&" * 1_000_000)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Encoding": "gzip",
    }
    page = await site.browser().ask("POST", "/sign-in", data=packed, headers=headers)
    assert (page.status, page.has("refused", **{"data-code": "packed"})) == (415, True)


BOUNDARY = "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded; charset=nonsense", b"phone=1"),
        (BOUNDARY, b"nonsense"),
        (BOUNDARY, b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--x--\r\n'),
        ("multipart/form-data", b"nonsense"),
    ],
)
async def test_a_form_that_cannot_be_read_is_no_fault_of_ours(
    site: Site, kind: str, body: bytes
) -> None:
    page = await site.browser().ask("POST", "/sign-in", data=body, headers={"Content-Type": kind})
    assert page.status in (400, 403), page.text


async def raw(site: Site, request: bytes) -> bytes:
    """The head of the answer to bytes that no library would send."""
    address = urlsplit(site.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request)
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return answer


COOKIES = ("club", "club-visit", "club-flash", "club-number", "club-onward", "club-invitation")


@pytest.mark.parametrize("name", COOKIES)
@pytest.mark.parametrize("value", [b"\xff.x", b"x.\xff", b"x.1.\xff", b'"a\\000\\377.b"'])
async def test_a_cookie_that_is_no_text_is_nobodys(site: Site, name: str, value: bytes) -> None:
    head = b"Host: club.example\r\nCookie: " + name.encode() + b"=" + value + b"\r\n\r\n"
    for path in (b"/sign-in", b"/sign-in/code", b"/welcome"):
        answer = await raw(site, b"GET " + path + b" HTTP/1.1\r\n" + head)
        assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 303")), answer
        assert b"Content-Security-Policy" in answer


async def test_a_token_that_is_no_text_is_a_wrong_one(site: Site) -> None:
    head = b"Host: club.example\r\nX-CSRF: \xff\r\nContent-Length: 0\r\n\r\n"
    answer = await raw(site, b"POST /sign-in HTTP/1.1\r\n" + head)
    assert answer.startswith(b"HTTP/1.1 403"), answer


async def test_a_character_that_databases_do_not_take_finds_nothing(site: Site) -> None:
    red = await site.signed_in("Red")
    for path in (
        "/people/%00",
        "/rooms/r%00",
        "/pictures/%00",
        "/i/%00",
        "/rooms/%00/calendar.ics",
    ):
        assert (await red.get(path)).status == 404, path
    async with site.store.begin() as tx:
        assert [await inviter_of(tx, code) for code in ("a\0b", "\udcff")] == [None, None]


async def test_a_character_that_databases_do_not_take_is_not_kept(site: Site) -> None:
    red, blue = await site.signed_in("Red"), await site.signed_in("Blue")
    path = f"/people/{blue.id}/report"
    told = {"reason": "spam", "text": "a\0b", "room": "\0"}
    assert (await red.post(path, told, follow=False)).status == 303
    form = FormData({"reason": "spam", "text": "a\0b"}, default_to_multipart=True)
    assert (await red.post(path, form, follow=False)).status == 303


async def test_behind_tls_a_page_without_it_gets_no_socket(
    store: Store, settings: Settings
) -> None:
    """Whoever stands between a browser and the net can make up a page of http://."""
    public = replace(settings, base_url="https://club.example", is_development=False)
    async with serving(store, public) as site:
        for origin, status in (("http://club.example", 403), ("https://club.example", 101)):
            headers = UPGRADE | {"Host": "club.example", "Origin": origin}
            async with site.browser()._http.get("/news", headers=headers) as answer:
                assert answer.status == status, origin


async def test_a_link_of_an_invitation_that_is_cut_or_long_lets_nobody_in(site: Site) -> None:
    red = await site.signed_in("Red")
    async with site.store.begin() as tx:
        code = (await invite(tx, site.settings, red.member, "", site.clock())).code
    for wrong in (code[:-1], code + "x" * 64, code.upper()):
        assert (await site.browser().get(f"/i/{wrong}")).status == 404
    assert (await site.browser().get(f"/i/{code}")).status == 200


async def test_what_people_wrote_is_in_no_message_of_a_fault(store: Store) -> None:
    """Such messages go to the log."""
    with pytest.raises(DBAPIError) as caught:
        async with store.begin() as tx:
            await tx.execute(text("SELECT :word FROM nowhere"), {"word": "confidential"})
    assert "confidential" not in str(caught.value)


def test_settings_that_are_printed_tell_no_secret() -> None:
    url = "postgresql+asyncpg://club:confidential@localhost/club"
    settings = Settings(url, b"confidential" * 3, code_gateway_key="confidential")
    assert "confidential" not in repr(settings)


async def test_after_a_gap_in_the_bus_open_pages_come_back_and_are_recognised_anew(
    site: Site,
) -> None:
    """Somebody may have been removed, or have signed out, while nothing was heard."""
    red = await site.signed_in("Red")
    socket = await red.socket("/news")
    closed = asyncio.create_task(socket.receive(timeout=5))
    while not closed.done():  # the page may not be noted yet
        site.store.bus.publish(RESUMED, {})
        await asyncio.sleep(0.01)
    assert closed.result().type is WSMsgType.CLOSE
    assert closed.result().data == WSCloseCode.GOING_AWAY
