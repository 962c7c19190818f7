"""The pages of the hall and of rooms that are not live."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.hall import attending, icalendar, listing, opening
from deploy.club.hall.access import facts_of, may_see, no_such_room
from deploy.club.hall.friends import friends
from deploy.club.hall.plans import (
    ABOUT_CHARS_MAX,
    ROOM_INTERESTS_MAX,
    SCHEDULE_AHEAD_MAX,
    TOPIC_CHARS_MAX,
    Plan,
    read_plan,
)
from deploy.club.hall.reminders import REMIND_BEFORE
from deploy.club.refusal import N_, Refused
from deploy.club.store import Member, Room
from deploy.club.tokens import new_token
from deploy.club.web import CLUB, Parts, Route, form, form_list, render, see_other, visitor
from deploy.club.web.rendering import translate

# Of the next rooms, on the page of the live ones.
NEXT_SHOWN = 3
GUESTS_SHOWN = 30
CHOICES = ("interests", "hosts", "invited")
EMPTY_FORM: dict[str, str] = {"topic": "", "about": "", "visibility": "open", "when": ""}


async def show_hall(request: web.Request) -> web.Response:
    """GET /hall: what is live, in this member's order, and what comes next."""
    parts, me = request.app[CLUB], visitor(request).me
    now = parts.clock()
    async with parts.store.begin() as tx:
        live = await listing.hall(tx, me, lambda room_id: _crowd(parts, room_id), now)
        coming = (await listing.upcoming(tx, me, now))[:NEXT_SHOWN]
    return render(
        request, "hall/hall.html", live=live, coming=coming, visibilities=listing.VISIBILITIES
    )


async def show_upcoming(request: web.Request) -> web.Response:
    """GET /upcoming: what is planned, the next room first."""
    parts, me = request.app[CLUB], visitor(request).me
    async with parts.store.begin() as tx:
        cards = await listing.upcoming(tx, me, parts.clock())
    return render(
        request, "hall/upcoming.html", cards_shown=cards, visibilities=listing.VISIBILITIES
    )


async def show_new(request: web.Request) -> web.Response:
    """GET /rooms/new: the form."""
    return await _new_form(request, EMPTY_FORM, {})


async def make_room(request: web.Request) -> web.Response:
    """POST /rooms/new: a room, now or later. What was wrong is told above the form."""
    parts, who = request.app[CLUB], visitor(request)
    now = parts.clock()
    fields = await form(request)
    chosen = {name: await form_list(request, name) for name in CHOICES}
    try:
        parts.limits.take("room.new", who.me.id, now)
        plan = read_plan(fields, chosen, who.locale, now)
        async with parts.store.begin() as tx:
            room = await _make(tx, who.me, plan, now)
    except Refused as refused:
        return await _new_form(request, EMPTY_FORM | fields, chosen, refused)
    flash = N_("Your room is planned.") if plan.scheduled_at is not None else None
    return see_other(request, f"/rooms/{room.id}", flash)


async def come(request: web.Request) -> web.Response:
    """POST /rooms/{id}/will-come"""
    parts, me = _taking(request, "attend")
    async with parts.store.begin() as tx:
        room = await _room(tx, request)
        await attending.will_come(tx, room, me, parts.clock())
    return see_other(request, f"/rooms/{room.id}", N_("You will be reminded before it begins."))


async def stay_away(request: web.Request) -> web.Response:
    """POST /rooms/{id}/wont-come"""
    parts, me = _taking(request, "attend")
    async with parts.store.begin() as tx:
        room = await _room(tx, request)
        await attending.wont_come(tx, room, me)
    return see_other(request, f"/rooms/{room.id}")


async def open_now(request: web.Request) -> web.Response:
    """POST /rooms/{id}/open: its host opens a planned room."""
    parts, me = _taking(request, "room.change")
    async with parts.store.begin() as tx:
        room = await _room(tx, request)
        await may_see(tx, room, me)
        await opening.open_scheduled(tx, room, me, parts.clock())
    return see_other(request, f"/rooms/{room.id}")


async def cancel(request: web.Request) -> web.Response:
    """POST /rooms/{id}/cancel: its host calls a planned room off."""
    parts, me = _taking(request, "room.change")
    async with parts.store.begin() as tx:
        room = await _room(tx, request)
        await may_see(tx, room, me)
        await opening.cancel_room(tx, room, me, parts.clock())
    return see_other(request, "/upcoming", N_("The room is cancelled."))


async def invite(request: web.Request) -> web.Response:
    """POST /rooms/{id}/invite {member}: its host lets somebody in."""
    parts, me = _taking(request, "room.change")
    member_id = (await form(request)).get("member", "")
    async with parts.store.begin() as tx:
        room = await _room(tx, request)
        await may_see(tx, room, me)
        await attending.invite(tx, room, me, member_id, parts.clock())
    return see_other(request, f"/rooms/{room.id}", N_("Your invitation is sent."))


