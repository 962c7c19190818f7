"""The pages about people, each asked by a signed-in browser."""

from __future__ import annotations

from io import BytesIO

import aiohttp
from PIL import Image

from tests.club.web.site import SignedIn, Site


async def test_pages_render(site: Site, client: SignedIn) -> None:
    other = await site.signed_in("Blue", invited_by=client.id, bio="one\n\ntwo")
    host = await site.signed_in("White", is_host=True)
    for path in (
        f"/people/{other.id}",
        f"/people/{other.id}/chain",
        f"/people/{other.id}/report",
        "/me",
        "/me/delete",
        "/me/export",
        "/notices",
    ):
        page = await client.get(path)
        assert page.status == 200, (path, page.text)
    page = await host.get("/moderation")
    assert page.status == 200, page.text
