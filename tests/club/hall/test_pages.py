"""The hall's pages, as a browser without scripts gets them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import select

from deploy.club.hall.opening import LIVE_MAX, end_room
from deploy.club.hall.pages import ROUTES
from deploy.club.settings import Settings
from deploy.club.store import Attendance, Follow, Room, RoomInterest, RoomSeat, Store
from deploy.club.web import Standing
from tests.club.hall.club import CrowdedRooms
from tests.club.web.site import SignedIn, Site, serving

ROOM_PATH = re.compile(r"/rooms/(r-\w+)$")


@pytest.fixture
def live() -> CrowdedRooms:
    """How many are in which room."""
    return CrowdedRooms()


@pytest_asyncio.fixture
async def site(store: Store, settings: Settings, live: CrowdedRooms) -> AsyncIterator[Site]:
    """The whole site, with crowds in its rooms."""
    async with serving(store, settings, live=cast(Any, live)) as served:
        yield served


@pytest_asyncio.fixture
async def red(site: Site) -> SignedIn:
    """A member."""
    return await site.signed_in("Red")


@pytest_asyncio.fixture
async def blue(site: Site, red: SignedIn) -> SignedIn:
    """A member who follows Red."""
    blue = await site.signed_in("Blue")
    async with site.store.begin() as tx:
        tx.add(Follow(follower_id=blue.id, followed_id=red.id, at=site.clock()))
    return blue


async def make(person: SignedIn, **fields: Any) -> str:
    """Fill in the form; the room's id."""
    page = await person.post(
        "/rooms/new", {"topic": "Bees", "visibility": "open"} | fields, follow=False
    )
    found = ROOM_PATH.search(page.headers.get("Location", ""))
    assert page.status == 303 and found is not None, page.text
    return found[1]