async def calendar_file(request: web.Request) -> web.Response:
    """GET /rooms/{id}/calendar.ics"""
    parts, me = request.app[CLUB], visitor(request).me
    async with parts.store.begin() as tx:
        room = await _room(tx, request)
        await may_see(tx, room, me)
    if room.scheduled_at is None:
        raise no_such_room()
    base_url = parts.settings.base_url
    appointment = icalendar.Appointment(
        uid=f"{room.id}@{urlsplit(base_url).hostname}",
        start=room.scheduled_at,
        summary=room.topic,
        description=room.about,
        url=f"{base_url}/rooms/{room.id}",
        alarm_before=REMIND_BEFORE,
        is_cancelled=room.state == "cancelled",
    )
    return web.Response(
        body=icalendar.calendar(appointment, parts.clock()),
        content_type=icalendar.MEDIA_TYPE,
        charset="utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{room.id}.ics"',
            "Cache-Control": "no-store",
        },
    )


async def details(request: web.Request, room_id: str) -> web.Response:
    """The page of a room that is planned, over, cancelled, or live and locked; for who may know of
    it. Raises Refused as `access.may_see`.
    """
    parts, me = request.app[CLUB], visitor(request).me
    now = parts.clock()
    async with parts.store.begin() as tx:
        room = await _find(tx, room_id)
        await may_see(tx, room, me)
        card = await listing.card_of(tx, room, me, await facts_of(tx, room, me))
        guests = await listing.guests(tx, room, me, GUESTS_SHOWN)
        invited = await listing.invited(tx, room) if card.is_host else []
        seated = {each.id for each in (*invited, *card.hosts)}
        askable = [f for f in await friends(tx, me) if f.id not in seated] if card.is_host else []
    return render(
        request,
        "hall/details.html",
        card=card,
        room=room,
        guests=guests,
        invited=invited,
        askable=askable,
        visibilities=listing.VISIBILITIES,
        opens_from=room.scheduled_at and room.scheduled_at - opening.OPEN_EARLY,
        now=now,
    )


async def _new_form(
    request: web.Request,
    fields: Mapping[str, str],
    chosen: Mapping[str, list[str]],
    refused: Refused | None = None,
) -> web.Response:
    parts, who = request.app[CLUB], visitor(request)
    now = parts.clock()
    async with parts.store.begin() as tx:
        askable = await friends(tx, who.me)
    response = render(
        request,
        "hall/new.html",
        status=200 if refused is None else refused.status,
        fields=fields,
        form_secret=fields.get("form") or new_token(),
        chosen={name: frozenset(chosen.get(name, ())) for name in CHOICES},
        friends=askable,
        visibilities=listing.VISIBILITIES,
        error=refused and translate(who.locale, refused.text, refused.params),
        **_bounds(now),
    )
    if refused is not None and "retry_after_s" in refused.params:
        response.headers["Retry-After"] = str(refused.params["retry_after_s"])
    return response


def _bounds(now: datetime) -> dict[str, Any]:
    """What the form says of its limits. A browser's clock may be a day from ours in its zone."""
    return {
        "topic_max": TOPIC_CHARS_MAX,
        "about_max": ABOUT_CHARS_MAX,
        "interests_max": ROOM_INTERESTS_MAX,
        "when_min": (now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M"),
        "when_max": (now + SCHEDULE_AHEAD_MAX).strftime("%Y-%m-%dT%H:%M"),
    }


async def _make(tx: AsyncSession, creator: Member, plan: Plan, now: datetime) -> Room:
    make = opening.open_room if plan.scheduled_at is None else opening.schedule_room
    return await make(tx, creator, plan, now)


def _crowd(parts: Parts, room_id: str) -> listing.Crowd:
    counts = parts.live.counts(room_id)
    if counts is None:
        return listing.Crowd()
    return listing.Crowd(counts.speakers, counts.listeners, tuple(counts.names))


def _taking(request: web.Request, kind: str) -> tuple[Parts, Member]:
    """The club and who asks, once they have been counted."""
    parts, me = request.app[CLUB], visitor(request).me
    parts.limits.take(kind, me.id, parts.clock())
    return parts, me


async def _room(tx: AsyncSession, request: web.Request) -> Room:
    return await _find(tx, request.match_info["id"])


async def _find(tx: AsyncSession, room_id: str) -> Room:
    room = await tx.get(Room, room_id)
    if room is None:
        raise no_such_room()
    return room


ROUTES: tuple[Route, ...] = (
    Route("GET", "/hall", show_hall),
    Route("GET", "/upcoming", show_upcoming),
    Route("GET", "/rooms/new", show_new),
    Route("POST", "/rooms/new", make_room),
    Route("POST", "/rooms/{id}/will-come", come),
    Route("POST", "/rooms/{id}/wont-come", stay_away),
    Route("POST", "/rooms/{id}/open", open_now),
    Route("POST", "/rooms/{id}/cancel", cancel),
    Route("POST", "/rooms/{id}/invite", invite),
    Route("GET", "/rooms/{id}/calendar.ics", calendar_file),
)
