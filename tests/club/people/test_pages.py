"""The pages about people, as a signed-in browser gets them."""

from __future__ import annotations

import json
import re
from io import BytesIO

import aiohttp
import pytest
from PIL import Image

from deploy.club.people import blocks, follows, moderation, notices
from deploy.club.people.portraits import SIDE_PX, UPLOAD_BYTES_MAX
from deploy.club.store import Member
from tests.club.web.site import Page, SignedIn, Site


def a_picture(side: int = 64) -> bytes:
    out = BytesIO()
    Image.new("RGB", (side, side), (200, 30, 30)).save(out, "PNG")
    return out.getvalue()


async def send_picture(client: SignedIn, data: bytes) -> Page:
    form = aiohttp.FormData()
    form.add_field("picture", BytesIO(data), filename="me.png", content_type="image/png")
    return await client.post("/me/picture", form)


async def member(site: Site, id: str) -> Member:
    async with site.store.begin() as tx:
        return await tx.get_one(Member, id)


async def test_a_profile_shows_who_it_is_and_who_invited_them(site: Site, client: SignedIn) -> None:
    blue = await site.add_member("Blue", invited_by=client.id, bio="one\n\n<b>two</b>")
    page = await client.get(f"/people/{blue.id}")
    assert page.status == 200
    assert "<h1>Blue</h1>" in page.text
    assert "<p>one</p>" in page.text and "&lt;b&gt;two" in page.text
    assert f'Invited by <a href="/people/{client.id}">Red</a>' in " ".join(page.text.split())
    assert page.has("follow") and page.has("block") and page.has("report")
    assert not page.has("remove")
    chain = await client.get(f"/people/{blue.id}/chain")
    assert re.findall(r'data-member="([^"]+)"', chain.text) == [blue.id, client.id]


async def test_ones_own_profile_offers_no_following_or_blocking(client: SignedIn) -> None:
    page = await client.get(f"/people/{client.id}")
    assert page.status == 200
    assert not any(page.has(hook) for hook in ("follow", "block", "report", "remove"))


async def test_following_and_unfollowing_by_buttons(site: Site, client: SignedIn) -> None:
    blue = await site.add_member("Blue")
    page = await client.post(f"/people/{blue.id}/follow")
    assert page.url.endswith(f"/people/{blue.id}") and page.has("unfollow")
    assert "You follow them now." in page.text
    async with site.store.begin() as tx:
        assert await follows.followed_by(tx, client.id) == {blue.id}
    page = await client.post(f"/people/{blue.id}/unfollow")
    assert page.has("follow") and not page.has("unfollow")


async def test_blocking_hides_and_is_taken_back_on_ones_own_page(
    site: Site, client: SignedIn
) -> None:
    blue = await site.signed_in("Blue")
    page = await client.post(f"/people/{blue.id}/block")
    assert page.url.endswith("/me") and page.has("unblock")
    assert (await blue.get(f"/people/{client.id}")).status == 404
    assert (await client.get(f"/people/{blue.id}")).has("unblock")
    page = await client.post(f"/people/{blue.id}/unblock")
    assert not page.has("unblock")
    assert (await blue.get(f"/people/{client.id}")).status == 200


async def test_a_profile_can_be_changed(site: Site, client: SignedIn) -> None:
    form = aiohttp.FormData()
    for name, value in (("name", " Green "), ("bio", "one\r\ntwo")):
        form.add_field(name, value)
    for slug in ("music", "film"):
        form.add_field("interests", slug)
    page = await client.post("/me", form)
    assert "Saved." in page.text
    assert page.has("interest-music", value="music")
    assert len(re.findall(r"checked", page.text)) == 2
    changed = await member(site, client.id)
    assert (changed.name, changed.bio) == ("Green", "one\ntwo")


async def test_a_form_that_is_refused_keeps_what_was_typed(site: Site, client: SignedIn) -> None:
    page = await client.post("/me", {"name": " ", "bio": "my <words>", "interests": "music"})
    assert page.status == 400
    assert "Please tell a name." in page.text and 'role="alert"' in page.text
    assert "my &lt;words&gt;" in page.text and "checked" in page.text
    assert (await member(site, client.id)).name == "Red"


async def test_a_picture_is_made_small_shown_and_removed(site: Site, client: SignedIn) -> None:
    page = await send_picture(client, a_picture())
    assert page.status == 200 and "Saved." in page.text, page.text
    (path,) = set(re.findall(r'src="(/pictures/[^"]+)"', page.text))
    async with client.browser._http.get(path) as answer:
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "immutable" in answer.headers["Cache-Control"]
        image = Image.open(BytesIO(await answer.read()))
    assert (image.format, image.size) == ("JPEG", (SIDE_PX, SIDE_PX))
    assert (await site.browser().get(path, follow=False)).status == 303
    page = await client.post("/me/picture", {"remove": "yes"})
    assert path not in page.text
    assert (await client.get(path)).status == 404


@pytest.mark.parametrize(("length", "status"), [(0, 400), (100, 400), (UPLOAD_BYTES_MAX + 1, 413)])
async def test_what_is_no_picture_is_said_on_the_page(
    client: SignedIn, length: int, status: int
) -> None:
    page = await send_picture(client, b"\0" * length)
    assert page.status == status
    assert 'role="alert"' in page.text and page.has("picture")