def soon(site: Site, minutes: int) -> str:
    return (site.clock() + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M")


async def room_of(site: Site, room_id: str) -> Room:
    async with site.store.begin() as tx:
        return await tx.get_one(Room, room_id)


async def test_an_empty_hall_says_so_and_leads_on(red: SignedIn) -> None:
    page = await red.get("/hall")
    assert page.status == 200
    assert "Nobody is talking right now." in page.text
    assert page.has("new-room", href="/rooms/new")
    assert not page.has("room-card")
    assert "Nothing is planned yet." in (await red.get("/upcoming")).text


async def test_a_room_made_now_is_in_everybodys_hall(
    site: Site, red: SignedIn, blue: SignedIn, live: CrowdedRooms
) -> None:
    room_id = await make(red, topic="Bees & <b>honey</b>", interests="cooking")
    assert (await room_of(site, room_id)).state == "live"
    live.crowds[room_id] = SimpleNamespace(speakers=2, listeners=1, names=("Red", "Green"))
    page = await blue.get("/hall")
    assert f'data-room="{room_id}"' in page.text
    assert "Bees &amp; &lt;b&gt;honey&lt;/b&gt;" in page.text
    assert "with Red" in page.text
    assert "On stage: Red, Green" in page.text
    assert "and 1 more" not in page.text and "1 listening" in page.text
    assert "Cooking and baking" in page.text


async def test_a_member_with_german_reads_german(site: Site, red: SignedIn) -> None:
    await make(red, visibility="followers")
    await make(red, when=soon(site, 60))
    green = await site.signed_in("Green", language="de")
    page = await green.get("/upcoming")
    assert 'lang="de"' in page.text
    assert "Ich komme" in page.text and "1 kommt" in page.text
    assert "Raum planen" in page.text


async def test_the_form_keeps_what_was_typed_and_says_what_is_wrong(
    red: SignedIn, blue: SignedIn
) -> None:
    page = await red.post(
        "/rooms/new",
        {"topic": " ", "about": "Of <bees>", "visibility": "followers", "hosts": blue.id},
    )
    assert page.status == 400
    assert "Please say what the room is about." in page.text
    assert 'role="alert"' in page.text
    assert "Of &lt;bees&gt;</textarea>" in page.text
    assert re.search(r'value="followers"[^>]* checked', page.text)
    assert re.search(rf'value="{blue.id}"[^>]*data-test="hosts-{blue.id}" checked', page.text)


async def test_hosts_and_interests_are_taken_from_checkboxes(
    site: Site, red: SignedIn, blue: SignedIn
) -> None:
    data = aiohttp.FormData()
    for name, value in (
        ("topic", "Bees"),
        ("visibility", "invited"),
        ("interests", "cooking"),
        ("interests", "biology"),
        ("hosts", blue.id),
    ):
        data.add_field(name, value)
    page = await red.post("/rooms/new", data, follow=False)
    found = ROOM_PATH.search(page.headers["Location"])
    assert found is not None
    async with site.store.begin() as tx:
        slugs = await tx.scalars(select(RoomInterest.slug).where(RoomInterest.room_id == found[1]))
        assert set(slugs) == {"cooking", "biology"}
        seat = await tx.get_one(RoomSeat, (found[1], blue.id))
        assert seat.seat == "host"


async def test_nobody_is_host_who_did_not_ask_for_it(site: Site, red: SignedIn) -> None:
    stranger = await site.signed_in("Green")
    page = await red.post("/rooms/new", {"topic": "Bees", "hosts": stranger.id})
    assert page.status == 404
    assert "You can ask people who follow you." in page.text


async def test_a_room_is_planned_attended_and_opened(
    site: Site, red: SignedIn, blue: SignedIn
) -> None:
    room_id = await make(red, when=soon(site, 60))
    planned = await room_of(site, room_id)
    assert planned.state == "scheduled"
    assert planned.scheduled_at == site.clock() + timedelta(minutes=60)
    listed = await blue.get("/upcoming")
    assert listed.has("will-come")
    stamp = planned.scheduled_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert f'<time datetime="{stamp}"' in listed.text

    assert (await blue.post(f"/rooms/{room_id}/will-come", follow=False)).status == 303
    assert (await blue.get("/upcoming")).has("wont-come")
    assert (await blue.get("/hall")).has("wont-come")  # it is the next one
    assert (await blue.post(f"/rooms/{room_id}/open")).status == 403
    assert (await red.post(f"/rooms/{room_id}/open")).status == 409
    site.clock.advance(50 * 60)
    assert (await red.post(f"/rooms/{room_id}/open", follow=False)).status == 303
    assert (await room_of(site, room_id)).state == "live"
    assert f'data-room="{room_id}"' in (await blue.get("/hall")).text
    assert f'data-room="{room_id}"' not in (await blue.get("/upcoming")).text


async def test_the_page_of_a_planned_room(site: Site, red: SignedIn, blue: SignedIn) -> None:
    room_id = await make(red, when=soon(site, 60), about="One.\nTwo.")
    page = await red.get(f"/rooms/{room_id}")
    assert page.status == 200
    assert "<p>One.</p>" in page.text and "<p>Two.</p>" in page.text
    assert page.has("cancel") and page.has("invite") and not page.has("open")
    guest = await blue.get(f"/rooms/{room_id}")
    assert guest.has("will-come") and guest.has("calendar")
    assert not guest.has("cancel") and not guest.has("invite") and not guest.has("open")
    site.clock.advance(45 * 60)
    assert (await red.get(f"/rooms/{room_id}")).has("open")
    await red.post(f"/rooms/{room_id}/cancel", follow=False)
    gone = await blue.get(f"/rooms/{room_id}")
    assert gone.status == 200 and gone.has("cancelled") and not gone.has("will-come")


async def test_the_page_of_a_room_that_is_over_or_locked(
    site: Site, red: SignedIn, blue: SignedIn
) -> None:
    room_id = await make(red)
    async with site.store.begin() as tx:
        (await tx.get_one(Room, room_id)).is_locked = True
    locked = await blue.get(f"/rooms/{room_id}")
    assert locked.status == 200 and locked.has("locked") and not locked.has("ended")
    async with site.store.begin() as tx:
        await end_room(tx, await tx.get_one(Room, room_id), site.clock())
    over = await red.get(f"/rooms/{room_id}")
    assert over.has("ended") and over.has("log", href=f"/rooms/{room_id}/log")
    assert not (await blue.get(f"/rooms/{room_id}")).has("log")


async def test_a_room_for_invited_people_is_nobody_elses(
    site: Site, red: SignedIn, blue: SignedIn
) -> None:
    room_id = await make(red, when=soon(site, 60), visibility="invited")
    green = await site.signed_in("Green")
    for path in ("calendar.ics", ""):
        assert (await blue.get(f"/rooms/{room_id}/{path}".rstrip("/"))).status == 403
    assert (await green.post(f"/rooms/{room_id}/will-come")).status == 403
    assert (await red.post(f"/rooms/{room_id}/invite", {"member": green.id})).status == 404
    sent = await red.post(f"/rooms/{room_id}/invite", {"member": blue.id}, follow=False)
    assert sent.status == 303
    assert (await blue.get(f"/rooms/{room_id}/calendar.ics")).status == 200
    assert (await blue.post(f"/rooms/{room_id}/invite", {"member": green.id})).status == 403
    async with site.store.begin() as tx:
        assert await tx.get(Attendance, (room_id, green.id)) is None


async def test_the_calendar_file(site: Site, red: SignedIn, blue: SignedIn) -> None:
    room_id = await make(red, when=soon(site, 60), topic="Bees, wasps")
    page = await blue.get(f"/rooms/{room_id}/calendar.ics")
    assert page.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert page.headers["Content-Disposition"] == f'attachment; filename="{room_id}.ics"'
    lines = page.text.replace("\r\n ", "").split("\r\n")
    assert "SUMMARY:Bees\\, wasps" in lines
    assert f"UID:{room_id}@localhost" in lines
    assert f"URL:http://localhost:8080/rooms/{room_id}" in lines
    start = datetime.strptime(soon(site, 60), "%Y-%m-%dT%H:%M").strftime("%Y%m%dT%H%M%SZ")
    assert f"DTSTART:{start}" in lines
    live_room = await make(red)
    assert (await blue.get(f"/rooms/{live_room}/calendar.ics")).status == 404


@pytest.mark.parametrize("act", ["will-come", "wont-come", "open", "cancel", "invite"])
async def test_a_room_that_never_was(red: SignedIn, act: str) -> None:
    assert (await red.post(f"/rooms/r-none/{act}")).status == 404
    assert (await red.get("/rooms/r-none/calendar.ics")).status == 404


async def test_too_many_rooms_are_refused_above_the_form(red: SignedIn) -> None:
    for _ in range(LIVE_MAX):
        await make(red)
    page = await red.post("/rooms/new", {"topic": "Bees"})
    assert page.status == 409
    assert f"You have {LIVE_MAX} rooms already." in page.text
    for _ in range(10):
        page = await red.post("/rooms/new", {"topic": "Bees"})
    assert page.status == 429
    assert int(page.headers["Retry-After"]) > 0


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_strangers_and_those_who_wait_are_turned_away(site: Site, route: Any) -> None:
    assert route.needs is Standing.MEMBER
    path = route.path.replace("{id}", "r-none")
    stranger = site.browser()
    waiting = await site.signed_in("Grey", standing="waiting")
    for browser, leads_to in ((stranger, "/sign-in"), (waiting.browser, "/waiting")):
        ask = browser.get if route.method == "GET" else browser.post
        page = await ask(path, follow=False)
        assert (page.status, page.headers["Location"]) == (303, leads_to)


async def test_the_button_pressed_twice_leads_to_the_one_room(red: SignedIn) -> None:
    page = await red.get("/rooms/new")
    found = re.search(r'name="form" value="([^"]+)"', page.text)
    assert found is not None
    assert await make(red, form=found[1]) == await make(red, form=found[1])
    page = await red.post("/rooms/new", {"topic": "", "form": found[1]})
    assert f'name="form" value="{found[1]}"' in page.text
    assert await make(red) != await make(red)
