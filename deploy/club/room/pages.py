"""The live room's page, its JSON requests, its socket, and the log for its hosts.

GET  /rooms/{id}              the room when it is live, else the hall's page about it
GET  /rooms/{id}/log          who spoke how long, for its hosts
POST /rooms/{id}/join         {offer} -> {answer, id}
POST /rooms/{id}/restart-ice  {offer} -> {answer}
POST /rooms/{id}/act          {action, target?} -> {}
POST /rooms/{id}/leave        -> {}
GET  /rooms/{id}/socket       WebSocket
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from deploy.club.hall.access import may_enter, may_see
from deploy.club.hall.friends import friends
from deploy.club.hall.pages import details
from deploy.club.refusal import N_, Refused
from deploy.club.room import seats, sockets, talk_log
from deploy.club.store import Member, Talk
from deploy.club.web.forms import read_json
from deploy.club.web.parts import CLUB, Parts
from deploy.club.web.rendering import render
from deploy.club.web.routes import Route
from deploy.club.web.visitor import visitor

# As the daemon takes it; an offer with three audio m-lines is under 10 KiB.
OFFER_CHARS_MAX = 40_960


class OfferBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a page sends to join, or to come over another network."""

    offer: Annotated[str, Meta(min_length=1, max_length=OFFER_CHARS_MAX)]


class LeaveBody(msgspec.Struct, forbid_unknown_fields=True):
    """A goodbye, of that time in the room that a join began."""

    generation: Annotated[int, Meta(ge=0)] | None = None


class ActBody(msgspec.Struct, forbid_unknown_fields=True):
    """A click on a button."""

    action: Annotated[str, Meta(max_length=32)]
    target: Annotated[str, Meta(min_length=1, max_length=128)] | None = None


async def show(request: web.Request) -> web.StreamResponse:
    """GET /rooms/{id}: the live room, for who may come in."""
    parts, me = request.app[CLUB], visitor(request).me
    room_id = request.match_info["id"]
    if not await _is_open_to(parts, room_id, me):
        return await details(request, room_id)
    async with parts.store.begin() as tx:
        room = await seats.room_of(tx, room_id)
        askable = await friends(tx, me)
    return render(request, "room/room.html", room=room, friends=askable)


async def show_log(request: web.Request) -> web.StreamResponse:
    """GET /rooms/{id}/log: who spoke how long. For its hosts, and those of the club."""
    parts, me = request.app[CLUB], visitor(request).me
    room_id = request.match_info["id"]
    await parts.live.keeping.write_talk()
    async with parts.store.begin() as tx:
        room = await seats.room_of(tx, room_id)
        if not me.is_host and await seats.seat_of(tx, room_id, me.id) != "host":
            await may_see(tx, room, me)
            raise Refused("not_host", 403, N_("Only the hosts of the room may do that."))
        rows = await talk_log.log_of(tx, room_id)
    return render(request, "room/log.html", room=room, rows=[_row(*row) for row in rows])


async def join(request: web.Request) -> web.StreamResponse:
    """POST /rooms/{id}/join: an offer for an answer."""
    parts, me = _taking(request, "join")
    body = await read_json(request, OfferBody)
    joined = await parts.live.join(request.match_info["id"], me, body.offer)
    return _json({"answer": joined.answer, "id": me.id, "generation": joined.generation})


async def restart_ice(request: web.Request) -> web.StreamResponse:
    """POST /rooms/{id}/restart-ice: the same session over another network."""
    parts, me = _taking(request, "join")
    body = await read_json(request, OfferBody)
    return _json({"answer": await parts.live.restart_ice(request.match_info["id"], me, body.offer)})


async def act(request: web.Request) -> web.StreamResponse:
    """POST /rooms/{id}/act: one of authority.Action."""
    parts, me = _taking(request, "act")
    body = await read_json(request, ActBody)
    if body.action == "ping":
        parts.limits.take("ping", me.id, parts.clock())
    await parts.live.act(request.match_info["id"], me, body.action, body.target)
    return _json({})


async def leave(request: web.Request) -> web.StreamResponse:
    """POST /rooms/{id}/leave: also sent when the tab closes."""
    parts, me = _taking(request, "join")
    body = await read_json(request, LeaveBody)
    await parts.live.leave(request.match_info["id"], me, body.generation)
    return _json({})


async def socket(request: web.Request) -> web.StreamResponse:
    """GET /rooms/{id}/socket: what a page is told, until either side closes."""
    _taking(request, "socket")
    return await sockets.serve(request, request.match_info["id"])


async def _is_open_to(parts: Parts, room_id: str, me: Member) -> bool:
    """Whether the member finds the live room here; whoever may not come in finds what the hall
    says of it.
    """
    async with parts.store.begin() as tx:
        room = await seats.room_of(tx, room_id)
        if room.state != "live":
            return False
        inside = await seats.is_inside(tx, room_id, me.id)
        try:
            await may_enter(tx, room, me, parts.clock(), is_inside=inside)
        except Refused:
            return False
    return True


def _taking(request: web.Request, kind: str) -> tuple[Parts, Member]:
    """The club and who asks, once they have been counted."""
    parts, me = request.app[CLUB], visitor(request).me
    parts.limits.take(kind, me.id, parts.clock())
    return parts, me


def _json(body: dict[str, object]) -> web.Response:
    return web.json_response(body, headers={"Cache-Control": "no-store"})


def _row(talk: Talk, member: Member) -> dict[str, object]:
    minutes, seconds = divmod(talk.spoken_ms // 1000, 60)
    return {"member": member, "talk": talk, "spoken": f"{minutes}:{seconds:02}"}


ROUTES: tuple[Route, ...] = (
    Route("GET", "/rooms/{id}", show),
    Route("GET", "/rooms/{id}/log", show_log),
    Route("POST", "/rooms/{id}/join", join, is_json=True),
    Route("POST", "/rooms/{id}/restart-ice", restart_ice, is_json=True),
    Route("POST", "/rooms/{id}/act", act, is_json=True),
    Route("POST", "/rooms/{id}/leave", leave, is_json=True),
    Route("GET", "/rooms/{id}/socket", socket, is_json=True),
)
