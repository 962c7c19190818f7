"""What stands before every handler: who it is, whether they may, and how a refusal is told."""

from __future__ import annotations

import structlog
from aiohttp import hdrs, web

from deploy.club.door import onward
from deploy.club.refusal import N_, Refused
from deploy.club.web.forms import posted
from deploy.club.web.parts import CLUB
from deploy.club.web.rendering import render, see_other, translate
from deploy.club.web.routes import Handler, Route, Standing
from deploy.club.web.visitor import (
    Visitor,
    client_address,
    is_own_form,
    recognise,
    visitor,
)

log = structlog.get_logger()

ROUTES: web.AppKey[dict[web.AbstractRoute, Route]] = web.AppKey("routes", dict)
SCHEMES = ("http", "https")
SAFE_METHODS = frozenset({"GET", "HEAD"})
# How soon a page tries again when something is away.
RETRY_AFTER_S = 5

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; media-src 'self' blob: mediastream:; manifest-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
HSTS = "max-age=31536000"


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every response, however it came about."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if request.path != "/":
        # Profiles and invitations are for those who got the link, not for search engines.
        response.headers.setdefault("X-Robots-Tag", "noindex, nofollow")
    if request.app[CLUB].settings.base_url.startswith("https:"):
        response.headers.setdefault("Strict-Transport-Security", HSTS)


@web.middleware
async def tell_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refusals, addresses that are none, and bugs: as a page in the visitor's language, or as
    JSON where a script asked.
    """
    try:
        return await handler(request)
    except Refused as refused:
        return _refusal(request, refused)
    except web.HTTPException as http:
        if http.status < 400:
            raise
        return _refusal(request, _of_http(http))
    except Exception as error:
        if isinstance(error, ConnectionResetError) and request.transport is None:
            # The browser went away while its body was on the way: there is nobody to tell.
            return web.Response(status=400)
        log.exception("request.failed", method=request.method, path=request.path)
        return _refusal(request, Refused("internal", 500, N_("Something went wrong on our side.")))


@web.middleware
async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Recognise the visitor; refuse too little standing, forged forms, and bodies too large."""
    if request.path.startswith("/static/"):
        return await handler(request)
    who = await recognise(request, is_page=not is_json(request))
    route = request.app[ROUTES].get(request.match_info.route)
    if route is None:
        return await handler(request)
    if "\0" in request.path:
        # No address of ours, and PostgreSQL does not even look for it.
        raise web.HTTPNotFound
    if who.standing < route.needs:
        return _turn_away(request, who, route)
    if _is_socket(request):
        _check_origin(request)
    if request.method not in SAFE_METHODS:
        _check_pace(request, who)
        _check_size(request, route)
        await _check_form(request)
    return await handler(request)


def is_json(request: web.Request) -> bool:
    """Whether the request is a script's."""
    route = request.app[ROUTES].get(request.match_info.route)
    return route is not None and route.is_json


def _turn_away(request: web.Request, who: Visitor, route: Route) -> web.StreamResponse:
    if route.is_json:
        if who.standing is Standing.STRANGER:
            raise Refused("signed_out", 401, N_("Sign in first."))
        raise Refused("forbidden", 403, N_("That is not for you to do."))
    if who.standing is Standing.STRANGER:
        response = see_other(request, "/sign-in" if who.session is None else "/welcome")
        onward.remember(request, response)
        return response
    if who.standing is Standing.WAITING:
        return see_other(request, "/waiting")
    raise Refused("forbidden", 403, N_("That is for the hosts of the club."))


def _is_socket(request: web.Request) -> bool:
    return request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


def _check_origin(request: web.Request) -> None:
    """Browsers let any site open a WebSocket to any other, with its cookies. A page without TLS is
    none of a site's that has it: anybody on the way may have made it up.
    """
    base_url = request.app[CLUB].settings.base_url
    schemes = ("https",) if base_url.startswith("https:") else SCHEMES
    own = {base_url, *(f"{scheme}://{request.host}" for scheme in schemes)}
    if request.headers.get(hdrs.ORIGIN, "") not in own:
        raise Refused("foreign", 403, N_("That came from another site."))


def _check_pace(request: web.Request, who: Visitor) -> None:
    """Whatever changes something is counted, beside what its own handler counts."""
    parts = request.app[CLUB]
    key = who.member.id if who.member is not None else client_address(request)
    parts.limits.take("change", key, parts.clock())


def _check_size(request: web.Request, route: Route) -> None:
    """Refuse a body beyond the route's limit before it is read, and one that would become longer
    while it is: browsers pack none.
    """
    if hdrs.CONTENT_ENCODING in request.headers:
        raise Refused("packed", 415, N_("The request is not understood."))
    if request.content_length is None and request.can_read_body:
        raise Refused("length_required", 411, N_("The request does not say how long it is."))
    if (request.content_length or 0) > route.body_bytes_max:
        raise Refused("too_large", 413, N_("That is too large."))


async def _check_form(request: web.Request) -> None:
    given = request.headers.get("X-CSRF", "")
    if not given and request.content_type in (
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ):
        field = (await posted(request)).get("csrf", "")
        given = field if isinstance(field, str) else ""
    if not is_own_form(request, given):
        raise Refused("stale_form", 403, N_("This page was open for too long. Load it again."))


def _refusal(request: web.Request, refused: Refused) -> web.Response:
    text = translate(visitor(request).locale, refused.text, refused.params)
    response: web.Response
    if is_json(request):
        response = web.json_response(
            {"error": {"code": refused.code, "message": text}}, status=refused.status
        )
        response.headers["Cache-Control"] = "no-store"
    else:
        response = render(
            request, "web/refused.html", status=refused.status, text=text, code=refused.code
        )
    wait_s = refused.params.get("retry_after_s", RETRY_AFTER_S if refused.status == 503 else None)
    if wait_s is not None:
        response.headers["Retry-After"] = str(wait_s)
    return response


def _of_http(http: web.HTTPException) -> Refused:
    if http.status == 404:
        return Refused("not_found", 404, N_("There is nothing at this address."))
    if http.status == 405:
        return Refused("not_allowed", 405, N_("That cannot be done with this address."))
    if http.status == 413:
        return Refused("too_large", 413, N_("That is too large."))
    return Refused("bad_request", http.status, N_("The request is not understood."))
