"""Signing in with a number and a code, and signing out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from aiohttp import web

from deploy.club.door import codes, onward, sessions
from deploy.club.door.pace import AGAIN_AFTER, CODE_LIFE, Answer
from deploy.club.door.pending import PENDING_COOKIE, seal, unseal
from deploy.club.door.phones import phone_hash
from deploy.club.door.sender import LogSender, SendError
from deploy.club.refusal import N_, Refused
from deploy.club.tokens import normalise_phone
from deploy.club.web import (
    CLUB,
    Route,
    Standing,
    client_address,
    form,
    render,
    see_other,
    visitor,
)
from deploy.club.web.rendering import set_cookie, translate
from deploy.club.web.visitor import SESSION_COOKIE

log = structlog.get_logger("door")

WRONG = N_("That is not the code. Look again.")
VOID = N_("This code is not good any more. Ask for a new one.")


async def sign_in(request: web.Request) -> web.StreamResponse:
    """GET /sign-in: which number?"""
    onward = _onward(request)
    if onward is not None:
        return see_other(request, onward)
    return render(request, "door/sign_in.html", phone="", error="")


async def send_code(request: web.Request) -> web.StreamResponse:
    """POST /sign-in: send a code. Nothing in the answer depends on whose number it is."""
    onward = _onward(request)
    if onward is not None:
        return see_other(request, onward)
    given = (await form(request)).get("phone", "")
    try:
        phone = await _send_code(request, given)
    except Refused as refused:
        if _is_on_its_way(request, given, refused):
            return see_other(request, "/sign-in/code", N_("A code is on its way already."))
        return _refused(request, "door/sign_in.html", refused, phone=given)
    response = see_other(request, "/sign-in/code")
    parts = request.app[CLUB]
    _set_pending(request, response, seal(parts.settings, phone, parts.clock()))
    return response


async def code(request: web.Request) -> web.StreamResponse:
    """GET /sign-in/code: which code?"""
    phone = _pending(request)
    if phone is None:
        return see_other(request, _onward(request) or "/sign-in")
    return render(request, "door/code.html", error="", **_of_number(request, phone))


async def try_code(request: web.Request) -> web.StreamResponse:
    """POST /sign-in/code: a right code begins a session of this browser."""
    phone = _pending(request)
    if phone is None:
        return see_other(request, _onward(request) or "/sign-in", VOID)
    parts, who = request.app[CLUB], visitor(request)
    now = parts.clock()
    parts.limits.take("code.try", client_address(request), now)
    given = (await form(request)).get("code", "")
    async with parts.store.begin() as tx:
        answer = await codes.try_code(tx, parts.settings, phone, given, now)
    if answer is not Answer.RIGHT:
        refused = Refused("bad_code", 400, WRONG if answer is Answer.WRONG else VOID)
        return _refused(request, "door/code.html", refused, **_of_number(request, phone))
    async with parts.store.begin() as tx:
        if who.session is not None:
            await sessions.end(tx, who.session)
        token = await sessions.begin(tx, phone_hash(parts.settings, phone), now)
        session = await sessions.find(tx, token, now)
    is_known = session is not None and session.member_id is not None
    response = see_other(request, onward.onward(request) if is_known else "/welcome")
    if is_known:
        onward.forget(response)
    set_cookie(request, response, SESSION_COOKIE, token, max_age=_seconds(sessions.AGE_MAX))
    response.del_cookie(PENDING_COOKIE, path="/")
    return response


async def sign_out(request: web.Request) -> web.StreamResponse:
    """POST /sign-out: this browser's session ends, others of the person go on."""
    who, parts = visitor(request), request.app[CLUB]
    if who.session is not None:
        async with parts.store.begin() as tx:
            await sessions.end(tx, who.session)
    response = see_other(request, "/")
    response.del_cookie(SESSION_COOKIE, path="/")
    return response


async def _send_code(request: web.Request, given: str) -> str:
    """The number (E.164) that a code was sent to. Raises Refused."""
    parts = request.app[CLUB]
    now = parts.clock()
    phone = normalise_phone(given)
    parts.limits.take("code.send", client_address(request), now)
    async with parts.store.begin() as tx:
        new = await codes.issue(tx, parts.settings, phone, now)
    try:
        await parts.sender.send(phone, new, visitor(request).locale)
    except SendError as error:
        log.warning("code_not_sent", error=str(error))
        text = N_("The code could not be sent. Try again in a while.")
        raise Refused("not_sent", 503, text) from None
    return phone


def _is_on_its_way(request: web.Request, given: str, refused: Refused) -> bool:
    """Whether this browser was sent a code for this number a moment ago: a second press."""
    wait_s = refused.params.get("retry_after_s", 0)
    if refused.code != "too_many" or wait_s > AGAIN_AFTER.total_seconds():
        return False
    return _pending(request) == normalise_phone(given)


def _onward(request: web.Request) -> str | None:
    """Where somebody belongs who is signed in already."""
    who = visitor(request)
    if who.session is None:
        return None
    return "/" if who.member is not None else "/welcome"


def _pending(request: web.Request) -> str | None:
    parts = request.app[CLUB]
    return unseal(parts.settings, request.cookies.get(PENDING_COOKIE, ""), parts.clock())


def _set_pending(request: web.Request, response: web.StreamResponse, value: str) -> None:
    set_cookie(request, response, PENDING_COOKIE, value, max_age=_seconds(CODE_LIFE))


def _of_number(request: web.Request, phone: str) -> dict[str, Any]:
    """What the code's page says; the code itself in development only."""
    sender = request.app[CLUB].sender
    return {"phone": phone, "shown": sender.shown(phone) if isinstance(sender, LogSender) else None}


def _refused(request: web.Request, template: str, refused: Refused, **context: Any) -> web.Response:
    """The form again, with what is wrong beside its field."""
    error = translate(visitor(request).locale, refused.text, refused.params)
    response = render(request, template, status=refused.status, error=error, **context)
    if "retry_after_s" in refused.params:
        response.headers["Retry-After"] = str(refused.params["retry_after_s"])
    return response


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())


ROUTES: tuple[Route, ...] = (
    Route("GET", "/sign-in", sign_in, Standing.STRANGER),
    Route("POST", "/sign-in", send_code, Standing.STRANGER),
    Route("GET", "/sign-in/code", code, Standing.STRANGER),
    Route("POST", "/sign-in/code", try_code, Standing.STRANGER),
    Route("POST", "/sign-out", sign_out, Standing.STRANGER),
)
