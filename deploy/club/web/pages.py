"""The site's own few pages: the entrance, the language, and whether it is alive."""

from __future__ import annotations

from typing import cast

from aiohttp import web
from yarl import URL

from deploy.club.door import onward
from deploy.club.refusal import N_, Refused
from deploy.club.store import Member
from deploy.club.web.forms import form
from deploy.club.web.locales import LOCALES
from deploy.club.web.parts import CLUB
from deploy.club.web.rendering import render, see_other, set_cookie
from deploy.club.web.routes import Route, Standing
from deploy.club.web.visitor import LANGUAGE_COOKIE, visitor

# A year.
LANGUAGE_S = 365 * 86_400


async def index(request: web.Request) -> web.StreamResponse:
    """GET /: what this is, for strangers; others go on to where they belong."""
    who = visitor(request)
    if who.standing >= Standing.MEMBER:
        return see_other(request, "/hall")
    if who.standing is Standing.WAITING:
        return see_other(request, "/waiting")
    return render(request, "web/index.html")


async def healthz(request: web.Request) -> web.StreamResponse:
    """GET /healthz: 200 while the database answers."""
    async with request.app[CLUB].store.begin() as tx:
        await tx.get(Member, "")
    return web.json_response({"ok": True})


async def language(request: web.Request) -> web.StreamResponse:
    """POST /language: kept in a cookie, and with the member where there is one."""
    chosen = (await form(request)).get("language", "")
    if chosen not in LOCALES:
        raise Refused("bad_language", 400, N_("The club does not speak that language."))
    who = visitor(request)
    if who.member is not None:
        async with request.app[CLUB].store.begin() as tx:
            member = cast(Member, await tx.get(Member, who.member.id))
            member.language = chosen
    response = see_other(request, _came_from(request))
    set_cookie(request, response, LANGUAGE_COOKIE, chosen, max_age=LANGUAGE_S)
    return response


def _came_from(request: web.Request) -> str:
    """The page that holds the form, if it is one of ours."""
    try:
        referrer = URL(request.headers.get("Referer", ""))
        path = referrer.raw_path_qs if referrer.authority == request.host else "/"
    except ValueError:
        return "/"
    return path if onward.is_ours(path) else "/"


ROUTES: tuple[Route, ...] = (
    Route("GET", "/", index, Standing.STRANGER),
    Route("GET", "/healthz", healthz, Standing.STRANGER, is_json=True),
    Route("POST", "/language", language, Standing.STRANGER),
)
