"""The club's web server: the pages, four small endpoints, and the socket that tells pages the news.

    POST /api/join   {room, name, offer, token?, moderator_key?} -> {token, id, room, moderator,
    answer} POST /api/act    {token, action, target?}                    -> {} POST /api/leave
    {token}                                     -> {} GET  /api/feed   WebSocket: {token} first,
    then one JSON statement after another to the page

Errors are {error: {code, message}}; the message is for people. Everything a page sends is checked
for type and size, and a browser's request must come from the club's own origin. Tokens travel in
bodies, never in addresses, so that no log or referrer holds them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web
from msgspec import Meta

from control.errors import ConnectionLost, ControlError, ErrorCode
from deploy.club.club import Club
from deploy.club.visitors import ClubError, Visitor

STATIC = Path(__file__).parent / "static"

# An offer with three audio m-lines is under 10 KiB; the daemon takes 40.
BODY_BYTES_MAX = 48 * 1024
# A page says its token and nothing else.
FEED_MESSAGE_BYTES_MAX = 512
FEED_HELLO_S = 5.0
FEED_PING_S = 20.0
# Statements of one page are gathered for so long; an eye sees no difference.
FEED_PAUSE_S = 0.05
# Two for each visitor that Visitors admits: pages that reconnect, and strangers saying hello.
SOCKETS_MAX = 1_000

RoomName = Annotated[str, Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$")]
VisitorName = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f\x7f]+$")]
Token = Annotated[str, Meta(min_length=1, max_length=64)]

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; media-src 'self' blob: mediastream:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}

STATUS_OF_CODE = {
    "bad_request": 400,
    "forbidden": 403,
    "unknown_visitor": 410,
    "not_found": 404,
    "full": 503,
    "unavailable": 503,
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Body = TypeVar("Body", bound="RequestBody")


class RequestBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a page may send; anything else is refused with the path of the fault."""


class JoinBody(RequestBody):
    room: RoomName
    name: VisitorName
    offer: Annotated[str, Meta(min_length=1, max_length=40_960)]
    token: Token | None = None
    moderator_key: Token | None = None


class ActBody(RequestBody):
    token: Token
    action: Annotated[str, Meta(max_length=32)]
    target: Annotated[str, Meta(max_length=128)] | None = None


class TokenBody(RequestBody):
    token: Token


def create_app(club: Club) -> web.Application:
    """The whole web application; it runs `club` while it is up."""
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[_guard])
    pages = ClubPages(club)
    app.router.add_get("/", pages.index)
    app.router.add_post("/api/join", pages.join)
    app.router.add_post("/api/act", pages.act)
    app.router.add_post("/api/leave", pages.leave)
    app.router.add_get("/api/feed", pages.feed)
    app.router.add_static("/static/", STATIC)
    app.cleanup_ctx.append(pages.run_club)
    app.on_shutdown.append(pages.close_sockets)
    return app


