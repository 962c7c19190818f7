"""Sockets on which a page is told something and says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from deploy.club.web.beside import beside

# A page says nothing; a browser's extension that does is not worth memory.
MESSAGE_BYTES_MAX: Final = 512
PING_S: Final = 20.0

SOCKETS: web.AppKey[set[web.WebSocketResponse]] = web.AppKey("sockets", set)


def new_socket() -> web.WebSocketResponse:
    """To be prepared by its owner, and then told by `tell`."""
    return web.WebSocketResponse(heartbeat=PING_S, max_msg_size=MESSAGE_BYTES_MAX, compress=False)


async def tell(
    request: web.Request, socket: web.WebSocketResponse, telling: Coroutine[Any, Any, None]
) -> None:
    """Let `telling` write to a prepared socket until either side closes it."""
    open_sockets = request.app[SOCKETS]
    open_sockets.add(socket)
    try:
        async with beside(telling):
            # A page has nothing to say: whatever comes ends the socket.
            message = await socket.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                reason = b"nothing is heard here"
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=reason)
    finally:
        open_sockets.discard(socket)


async def close_all(app: web.Application) -> None:
    """The club stops: pages come back to the next one by themselves."""
    closing = [socket.close(code=WSCloseCode.GOING_AWAY) for socket in app[SOCKETS]]
    await asyncio.gather(*closing)
