"""A member's invitations: given, seen, taken back."""

from __future__ import annotations

from aiohttp import web

from deploy.club.door import invitations
from deploy.club.refusal import N_, Refused
from deploy.club.settings import Door
from deploy.club.store import Member
from deploy.club.web import CLUB, Route, Standing, form, render, see_other, visitor
from deploy.club.web.rendering import translate


async def given(request: web.Request) -> web.StreamResponse:
    """GET /invitations: what one gave, and a form for the next."""
    return await _page(request)


async def invite(request: web.Request) -> web.StreamResponse:
    """POST /invitations: one more, with a note for whom."""
    parts, me = request.app[CLUB], visitor(request).me
    now = parts.clock()
    parts.limits.take("invite", me.id, now)
    label = (await form(request)).get("label", "")
    try:
        async with parts.store.begin() as tx:
            await invitations.invite(tx, parts.settings, me, label, now)
    except Refused as refused:
        return await _page(request, refused, label)
    return see_other(request, "/invitations", N_("Here is your invitation. Send it to one person."))


async def revoke(request: web.Request) -> web.StreamResponse:
    """POST /invitations/{code}/revoke: it lets nobody in any more."""
    parts, me = request.app[CLUB], visitor(request).me
    async with parts.store.begin() as tx:
        await invitations.revoke(tx, me, request.match_info["code"], parts.clock())
    return see_other(request, "/invitations", N_("The invitation was taken back."))


async def _page(
    request: web.Request, refused: Refused | None = None, label: str = ""
) -> web.Response:
    parts, who = request.app[CLUB], visitor(request)
    async with parts.store.begin() as tx:
        me = await tx.get_one(Member, who.me.id)
        listed = await invitations.given_by(tx, me.id)
    return render(
        request,
        "door/invitations.html",
        status=200 if refused is None else refused.status,
        given=listed,
        left=None if me.is_host else me.invitations_left,
        is_open=Door.INVITATION in parts.settings.doors,
        label=label,
        label_chars_max=invitations.LABEL_CHARS_MAX,
        error="" if refused is None else translate(who.locale, refused.text, refused.params),
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", "/invitations", given, Standing.MEMBER),
    Route("POST", "/invitations", invite, Standing.MEMBER),
    Route("POST", "/invitations/{code}/revoke", revoke, Standing.MEMBER),
)
