"""The socket of a live room's page: statements to the page, nothing from it."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from aiohttp import WSCloseCode, web

from deploy.club.refusal import N_, Refused
from deploy.club.room.desk import Page
from deploy.club.web.locales import translations
from deploy.club.web.one_way import new_socket, tell
from deploy.club.web.parts import CLUB
from deploy.club.web.visitor import visitor

log = structlog.get_logger("club")

# Statements of one page are gathered for so long; an eye sees no difference.
PAUSE_S: Final = 0.05


async def serve(request: web.Request, room_id: str) -> web.StreamResponse:
    """Tell one page the news of a room until either side closes."""
    live, who = request.app[CLUB].live, visitor(request)
    translate = translations(who.locale).gettext
    socket = new_socket()
    if not socket.can_prepare(request).ok:
        # A link from elsewhere, which no origin was asked of, would take the open page's place.
        raise Refused("no_socket", 400, N_("The request is not understood."))
    assert who.session is not None, "a member has one"
    page = await live.attach(room_id, who.me, translate, who.session.id)
    try:
        await socket.prepare(request)
        await tell(request, socket, _write(socket, page))
    finally:
        live.detach(page)
    return socket


async def _write(socket: web.WebSocketResponse, page: Page) -> None:
    try:
        while not socket.closed:
            for statement in await page.feed.take():
                await socket.send_str(statement)
            if page.feed.is_over:
                await socket.close(code=WSCloseCode.OK, message=b"over")
                return
            await asyncio.sleep(PAUSE_S)
    except ConnectionError:
        pass
    except Exception:
        # It comes back by itself and is told everything, instead of showing what was.
        log.exception("socket.failed", room=page.room_id)
        await socket.close(code=WSCloseCode.INTERNAL_ERROR)
