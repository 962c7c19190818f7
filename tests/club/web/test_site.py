"""What stands before every page: standing, forms, languages, headers, refusals."""

from __future__ import annotations

import pytest

from tests.club.web.site import Site


async def test_a_stranger_sees_what_the_club_is(site: Site) -> None:
    page = await site.browser().get("/")
    assert page.status == 200
    assert page.has("sign-in")


async def test_a_german_browser_is_answered_in_german(site: Site) -> None:
    page = await site.browser().get("/", headers={"Accept-Language": "de-AT, en;q=0.5"})
    assert '<html lang="de">' in page.text


async def test_the_language_that_was_chosen_wins(site: Site) -> None:
    browser = site.browser()
    await browser.post("/language", {"language": "de"})
    assert '<html lang="de">' in (await browser.get("/")).text


async def test_a_members_language_goes_along_and_one_chosen_in_this_browser_goes_first(
    site: Site,
) -> None:
    red = await site.signed_in("Red", language="de")
    assert '<html lang="de">' in (await red.get("/nowhere")).text
    await red.post("/language", {"language": "en"})
    assert '<html lang="en">' in (await red.get("/nowhere")).text
    elsewhere = await site.browser_of(red.member)
    assert '<html lang="en">' in (await elsewhere.get("/nowhere")).text
    blue = await site.signed_in("Blue")
    before = site.browser()
    await before.post("/language", {"language": "de"})
    blue.browser.take_cookies(before)
    assert '<html lang="de">' in (await blue.get("/nowhere")).text


@pytest.mark.parametrize("path", ["//elsewhere.example/x", "///elsewhere.example"])
async def test_choosing_a_language_leads_to_no_other_site(site: Site, path: str) -> None:
    browser = site.browser()
    answer = await browser.post(
        "/language", {"language": "de"}, follow=False, headers={"Referer": site.url + path}
    )
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    answer = await browser.post(
        "/language", {"language": "de"}, follow=False, headers={"Referer": site.url + "/sign-in"}
    )
    assert answer.headers["Location"] == "/sign-in"
    for foreign in ("https://elsewhere.example/sign-in", "http://[", "x"):
        answer = await browser.post(
            "/language", {"language": "de"}, follow=False, headers={"Referer": foreign}
        )
        assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_who_asks_for_the_head_of_a_page_gets_it(site: Site) -> None:
    red = await site.signed_in("Red")
    assert (await red.browser.ask("HEAD", "/hall")).status == 200
    assert (await site.browser().ask("HEAD", "/hall", allow_redirects=False)).status == 303


async def test_no_page_may_run_or_show_what_is_not_the_sites_own(site: Site) -> None:
    page = await site.browser().get("/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_form_without_the_visitors_token_is_refused(site: Site) -> None:
    browser = site.browser()
    for forged in ("", "x", "é"):
        page = await browser.post("/language", {"language": "de"}, csrf=forged)
        assert page.status == 403
        assert page.has("refused", **{"data-code": "stale_form"})


async def test_a_token_of_another_visitor_opens_nothing(site: Site) -> None:
    token = await site.browser().csrf()
    page = await site.browser().post("/language", {"language": "de"}, csrf=token)
    assert page.status == 403


async def test_an_address_that_is_none_is_a_page_with_404(site: Site) -> None:
    page = await site.browser().get("/nowhere")
    assert page.status == 404
    assert page.has("refused", **{"data-code": "not_found"})


async def test_files_are_kept_by_browsers_for_as_long_as_they_are_the_same(site: Site) -> None:
    browser = site.browser()
    page = await browser.get("/")
    address = page.text.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = await browser.get(address)
    assert answer.status == 200
    assert "immutable" in answer.headers["Cache-Control"]
    _, hash, name = address.rsplit("/", 2)
    old = await browser.get(f"/static/{hash[::-1]}/{name}")
    assert (old.status, old.headers["Cache-Control"]) == (200, "no-cache")


async def test_it_says_that_it_is_alive(site: Site) -> None:
    assert (await site.browser().get("/healthz")).status == 200


async def test_a_body_beyond_the_routes_limit_is_refused_unread(site: Site) -> None:
    page = await site.browser().post("/language", {"language": "d" * 70_000})
    assert (page.status, page.has("refused", **{"data-code": "too_large"})) == (413, True)
