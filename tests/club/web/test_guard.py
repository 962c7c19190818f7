"""Who gets past the guard, where the others are sent, and what an address counts as."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from deploy.club.settings import Settings
from deploy.club.store import Store
from deploy.club.web import (
    CLUB,
    N_,
    Limits,
    Parts,
    Route,
    Standing,
    client_address,
    guard,
    rendering,
    see_other,
)
from tests.club.web.site import Clock, Site, serving


async def hello(request: web.Request) -> web.StreamResponse:
    """Anything."""
    return web.json_response({})


async def broken(request: web.Request) -> web.StreamResponse:
    """A bug."""
    raise RuntimeError("a bug")


async def onwards(request: web.Request) -> web.StreamResponse:
    """A form that was taken."""
    return see_other(request, "/nowhere", N_("Sign in first."))


async def news(request: web.Request) -> web.StreamResponse:
    """A WebSocket."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.close()
    return socket


PAGES = (
    *(Route("GET", f"/test/{one.name}", hello, one) for one in Standing),
    *(Route("GET", f"/test/json/{one.name}", hello, one, is_json=True) for one in Standing),
    Route("GET", "/test/broken", broken, Standing.STRANGER),
    Route("GET", "/test/json/broken", broken, Standing.STRANGER, is_json=True),
    Route("POST", "/test/onwards", onwards, Standing.STRANGER),
    Route("GET", "/test/socket", news, Standing.STRANGER, is_json=True),
    Route("POST", "/test/json", hello, Standing.STRANGER, is_json=True),
)


@pytest.fixture
async def site(store: Store, settings: Settings) -> Any:
    """The site with some pages of this test."""
    async with serving(store, settings, routes=PAGES) as served:
        yield served


async def standings(site: Site, prefix: str) -> dict[tuple[str, str], tuple[int, str]]:
    """What everybody gets everywhere: the status, and where they were sent."""
    people = {
        "stranger": site.browser(),
        "waiting": (await site.signed_in("Red", "waiting")).browser,
        "member": (await site.signed_in("Blue")).browser,
        "host": (await site.signed_in("Green", is_host=True)).browser,
    }
    answers = {}
    for person, browser in people.items():
        for needed in Standing:
            page = await browser.get(f"{prefix}/{needed.name}", follow=False)
            answers[person, needed.name] = page.status, page.headers.get("Location", "")
    return answers


IN, DOOR, LINE, NO = (200, ""), (303, "/sign-in"), (303, "/waiting"), (403, "")


async def test_too_little_standing_sends_a_reader_to_the_door_or_back_in_line(site: Site) -> None:
    answers = await standings(site, "/test")
    assert [answers["stranger", one.name] for one in Standing] == [IN, DOOR, DOOR, DOOR]
    assert [answers["waiting", one.name] for one in Standing] == [IN, IN, LINE, LINE]
    assert [answers["member", one.name] for one in Standing] == [IN, IN, IN, NO]
    assert [answers["host", one.name] for one in Standing] == [IN] * 4


async def test_a_script_is_told_401_or_403(site: Site) -> None:
    answers = await standings(site, "/test/json")
    statuses = {
        who: [answers[who, one.name][0] for one in Standing]
        for who in ("stranger", "waiting", "member", "host")
    }
    assert statuses == {
        "stranger": [200, 401, 401, 401],
        "waiting": [200, 200, 403, 403],
        "member": [200, 200, 200, 403],
        "host": [200, 200, 200, 200],
    }


async def test_a_bug_is_told_without_its_details(site: Site) -> None:
    page = await site.browser().get("/test/broken")
    assert (page.status, page.has("refused", **{"data-code": "internal"})) == (500, True)
    assert "a bug" not in page.text
    told = await site.browser().get("/test/json/broken")
    assert (told.status, "a bug" in told.text, '"internal"' in told.text) == (500, False, True)


async def test_a_form_says_its_sentence_on_the_next_page_and_once(site: Site) -> None:
    browser = site.browser()
    await browser.post("/language", {"language": "de"})
    assert "Melde dich zuerst an." in (await browser.post("/test/onwards")).text
    assert "Melde dich zuerst an." not in (await browser.get("/nowhere")).text


