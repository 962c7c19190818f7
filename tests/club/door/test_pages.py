"""The door in a browser: from a number to the hall, with and without an invitation."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from deploy.club.door.pace import AGAIN_AFTER, CODE_LIFE, TRIES_MAX
from deploy.club.settings import Settings
from deploy.club.store import Member, Store
from deploy.club.web.limits import Limits, Rate
from tests.club.web.site import Browser, Page, Site, serving

PHONE = "+4915120000001"
SHOWN = re.compile(r'data-test="shown-code">(\d{6})<')
LINK = re.compile(r"/i/i-\w+")


async def ask_for_code(browser: Browser, phone: str = PHONE) -> str:
    page = await browser.post("/sign-in", {"phone": phone})
    assert page.url.endswith("/sign-in/code"), page.text
    found = SHOWN.search(page.text)
    assert found is not None
    return found[1]


async def sign_in(browser: Browser, phone: str = PHONE) -> Page:
    return await browser.post("/sign-in/code", {"code": await ask_for_code(browser, phone)})


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def path(page: Page) -> str:
    return "/" + page.url.split("/", 3)[3]


async def test_a_newcomer_tells_a_name_and_waits_in_line(site: Site) -> None:
    browser = site.browser()
    page = await sign_in(browser)
    assert path(page) == "/welcome"
    assert page.has("interest-music")
    page = await browser.post(
        "/welcome", [("name", "Blue"), ("interests", "music"), ("interests", "film")]
    )
    assert path(page) == "/waiting"
    assert 'data-test="place">1<' in page.text
    assert path(await browser.get("/hall")) == "/waiting"
    assert path(await browser.get("/welcome")) == "/waiting"
    assert path(await browser.get("/sign-in")) == "/waiting"


async def test_a_member_comes_back_on_another_device(site: Site) -> None:
    browser = site.browser()
    await sign_in(browser)
    await browser.post("/welcome", {"name": "Blue"})
    site.clock.advance(AGAIN_AFTER.total_seconds())
    assert path(await sign_in(site.browser())) == "/waiting"


async def test_an_invitation_leads_past_the_waiting_list(site: Site) -> None:
    red = await site.signed_in("Red")
    page = await red.post("/invitations", {"label": "Blue"})
    links = LINK.findall(page.text)
    assert len(set(links)) == 1
    browser = site.browser()
    page = await browser.get(links[0])
    assert page.status == 200
    assert "Red" in page.text
    page = await sign_in(browser)
    assert links[0].removeprefix("/i/") in page.text
    page = await browser.post(
        "/welcome", {"name": "Blue", "invitation": site.url + links[0]}, follow=False
    )
    assert page.headers["Location"] == "/"
    assert (await browser.get("/", follow=False)).headers["Location"] == "/hall"
    page = await red.get("/invitations")
    assert "Blue</a>" in page.text
    assert LINK.search(page.text) is None
    assert (await site.browser().get(links[0])).status == 404


async def test_who_waits_comes_in_with_an_invitation(site: Site) -> None:
    red = await site.signed_in("Red")
    (link,) = set(LINK.findall((await red.post("/invitations", {"label": ""})).text))
    waits = await site.signed_in("Blue", "waiting")
    page = await waits.post("/welcome", {"invitation": "nonsense"})
    assert page.status == 400
    assert "not good any more" in page.text
    page = await waits.post("/welcome", {"invitation": link}, follow=False)
    assert page.status == 303
    assert (await waits.get("/", follow=False)).headers["Location"] == "/hall"


async def test_a_revoked_invitation_is_over_and_given_back(site: Site) -> None:
    red, blue = await site.signed_in("Red"), await site.signed_in("Blue")
    (link,) = set(LINK.findall((await red.post("/invitations", {"label": "x"})).text))
    revoke = link.replace("/i/", "/invitations/") + "/revoke"
    assert (await blue.post(revoke)).status == 404
    page = await red.post(revoke)
    assert LINK.search(page.text) is None
    assert "5 invitations left" in page.text
    page = await site.browser().get(link)
    assert page.status == 404
    assert "over" in page.text


async def test_without_invitations_left_there_is_no_form(site: Site) -> None:
    red = await site.signed_in("Red", invitations_left=1)
    page = await red.post("/invitations", {"label": "x"})
    assert not page.has("submit")
    page = await red.post("/invitations", {"label": "y"})
    assert page.status == 403
    assert "no invitations left" in page.text


@pytest.mark.parametrize("phone", ["", "hello", "12345", "+49", "0151 20000001", "+" + "1" * 60])
async def test_what_is_no_number_is_told_beside_the_field(site: Site, phone: str) -> None:
    page = await site.browser().post("/sign-in", {"phone": phone})
    assert page.status == 400
    assert 'id="error-phone"' in page.text


async def test_members_and_strangers_get_the_same_answers(site: Site) -> None:
    member, stranger = site.browser(), site.browser()
    await sign_in(member, PHONE)
    await member.post("/welcome", {"name": "Blue"})
    site.clock.advance(AGAIN_AFTER.total_seconds())
    seen = []
    for phone in (PHONE, "+4915120000002"):
        page = await stranger.post("/sign-in", {"phone": phone})
        text = page.text.replace(phone, "")
        again = await site.browser().post("/sign-in", {"phone": phone})
        tried = await stranger.post("/sign-in/code", {"code": "x"})
        seen.append((page.status, len(text), again.status, tried.status))
    assert seen[0] == seen[1]


async def test_wrong_codes_are_counted_over_all_browsers(site: Site) -> None:
    browser = site.browser()
    code = await ask_for_code(browser)
    for _ in range(TRIES_MAX):
        page = await browser.post("/sign-in/code", {"code": wrong(code)})
        assert page.status == 400
        assert 'id="error-code"' in page.text
    assert "Ask for a new one" in page.text
    assert (await browser.post("/sign-in/code", {"code": code})).status == 400


async def test_a_second_press_sends_no_second_code(site: Site) -> None:
    browser = site.browser()
    code = await ask_for_code(browser)
    assert await ask_for_code(browser) == code
    refused = await site.browser().post("/sign-in", {"phone": PHONE})
    assert refused.status == 429
    assert refused.headers["Retry-After"] == "30"


async def test_the_code_is_asked_for_only_where_one_was_sent(site: Site) -> None:
    browser = site.browser()
    assert path(await browser.get("/sign-in/code")) == "/sign-in"
    assert path(await browser.post("/sign-in/code", {"code": "123456"})) == "/sign-in"
    code = await ask_for_code(browser)
    site.clock.advance(CODE_LIFE.total_seconds())
    assert path(await browser.post("/sign-in/code", {"code": code})) == "/sign-in"


async def test_nobody_makes_the_cookie_of_a_number_themselves(site: Site) -> None:
    victim, browser = site.browser(), site.browser()
    code = await ask_for_code(victim)
    until = int(site.clock().timestamp()) + 60
    for value in (f"{PHONE[1:]}.{until}.{'0' * 64}", f"{PHONE[1:]}.{until}", "...", "x" * 200):
        browser.give_cookie("club-number", value)
        page = await browser.post("/sign-in/code", {"code": code})
        assert path(page) == "/sign-in"


async def test_signing_in_again_ends_the_session_before_it(site: Site) -> None:
    browser = site.browser()
    code = await ask_for_code(browser)
    red = await site.signed_in("Red")
    browser.sign_in_with(red.browser.cookie("club"))
    assert (await browser.get("/invitations")).url.endswith("/invitations")
    assert path(await browser.post("/sign-in/code", {"code": code})) == "/welcome"
    assert path(await red.get("/invitations")) == "/sign-in"


async def test_a_code_that_was_used_leaves_no_number_in_the_browser(site: Site) -> None:
    browser = site.browser()
    await sign_in(browser)
    assert browser.cookie("club-number") == ""


@pytest.mark.parametrize(
    ("kind", "method", "address", "fields"),
    [
        ("code.send", "POST", "/sign-in", {"phone": "+4915120000002"}),
        ("code.try", "POST", "/sign-in/code", {"code": "000000"}),
        ("sign_up", "POST", "/welcome", {"name": ""}),
        ("invitation.look", "GET", "/i/i-nothing", {}),
    ],
)
async def test_an_address_is_held_to_its_limits(
    store: Store, settings: Settings, kind: str, method: str, address: str, fields: dict[str, str]
) -> None:
    async with serving(store, settings, limits=Limits({kind: Rate(2, 3600)})) as site:
        browser = site.browser()
        code = await ask_for_code(browser)
        if kind == "sign_up":
            await browser.post("/sign-in/code", {"code": code})
        seen = []
        for _ in range(3):
            page = await (
                browser.get(address) if method == "GET" else browser.post(address, fields)
            )
            seen.append(page.status)
            site.clock.advance(AGAIN_AFTER.total_seconds())
        # Asking for a code to begin with was one of its kind.
        first = 1 if kind == "code.send" else 2
        assert 429 not in seen[:first]
        assert seen[-1] == 429
        other = await site.browser().get("/")
        assert other.status == 200


async def test_codes_are_not_shown_outside_development(store: Store, settings: Settings) -> None:
    async with serving(store, replace(settings, is_development=False)) as site:
        with capture_logs() as lines:
            page = await site.browser().post("/sign-in", {"phone": PHONE})
        (code,) = [line["code"] for line in lines if line["event"] == "login_code"]
        assert path(page) == "/sign-in/code"
        assert SHOWN.search(page.text) is None
        assert code not in page.text


async def test_signing_out_ends_this_browser_alone(site: Site) -> None:
    red = await site.signed_in("Red")
    other = await site.browser_of(red.member)
    assert (await red.get("/invitations")).status == 200
    await red.post("/sign-out")
    assert path(await red.get("/invitations")) == "/sign-in"
    assert path(await other.get("/invitations")) == "/invitations"


async def test_who_was_removed_is_told_so_after_the_right_code(site: Site) -> None:
    browser = site.browser()
    await sign_in(browser)
    await browser.post("/welcome", {"name": "Blue"})
    async with site.store.begin() as tx:
        await tx.execute(update(Member).values(standing="removed"))
    site.clock.advance(AGAIN_AFTER.total_seconds())
    page = await sign_in(site.browser())
    assert page.status == 403
    assert "removed" in page.text
    assert path(await browser.get("/hall")) == "/sign-in"


async def test_a_name_is_needed_and_what_was_typed_stays(site: Site) -> None:
    browser = site.browser()
    await sign_in(browser)
    page = await browser.post("/welcome", {"name": " ", "interests": "film"})
    assert page.status == 400
    assert 'id="error-name"' in page.text
    assert re.search(r'data-test="interest-film" checked', page.text)


async def test_hosts_let_in_the_next_one_and_anybody_by_number(site: Site) -> None:
    red = await site.signed_in("Red", is_host=True)
    for name in ("Blue", "White"):
        await site.signed_in(name, "waiting")
        site.clock.advance(60)
    browser = site.browser()
    await sign_in(browser)
    await browser.post("/welcome", {"name": "Green"})
    page = await red.get("/door")
    assert page.text.index("Blue") < page.text.index("White") < page.text.index("Green")
    page = await red.post("/door/admit", {"phone": PHONE})
    assert "Green is in." in page.text
    assert (await browser.get("/", follow=False)).headers["Location"] == "/hall"
    page = await red.post("/door/admit", {"next": "1"})
    assert "Blue is in." in page.text
    page = await red.post("/door/admit", {"phone": PHONE})
    assert page.status == 404
    assert 'id="error-phone"' in page.text
    page = await red.post("/door/admit", {"next": "1"})
    assert "Nobody waits." in page.text


async def test_listed_numbers_get_in_at_once(site: Site) -> None:
    red = await site.signed_in("Red", is_host=True)
    page = await red.post("/door/numbers", {"phone": f"{PHONE}\n+4915120000002"})
    assert "Added: 2." in page.text
    assert "2 numbers on the list" in page.text
    assert PHONE not in page.text
    browser = site.browser()
    await sign_in(browser)
    page = await browser.post("/welcome", {"name": "Blue"}, follow=False)
    assert (await browser.get("/", follow=False)).headers["Location"] == "/hall"
    page = await red.post("/door/numbers/remove", {"phone": "+4915120000002"})
    assert "1 number on the list" in page.text
    page = await red.post("/door/numbers", {"phone": "blue"})
    assert page.status == 400
    assert ">blue</textarea>" in page.text


@pytest.mark.parametrize("address", ["/door", "/door/numbers"])
async def test_the_door_is_for_hosts(site: Site, address: str) -> None:
    red = await site.signed_in("Red")
    assert (await red.get(address)).status == 403


async def test_signing_in_leads_to_the_page_that_asked_for_it(site: Site) -> None:
    red = await site.signed_in("Red", is_host=True)
    await red.post("/door/numbers", {"phone": PHONE})
    browser = site.browser()
    assert path(await browser.get("/invitations")) == "/sign-in"
    assert path(await sign_in(browser)) == "/welcome"
    assert path(await browser.post("/welcome", {"name": "Blue"})) == "/invitations"
    site.clock.advance(AGAIN_AFTER.total_seconds())
    other = site.browser()
    await other.get("/upcoming?from=here")
    assert path(await sign_in(other)) == "/upcoming?from=here"
    await other.post("/sign-out")
    await other.get("/pictures/p-1", headers={"Sec-Fetch-Dest": "image"})
    site.clock.advance(AGAIN_AFTER.total_seconds())
    code = await ask_for_code(other)
    page = await other.post("/sign-in/code", {"code": code}, follow=False)
    assert page.headers["Location"] == "/"


@pytest.mark.parametrize(
    "address", ["//elsewhere.example/", "https://elsewhere.example/", "/\\x", ""]
)
async def test_no_cookie_leads_away_from_the_club(site: Site, address: str) -> None:
    browser = site.browser()
    await sign_in(browser)
    await browser.post("/welcome", {"name": "Blue"})
    site.clock.advance(AGAIN_AFTER.total_seconds())
    other = site.browser()
    code = await ask_for_code(other)
    other.give_cookie("club-onward", address)
    page = await other.post("/sign-in/code", {"code": code}, follow=False)
    assert page.headers["Location"] == "/"
