"""Whatever is sent to any address of the site, the site has no fault."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
from aiohttp import FormData

from deploy.club.settings import Settings
from deploy.club.store import Store
from deploy.club.web.app import all_routes
from deploy.club.web.routes import Route
from tests.club.fake_daemon import fake_daemon
from tests.club.room.house import House, open_house
from tests.club.web.site import SignedIn

# As everybody's forms name them; each gets the same nonsense.
FIELDS = (
    *("about", "action", "bio", "code", "hosts", "id", "interests", "invitation", "invited"),
    *("label", "language", "member", "name", "next", "offer", "outcome", "phone", "picture"),
    *("reason", "room", "target", "text", "topic", "visibility", "when", "when_utc"),
)
NONSENSE = {
    "nothing": "",
    "a huge number": "9" * 400,
    "a time": "9999-12-31T23:59:59Z",
    "an early time": "0001-01-01T00:00",
    "markup": "<script>'\"--%(name)s{{ 7 * 7 }}</script>",
    "other scripts": "\u202e\u0645\u0631\u062d\u0628\u0627 \U0001f468\u200d\U0001f469",
    "controls": "\x01\x7f\x00\ufeff\u2028",
    "a percent": "%s%(x)d%",
    "much": "m" * 2_000,
}
# They end the session that the others need.
ENDING = {"/sign-out", "/me/delete"}
# Longer than any limit of how often.
LATER_S = 3_600.0


@pytest.fixture
async def house(store: Store, settings: Settings) -> AsyncIterator[House]:
    """The site with a live room, in front of a daemon without sound."""
    async with fake_daemon() as daemon, open_house(store, settings, daemon) as opened:
        yield opened


def addresses(route: Route, ids: dict[str, str], nonsense: str) -> set[str]:
    """The route's address with what is there, and with nonsense."""
    filled = route.path
    for name, value in ids.items():
        filled = filled.replace(name, value)
    asked = {filled}
    if "{" in route.path and len(nonsense.strip()) > 1:
        before, _, rest = route.path.partition("{")
        asked.add(before + quote(nonsense, safe="") + rest.partition("}")[2])
    return {one for one in asked if "{" not in one}


async def send(who: SignedIn, route: Route, path: str, nonsense: str, csrf: str) -> int:
    """One request; its status."""
    if route.method == "GET":
        page = await who.get(f"{path}?next={quote(nonsense)}", follow=False)
    elif route.is_json:
        body = dict.fromkeys(("action", "offer", "target"), nonsense)
        page = await who.post_json(path, body, csrf=csrf)
    else:
        form = FormData(default_to_multipart=len(nonsense) % 2 == 1)
        for field in FIELDS:
            form.add_field(field, nonsense)
        page = await who.post(path, form, follow=False, csrf=csrf)
    return page.status


@pytest.mark.parametrize("kind", NONSENSE)
async def test_nonsense_is_answered(house: House, kind: str) -> None:
    host = await house.site.signed_in("Red", is_host=True)
    other = await house.site.add_member("Blue")
    room = await house.room(host)
    rooms = {"/rooms/{id}": f"/rooms/{room}", "/people/{id}": f"/people/{other.id}"}
    csrf = await host.browser.csrf()
    faults = []
    for route in all_routes():
        if route.path in ENDING or route.path == "/news" or route.path.endswith("/socket"):
            continue
        for path in sorted(addresses(route, rooms, NONSENSE[kind])):
            house.clock.advance(LATER_S)
            status = await send(host, route, path, NONSENSE[kind], csrf)
            if status >= 500 or status == 429:
                faults.append((route.method, path, status))
    assert not faults
