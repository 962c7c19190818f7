"""What one was told."""

from __future__ import annotations

from aiohttp import web

from deploy.club.people import notices
from deploy.club.web.locales import translations
from deploy.club.web.parts import CLUB
from deploy.club.web.rendering import render, see_other
from deploy.club.web.routes import Route
from deploy.club.web.visitor import visitor


async def show_notices(request: web.Request) -> web.Response:
    """The newest notices; looking does not make them read, the button does."""
    parts, who = request.app[CLUB], visitor(request)
    async with parts.store.begin() as tx:
        told = await notices.latest(tx, who.me.id)
    gettext = translations(who.locale).gettext
    lines = [(one, one.sentence(gettext)) for one in told]
    return render(request, "people/notices.html", lines=lines)


async def read_notices(request: web.Request) -> web.Response:
    """All that there is has been seen."""
    parts, who = request.app[CLUB], visitor(request)
    async with parts.store.begin() as tx:
        await notices.read_all(tx, who.me.id, parts.clock())
    return see_other(request, "/notices")


ROUTES: tuple[Route, ...] = (
    Route("GET", "/notices", show_notices),
    Route("POST", "/notices/read", read_notices),
)