class ClubPages:
    """Request handlers over one club."""

    def __init__(self, club: Club) -> None:
        self._club = club
        self._sockets: set[web.WebSocketResponse] = set()
        self._socket_of: dict[str, web.WebSocketResponse] = {}  # by visitor id

    async def run_club(self, app: web.Application) -> AsyncIterator[None]:
        """Follow the daemon while the web server is up."""
        task = asyncio.create_task(self._club.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def close_sockets(self, app: web.Application) -> None:
        """Tell every page that the club is closing."""
        sockets = list(self._sockets)
        await asyncio.gather(*(socket.close(code=WSCloseCode.GOING_AWAY) for socket in sockets))

    async def index(self, request: web.Request) -> web.StreamResponse:
        """The page."""
        return web.FileResponse(STATIC / "index.html")

    async def join(self, request: web.Request) -> web.StreamResponse:
        """An offer for an answer."""
        body = await _read(request, JoinBody)
        joined = await self._club.join(
            room=body.room,
            name=body.name.strip() or "Somebody",
            offer=body.offer,
            token=body.token,
            moderator_key=body.moderator_key,
        )
        visitor = joined.visitor
        return web.json_response(
            {
                "token": visitor.token,
                "id": visitor.id,
                "room": visitor.room,
                "moderator": visitor.moderator,
                "answer": joined.answer,
            }
        )

    async def act(self, request: web.Request) -> web.StreamResponse:
        """A click on a button."""
        body = await _read(request, ActBody)
        await self._club.act(body.token, body.action, body.target)
        return web.json_response({})

    async def leave(self, request: web.Request) -> web.StreamResponse:
        """The visitor goes; also sent as a beacon when the tab closes."""
        body = await _read(request, TokenBody)
        await self._club.leave(body.token)
        return web.json_response({})

    async def feed(self, request: web.Request) -> web.StreamResponse:
        """The news for one page, until either side closes."""
        if len(self._sockets) >= SOCKETS_MAX:
            raise ClubError("full", "The club is full. Try again in a while.")
        socket = web.WebSocketResponse(
            heartbeat=FEED_PING_S, max_msg_size=FEED_MESSAGE_BYTES_MAX, compress=False
        )
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            visitor = await self._greet(socket)
            if visitor is not None:
                await self._serve_feed(socket, visitor)
        finally:
            self._sockets.discard(socket)
        return socket

    async def _greet(self, socket: web.WebSocketResponse) -> Visitor | None:
        """Whose page this is; closes the socket and returns None when it does not say so
        properly.
        """
        try:
            message = await socket.receive(timeout=FEED_HELLO_S)
            if message.type is not WSMsgType.TEXT:
                raise ClubError("bad_request", "expected a token")
            body = msgspec.json.decode(message.data, type=TokenBody)
            visitor = self._club.visitors.by_token(body.token)
        except (TimeoutError, msgspec.DecodeError):
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"bad_request")
        except ClubError as error:
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=error.code.encode())
        else:
            return visitor
        return None

    async def _serve_feed(self, socket: web.WebSocketResponse, visitor: Visitor) -> None:
        await self._replace_socket(socket, visitor)
        self._club.attach(visitor)
        writer = asyncio.create_task(_write_feed(socket, visitor))
        try:
            # A page has nothing more to say: whatever comes ends the socket.
            await socket.receive()
        finally:
            writer.cancel()
            self._club.detach(visitor)
            if self._socket_of.get(visitor.id) is socket:
                del self._socket_of[visitor.id]
            await socket.close()

    async def _replace_socket(self, socket: web.WebSocketResponse, visitor: Visitor) -> None:
        """A visitor has one page: a newer socket ends the older, which may long be dead."""
        older = self._socket_of.get(visitor.id)
        self._socket_of[visitor.id] = socket
        if older is not None:
            await older.close(code=WSCloseCode.OK, message=b"replaced")


async def _write_feed(socket: web.WebSocketResponse, visitor: Visitor) -> None:
    with contextlib.suppress(ConnectionError):
        while not socket.closed:
            for statement in await visitor.feed.take():
                await socket.send_str(statement)
            await asyncio.sleep(FEED_PAUSE_S)


async def _read(request: web.Request, body: type[Body]) -> Body:
    if request.content_type != "application/json":
        raise ClubError("bad_request", "The request must be JSON.")
    try:
        return msgspec.json.decode(await request.read(), type=body)
    except msgspec.DecodeError as error:
        raise ClubError("bad_request", str(error)) from None


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Own origin only; errors as JSON; security headers on everything."""
    try:
        _check_origin(request)
        response = await handler(request)
    except ClubError as error:
        response = _error(error.code, error.message)
    except ControlError as error:
        response = _control_error(error)
    except ConnectionLost:
        response = _error("unavailable", "The audio server is away. Try again in a moment.")
    except web.HTTPException as error:
        error.headers.update(SECURITY_HEADERS)
        raise
    if not response.prepared:
        response.headers.update(SECURITY_HEADERS)
    return response


def _check_origin(request: web.Request) -> None:
    """A browser says where a request comes from; another site's page gets nothing (RFC 6454 7)."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise ClubError("forbidden", "Requests from other sites are refused.")


def _control_error(error: ControlError) -> web.Response:
    limit = error.detail.get("limit")
    if error.code is ErrorCode.INVALID_ARGUMENT:
        return _error("bad_request", error.message)
    if limit == "max_speakers":
        return _error("full", "The stage is full.")
    if error.code is ErrorCode.RESOURCE_EXHAUSTED:
        return _error("full", "The room is full.")
    if error.code is ErrorCode.NOT_FOUND:
        return _error("not_found", "That person or room is gone.")
    if error.code is ErrorCode.UNAVAILABLE:
        return _error("unavailable", "The audio server is away. Try again in a moment.")
    return _error("forbidden", error.message)


def _error(code: str, message: str) -> web.Response:
    body = {"error": {"code": code, "message": message}}
    return web.json_response(body, status=STATUS_OF_CODE.get(code, 500))
