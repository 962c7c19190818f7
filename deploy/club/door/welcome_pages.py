"""From a proven number into the club: an invitation's link, the newcomer's form, the line."""

from __future__ import annotations

from aiohttp import web

from deploy.club.door import invitations, onward, waiting
from deploy.club.door.signing_up import Form, enter, sign_up
from deploy.club.refusal import Refused
from deploy.club.settings import Door
from deploy.club.store import Member, Session
from deploy.club.web import (
    CLUB,
    Route,
    Standing,
    client_address,
    form,
    form_list,
    render,
    see_other,
    visitor,
)
from deploy.club.web.rendering import set_cookie, translate

# Kept from the link until the form, so that nobody has to copy a code.
INVITATION_COOKIE = "club-invitation"
INVITATION_S = 30 * 86_400


async def invitation(request: web.Request) -> web.StreamResponse:
    """GET /i/{code}: who invites. It is remembered in this browser, and used only by a form."""
    parts = request.app[CLUB]
    parts.limits.take("invitation.look", client_address(request), parts.clock())
    code = request.match_info["code"]
    inviter = await _inviter(request, code)
    status = 200 if inviter is not None else 404
    response = render(request, "door/invitation.html", status=status, inviter=inviter, code=code)
    if inviter is not None:
        set_cookie(request, response, INVITATION_COOKIE, code, max_age=INVITATION_S)
    return response


async def newcomer(request: web.Request) -> web.StreamResponse:
    """GET /welcome: name, interests, and an invitation if there is one."""
    onward = _onward(request)
    if onward is not None:
        return see_other(request, onward)
    code = request.cookies.get(INVITATION_COOKIE, "")
    if await _inviter(request, code) is None:
        code = ""
    return await _form(request, {"invitation": code})


async def welcome(request: web.Request) -> web.StreamResponse:
    """POST /welcome: sign up; or, for who waits, come in with an invitation."""
    who, parts = visitor(request), request.app[CLUB]
    if who.standing is Standing.WAITING:
        return await _enter(request)
    onward = _onward(request)
    if onward is not None:
        return see_other(request, onward)
    assert who.session is not None, "whoever has no session was sent on"
    parts.limits.take("sign_up", client_address(request), parts.clock())
    fields, slugs = await form(request), await form_list(request, "interests")
    filled = Form(fields.get("name", ""), slugs, _code_in(fields), who.locale)
    try:
        async with parts.store.begin() as tx:
            session = await tx.get_one(Session, who.session.id)
            await sign_up(tx, parts.settings, session, filled, parts.clock())
    except Refused as refused:
        return await _form(request, fields, slugs, refused)
    return _done(request)


async def place(request: web.Request) -> web.StreamResponse:
    """GET /waiting: one's place in the line."""
    who = visitor(request)
    if who.standing is not Standing.WAITING:
        return see_other(request, "/")
    return await _waiting(request)


async def _enter(request: web.Request) -> web.StreamResponse:
    parts, me = request.app[CLUB], visitor(request).me
    parts.limits.take("sign_up", client_address(request), parts.clock())
    code = _code_in(await form(request))
    try:
        async with parts.store.begin() as tx:
            member = await tx.get_one(Member, me.id)
            await enter(tx, parts.settings, member, code, parts.clock())
    except Refused as refused:
        return await _waiting(request, refused, code)
    return _done(request)


async def _form(
    request: web.Request,
    fields: dict[str, str],
    slugs: list[str] | None = None,
    refused: Refused | None = None,
) -> web.Response:
    parts, who = request.app[CLUB], visitor(request)
    code = _code_in(fields)
    return render(
        request,
        "door/welcome.html",
        status=200 if refused is None else refused.status,
        name=fields.get("name", ""),
        chosen=frozenset(slugs or ()),
        invitation=code,
        inviter=await _inviter(request, code),
        is_by_invitation=Door.INVITATION in parts.settings.doors,
        refused=None if refused is None else refused.code,
        error="" if refused is None else translate(who.locale, refused.text, refused.params),
    )


async def _waiting(
    request: web.Request, refused: Refused | None = None, code: str = ""
) -> web.Response:
    parts, who = request.app[CLUB], visitor(request)
    code = code or request.cookies.get(INVITATION_COOKIE, "")
    inviter = await _inviter(request, code)
    async with parts.store.begin() as tx:
        in_line = await waiting.place(tx, who.me)
        count = await waiting.count(tx)
    return render(
        request,
        "door/waiting.html",
        status=200 if refused is None else refused.status,
        place=in_line,
        count=count,
        invitation=code if inviter is not None or refused is not None else "",
        is_by_invitation=Door.INVITATION in parts.settings.doors,
        error="" if refused is None else translate(who.locale, refused.text, refused.params),
    )


async def _inviter(request: web.Request, code: str) -> Member | None:
    if not 0 < len(code) <= invitations.CODE_CHARS_MAX:
        return None
    async with request.app[CLUB].store.begin() as tx:
        return await invitations.inviter_of(tx, code)


def _onward(request: web.Request) -> str | None:
    """Where somebody belongs for whom the form is not."""
    who = visitor(request)
    if who.session is None:
        return "/sign-in"
    return "/" if who.member is not None else None


def _code_in(fields: dict[str, str]) -> str:
    """The code in what somebody typed, which may be the whole link."""
    return fields.get("invitation", "").rstrip("/").rpartition("/")[2]


def _done(request: web.Request) -> web.Response:
    response = see_other(request, onward.onward(request))
    onward.forget(response)
    response.del_cookie(INVITATION_COOKIE, path="/")
    return response


ROUTES: tuple[Route, ...] = (
    Route("GET", "/i/{code}", invitation, Standing.STRANGER),
    Route("GET", "/welcome", newcomer, Standing.STRANGER),
    Route("POST", "/welcome", welcome, Standing.STRANGER),
    Route("GET", "/waiting", place, Standing.WAITING),
)
