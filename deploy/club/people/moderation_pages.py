"""What hosts of the club see and do: open reports, removal, the log."""

from __future__ import annotations

from aiohttp import web

from deploy.club.people import moderation
from deploy.club.people.moderation import ACTIONS, OUTCOMES, REASONS
from deploy.club.refusal import N_
from deploy.club.web.forms import form
from deploy.club.web.parts import CLUB
from deploy.club.web.rendering import render, see_other, translate
from deploy.club.web.routes import Route, Standing
from deploy.club.web.visitor import visitor


async def show_moderation(request: web.Request) -> web.Response:
    """Open reports, oldest first, and the log."""
    parts, locale = request.app[CLUB], visitor(request).locale
    async with parts.store.begin() as tx:
        reports = await moderation.open_reports(tx)
        log = await moderation.log(tx)
    return render(
        request,
        "people/moderation.html",
        reports=reports,
        log=log,
        reasons={slug: translate(locale, title, {}) for slug, title in REASONS.items()},
        outcomes=[(slug, translate(locale, title, {})) for slug, title in OUTCOMES.items()],
        actions={slug: translate(locale, words, {}) for slug, words in ACTIONS.items()},
    )


async def resolve(request: web.Request) -> web.Response:
    """Decide on a report."""
    parts, who = request.app[CLUB], visitor(request)
    outcome = (await form(request)).get("outcome", "")
    async with parts.store.begin() as tx:
        await moderation.resolve(tx, who.me, request.match_info["report"], outcome, parts.clock())
    return see_other(request, "/moderation", N_("Done, and written to the log."))


async def remove_member(request: web.Request) -> web.Response:
    """Put a member out of the club."""
    parts, who = request.app[CLUB], visitor(request)
    async with parts.store.begin() as tx:
        await moderation.remove_member(tx, who.me, request.match_info["id"], parts.clock())
    return see_other(request, "/moderation", N_("Done, and written to the log."))


ROUTES: tuple[Route, ...] = (
    Route("GET", "/moderation", show_moderation, needs=Standing.HOST),
    Route("POST", "/moderation/{report}/resolve", resolve, needs=Standing.HOST),
    Route("POST", "/people/{id}/remove", remove_member, needs=Standing.HOST),
)