async def test_a_sentence_that_we_did_not_sign_is_not_shown(site: Site) -> None:
    browser = site.browser()
    page = await browser.post("/test/onwards", follow=False)
    cookie = page.headers["Set-Cookie"].split("club-flash=")[1].split(";")[0].strip('"')
    forged = cookie[:-1] + ("0" if cookie[-1] != "0" else "1")
    for value in (forged, "x", ".", "é.é"):
        answer = await site.browser().get("/nowhere", headers={"Cookie": f'club-flash="{value}"'})
        assert 'class="flash"' not in answer.text


async def test_another_sites_page_gets_no_socket(site: Site) -> None:
    asked = {"Upgrade": "websocket", "Connection": "Upgrade"}
    for origin in ("https://elsewhere.example", "null", ""):
        page = await site.browser().get("/test/socket", headers={**asked, "Origin": origin})
        assert (page.status, '"foreign"' in page.text) == (403, True)
    socket = await site.browser().socket("/test/socket")
    await socket.close()


async def test_a_script_sends_the_token_in_a_header(site: Site) -> None:
    browser = site.browser()
    assert (await browser.post_json("/test/json", {})).status == 200
    assert (await browser.post_json("/test/json", {}, csrf="x")).status == 403


def asked(settings: Settings, forwarded: str | None, remote: str = "198.51.100.7") -> str:
    """The address that a request counts for."""
    app = web.Application()
    nothing: Any = None
    app[CLUB] = Parts(settings, nothing, Clock(), nothing, nothing, Limits())
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    request = make_mocked_request("GET", "/", headers=headers, app=app)
    return client_address(request.clone(remote=remote))


def test_who_forwards_for_others_is_believed_as_far_as_our_own_proxies_go() -> None:
    direct = Settings("sqlite+aiosqlite:///x", b"s" * 32)
    assert asked(direct, "203.0.113.1") == "198.51.100.7"
    one, two = replace(direct, trusted_proxies=1), replace(direct, trusted_proxies=2)
    assert asked(one, "192.0.2.66, 203.0.113.1") == "203.0.113.1"
    assert asked(two, "192.0.2.66, 203.0.113.1, 203.0.113.9") == "203.0.113.1"
    assert asked(two, "203.0.113.9") == "198.51.100.7"
    assert asked(one, None) == "198.51.100.7"
    assert asked(one, "nonsense") == "unknown"


def test_all_addresses_of_a_household_count_as_one() -> None:
    settings = Settings("sqlite+aiosqlite:///x", b"s" * 32)
    first = asked(settings, None, "2001:db8:1:2::1")
    assert first == asked(settings, None, "2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert first != asked(settings, None, "2001:db8:1:3::1")


def test_every_template_compiles_in_every_language() -> None:
    for locale in ("en", "de"):
        made = rendering.environment(locale)
        for path in rendering.TEMPLATES.rglob("*.html"):
            made.get_template(path.relative_to(rendering.TEMPLATES).as_posix())


@pytest.mark.parametrize(("is_gone", "faults"), [(True, []), (False, ["request.failed"])])
async def test_a_browser_that_goes_while_it_speaks_is_no_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch, is_gone: bool, faults: list[str]
) -> None:
    """A tab is closed while its goodbye is on the way."""
    logged: list[str] = []
    monkeypatch.setattr(guard.log, "exception", lambda event, **_: logged.append(event))
    monkeypatch.setattr(guard, "_refusal", lambda *_: web.Response(status=500))
    request = make_mocked_request("POST", "/")
    if is_gone:
        request.protocol.transport = None

    async def cut_off(_: web.Request) -> web.StreamResponse:
        raise ConnectionResetError

    await guard.tell_refusals(request, cut_off)
    assert logged == faults


async def test_behind_tls_cookies_stay_there_and_browsers_do_too(
    store: Store, settings: Settings
) -> None:
    public = replace(settings, base_url="https://club.example", is_development=False)
    async with serving(store, public) as served:
        page = await served.browser().get("/sign-in")
        assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
        for cookie in page.headers.getall("Set-Cookie"):
            assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; ")), cookie
