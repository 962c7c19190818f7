"""The pages about another member, and what one can do about them."""

from __future__ import annotations

from aiohttp import web

from deploy.club.people import blocks, follows, moderation, profiles
from deploy.club.people.moderation import REASONS, REPORT_TEXT_MAX
from deploy.club.people.named import named
from deploy.club.refusal import N_, Refused
from deploy.club.web.forms import form
from deploy.club.web.parts import CLUB
from deploy.club.web.rendering import render, see_other, translate
from deploy.club.web.routes import Route
from deploy.club.web.visitor import visitor


async def show_profile(request: web.Request) -> web.Response:
    """A member: name, bio, interests, who invited them, whom they follow."""
    parts, who = request.app[CLUB], visitor(request)
    async with parts.store.begin() as tx:
        shown = await profiles.profile(tx, who.me, request.match_info["id"])
    return render(request, "people/profile.html", profile=shown)


async def show_chain(request: web.Request) -> web.Response:
    """Who invited this member, and who those, up to the club's beginning."""
    parts, who = request.app[CLUB], visitor(request)
    async with parts.store.begin() as tx:
        links = await profiles.chain(tx, who.me, request.match_info["id"])
    return render(request, "people/chain.html", links=links)


async def follow(request: web.Request) -> web.Response:
    """Follow the member."""
    parts, who, id = request.app[CLUB], visitor(request), request.match_info["id"]
    now = parts.clock()
    parts.limits.take("follow", who.me.id, now)
    async with parts.store.begin() as tx:
        await follows.follow(tx, who.me.id, id, now)
    return see_other(request, f"/people/{id}", N_("You follow them now."))


async def unfollow(request: web.Request) -> web.Response:
    """Follow the member no more."""
    parts, who, id = request.app[CLUB], visitor(request), request.match_info["id"]
    parts.limits.take("follow", who.me.id, parts.clock())
    async with parts.store.begin() as tx:
        await named(tx, id)
        await follows.unfollow(tx, who.me.id, id)
    return see_other(request, f"/people/{id}", N_("You do not follow them any more."))


async def block(request: web.Request) -> web.Response:
    """Meet the member no more."""
    parts, who, id = request.app[CLUB], visitor(request), request.match_info["id"]
    now = parts.clock()
    parts.limits.take("block", who.me.id, now)
    async with parts.store.begin() as tx:
        await blocks.block(tx, who.me.id, id, now)
    return see_other(request, "/me", N_("Blocked. You do not see each other's rooms any more."))


async def unblock(request: web.Request) -> web.Response:
    """Take a block back. The list of blocked people is on one's own page."""
    parts, who, id = request.app[CLUB], visitor(request), request.match_info["id"]
    parts.limits.take("block", who.me.id, parts.clock())
    async with parts.store.begin() as tx:
        await blocks.unblock(tx, who.me.id, id)
    return see_other(request, "/me", N_("You may meet again."))


async def show_report(request: web.Request) -> web.Response:
    """The form of a report; `room` in the query is where it happened."""
    return await _report_form(request, room=request.query.get("room", ""))


async def report(request: web.Request) -> web.Response:
    """Tell the hosts of the club."""
    parts, who, id = request.app[CLUB], visitor(request), request.match_info["id"]
    now = parts.clock()
    parts.limits.take("report", who.me.id, now)
    fields = await form(request)
    reason, text, room = (fields.get(name, "") for name in ("reason", "text", "room"))
    try:
        async with parts.store.begin() as tx:
            await moderation.report(tx, who.me.id, id, reason, text, now, room_id=room or None)
    except Refused as refused:
        if refused.code not in ("bad_reason", "bad_text"):
            raise
        return await _report_form(request, room=room, text=text, reason=reason, refused=refused)
    return see_other(request, f"/people/{id}", N_("Thank you. The hosts of the club will look."))


async def _report_form(
    request: web.Request,
    *,
    room: str,
    text: str = "",
    reason: str = "",
    refused: Refused | None = None,
) -> web.Response:
    parts, locale = request.app[CLUB], visitor(request).locale
    async with parts.store.begin() as tx:
        reported = await named(tx, request.match_info["id"])
    return render(
        request,
        "people/report.html",
        status=refused.status if refused else 200,
        reported=reported,
        reasons=[(slug, translate(locale, title, {})) for slug, title in REASONS.items()],
        room=room,
        text=text,
        reason=reason,
        text_max=REPORT_TEXT_MAX,
        error=translate(locale, refused.text, refused.params) if refused else "",
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", "/people/{id}", show_profile),
    Route("GET", "/people/{id}/chain", show_chain),
    Route("POST", "/people/{id}/follow", follow),
    Route("POST", "/people/{id}/unfollow", unfollow),
    Route("POST", "/people/{id}/block", block),
    Route("POST", "/people/{id}/unblock", unblock),
    Route("GET", "/people/{id}/report", show_report),
    Route("POST", "/people/{id}/report", report),
)
