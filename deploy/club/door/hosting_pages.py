"""The door as the hosts of the club see it: who waits, and whose numbers get in."""

from __future__ import annotations

from aiohttp import web

from deploy.club.door import numbers, waiting
from deploy.club.refusal import N_, Refused
from deploy.club.settings import Door
from deploy.club.store import Member
from deploy.club.web import CLUB, Route, Standing, form, render, see_other, visitor
from deploy.club.web.rendering import translate


async def door(request: web.Request) -> web.StreamResponse:
    """GET /door: the waiting list."""
    return await _door(request)


async def admit(request: web.Request) -> web.StreamResponse:
    """POST /door/admit: the next one, one of the list, or who signed up with a number."""
    fields = await form(request)
    try:
        member = await _admit(request, fields)
    except Refused as refused:
        return await _door(request, refused, fields.get("phone", ""))
    return see_other(request, "/door", N_("%(name)s is in."), name=member.name)


async def listed(request: web.Request) -> web.StreamResponse:
    """GET /door/numbers: how many are on the list, and forms to change it."""
    return await _numbers(request)


async def add_numbers(request: web.Request) -> web.StreamResponse:
    """POST /door/numbers: one number in each line of `phone`."""
    parts, me = request.app[CLUB], visitor(request).me
    text = (await form(request)).get("phone", "")
    try:
        async with parts.store.begin() as tx:
            added = await numbers.add(tx, parts.settings, me, text, parts.clock())
    except Refused as refused:
        return await _numbers(request, adding=refused, text=text)
    return see_other(
        request,
        "/door/numbers",
        N_("Added: %(added)d. Let in from the waiting list: %(admitted)d."),
        **added._asdict(),
    )


async def remove_number(request: web.Request) -> web.StreamResponse:
    """POST /door/numbers/remove: the number in `phone`."""
    parts, me = request.app[CLUB], visitor(request).me
    phone = (await form(request)).get("phone", "")
    try:
        async with parts.store.begin() as tx:
            was_listed = await numbers.remove(tx, parts.settings, me, phone, parts.clock())
    except Refused as refused:
        return await _numbers(request, removing=refused, phone=phone)
    said = N_("The number is off the list.") if was_listed else N_("It was not on the list.")
    return see_other(request, "/door/numbers", said)


async def _admit(request: web.Request, fields: dict[str, str]) -> Member:
    parts, me = request.app[CLUB], visitor(request).me
    now = parts.clock()
    async with parts.store.begin() as tx:
        if fields.get("member"):
            return await waiting.admit(tx, parts.settings, me, fields["member"], now)
        if fields.get("next"):
            return await waiting.admit_next(tx, parts.settings, me, now)
        return await waiting.admit_number(tx, parts.settings, me, fields.get("phone", ""), now)


async def _door(
    request: web.Request, refused: Refused | None = None, phone: str = ""
) -> web.Response:
    async with request.app[CLUB].store.begin() as tx:
        people = await waiting.waiting(tx)
        count = await waiting.count(tx)
    return render(
        request,
        "door/door.html",
        status=_status(refused),
        people=people,
        count=count,
        phone=phone,
        error=_text(request, refused),
    )


async def _numbers(
    request: web.Request,
    *,
    adding: Refused | None = None,
    removing: Refused | None = None,
    text: str = "",
    phone: str = "",
) -> web.Response:
    parts = request.app[CLUB]
    async with parts.store.begin() as tx:
        count = await numbers.count(tx)
    return render(
        request,
        "door/numbers.html",
        status=_status(adding or removing),
        count=count,
        is_open=Door.CLOSED in parts.settings.doors,
        text=text,
        phone=phone,
        adding_error=_text(request, adding),
        removing_error=_text(request, removing),
    )


def _status(refused: Refused | None) -> int:
    return 200 if refused is None else refused.status


def _text(request: web.Request, refused: Refused | None) -> str:
    if refused is None:
        return ""
    return translate(visitor(request).locale, refused.text, refused.params)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/door", door, Standing.HOST),
    Route("POST", "/door/admit", admit, Standing.HOST),
    Route("GET", "/door/numbers", listed, Standing.HOST),
    Route("POST", "/door/numbers", add_numbers, Standing.HOST),
    Route("POST", "/door/numbers/remove", remove_number, Standing.HOST),
)
