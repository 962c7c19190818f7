"""The socket of a live room's page: statements to the page, nothing from it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from deploy.club.refusal import N_, Refused
from deploy.club.room.desk import Page
from deploy.club.web.locales import translations
from deploy.club.web.parts import CLUB
from deploy.club.web.visitor import visitor

log = structlog.get_logger("club")

# A page says nothing; a browser's extension that does is not worth memory.
MESSAGE_BYTES_MAX: Final = 512
PING_S: Final = 20.0
# Statements of one page are gathered for so long; an eye sees no difference.
PAUSE_S: Final = 0.05

SOCKETS: web.AppKey[set[web.WebSocketResponse]] = web.AppKey("sockets", set)


async def serve(request: web.Request, room_id: str) -> web.StreamResponse:
    """Tell one page the news of a room until either side closes."""
    live, who = request.app[CLUB].live, visitor(request)
    translate = translations(who.locale).gettext
    socket = web.WebSocketResponse(heartbeat=PING_S, max_msg_size=MESSAGE_BYTES_MAX, compress=False)
    if not socket.can_prepare(request).ok:
        # A link from elsewhere, which no origin was asked of, would take the open page's place.
        raise Refused("no_socket", 400, N_("The request is not understood."))
    assert who.session is not None, "a member has one"
    page = await live.attach(room_id, who.me, translate, who.session.id)
    open_sockets = request.app[SOCKETS]
    try:
        await socket.prepare(request)
        open_sockets.add(socket)
        await _converse(socket, page)
    finally:
        open_sockets.discard(socket)
        live.detach(page)
    return socket


async def close_all(app: web.Application) -> None:
    """The club stops: pages come back to the next one by themselves."""
    sockets: set[web.WebSocketResponse] = app[SOCKETS]
    closing = [socket.close(code=WSCloseCode.GOING_AWAY) for socket in sockets]
    await asyncio.gather(*closing)


async def _converse(socket: web.WebSocketResponse, page: Page) -> None:
    writer = asyncio.create_task(_write(socket, page))
    try:
        # A page has nothing to say: whatever comes ends the socket.
        message = await socket.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"nothing is heard here")
    finally:
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer


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