async def test_a_body_far_too_large_is_refused_unread(client: SignedIn) -> None:
    assert (await send_picture(client, b"\0" * (2 * UPLOAD_BYTES_MAX))).status == 413


async def test_a_report_reaches_the_hosts_who_warn(site: Site, client: SignedIn) -> None:
    host = await site.signed_in("White", is_host=True)
    blue = await site.signed_in("Blue")
    page = await client.get(f"/people/{blue.id}/report?room=r-none")
    assert page.has("reason-spam") and 'value="r-none"' in page.text
    page = await client.post(f"/people/{blue.id}/report", {"text": "loud"})
    assert page.status == 400 and "loud" in page.text and 'role="alert"' in page.text
    await client.post(f"/people/{blue.id}/report", {"reason": "spam", "text": "loud"})
    page = await host.get("/moderation")
    assert "loud" in page.text and "Advertising or noise" in page.text
    (report,) = re.findall(r'data-report="([^"]+)"', page.text)
    page = await host.post(f"/moderation/{report}/resolve", {"outcome": "warned"})
    assert "No open reports" in page.text and "Warned after a report" in page.text
    assert "mind how you treat others" in (await blue.get("/notices")).text


async def test_a_host_removes_a_member_who_is_out_at_once(site: Site, client: SignedIn) -> None:
    host = await site.signed_in("White", is_host=True)
    page = await host.get(f"/people/{client.id}")
    assert page.has("remove") and "data-confirm" in page.text
    page = await host.post(f"/people/{client.id}/remove")
    assert "Removed from the club" in page.text
    page = await client.get("/me", follow=False)
    assert (page.status, page.headers["Location"]) == (303, "/sign-in")
    assert (await host.get(f"/people/{client.id}")).status == 404


async def test_notices_are_unread_until_the_button_says_so(site: Site, client: SignedIn) -> None:
    blue = await site.add_member("Blue <b>")
    assert "Nothing yet" in (await client.get("/notices")).text
    async with site.store.begin() as tx:
        await notices.notify(tx, client.id, "followed", {"member": blue.id}, site.clock())
    page = await client.get("/notices")
    assert "Blue &lt;b&gt; follows you." in page.text and "is-unread" in page.text
    assert f'href="/people/{blue.id}"' in page.text
    assert "is-unread" in (await client.get("/notices")).text
    page = await client.post("/notices/read")
    assert "follows you." in page.text and "is-unread" not in page.text


async def test_the_export_is_a_file_of_ones_own(client: SignedIn) -> None:
    page = await client.get("/me/export")
    assert page.headers["Content-Disposition"] == 'attachment; filename="club.json"'
    assert page.headers["Cache-Control"] == "no-store"
    assert json.loads(page.text)["profile"][0]["name"] == "Red"


async def test_exports_are_not_to_be_had_all_day(client: SignedIn) -> None:
    assert [(await client.get("/me/export")).status for _ in range(6)] == [200] * 5 + [429]


async def test_deleting_asks_first_and_signs_out(site: Site, client: SignedIn) -> None:
    assert (await client.get("/me/delete")).has("sure")
    page = await client.post("/me/delete")
    assert page.status == 400 and 'role="alert"' in page.text
    assert (await member(site, client.id)).deleted_at is None
    page = await client.post("/me/delete", {"sure": "yes"})
    assert page.status == 200 and "Your account is deleted." in page.text
    assert (await client.get("/me", follow=False)).headers["Location"] == "/sign-in"
    gone = await member(site, client.id)
    assert (gone.name, gone.phone_hash) == ("", None)


async def test_who_waits_can_take_their_data_and_leave(site: Site) -> None:
    waiting = await site.signed_in("Blue", standing="waiting")
    assert (await waiting.get("/me", follow=False)).headers["Location"] == "/waiting"
    assert json.loads((await waiting.get("/me/export")).text)["profile"][0]["name"] == "Blue"
    await waiting.post("/me/delete", {"sure": "yes"})
    assert (await member(site, waiting.id)).deleted_at is not None


async def test_all_pages_are_there_in_german(site: Site) -> None:
    host = await site.signed_in("White", is_host=True, language="de")
    red = await site.add_member("Red")
    blue = await site.add_member("Blue", invited_by=red.id)
    async with site.store.begin() as tx:
        await blocks.block(tx, host.id, red.id, site.clock())
        await moderation.report(tx, red.id, blue.id, "spam", "", site.clock())
        await notices.notify(tx, host.id, "followed", {"member": blue.id}, site.clock())
    for path, words in (
        (f"/people/{blue.id}", "Eingeladen von"),
        (f"/people/{blue.id}/chain", "Kette der Einladungen"),
        (f"/people/{blue.id}/report", "Blue melden"),
        ("/me", "Nicht mehr blockieren"),
        ("/me/delete", "Mein Konto löschen"),
        ("/notices", "Blue folgt dir."),
        ("/moderation", "Werbung oder Lärm"),
    ):
        page = await host.get(path)
        assert page.status == 200, path
        assert '<html lang="de">' in page.text and words in page.text, path
