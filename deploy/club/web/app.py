"""The web application: all parts' routes behind one guard, and the tasks that run beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from aiohttp import web

from deploy.club.door import pages as door_pages
from deploy.club.hall import pages as hall_pages
from deploy.club.people import pages as people_pages
from deploy.club.room import pages as room_pages
from deploy.club.settings import Settings
from deploy.club.web import guard, news, one_way
from deploy.club.web import pages as web_pages
from deploy.club.web.beside import beside
from deploy.club.web.chores import run_chores
from deploy.club.web.limits import Limits
from deploy.club.web.parts import CLUB, Parts, utc_now
from deploy.club.web.routes import Route
from deploy.club.web.static import STATIC, StaticFiles

if TYPE_CHECKING:
    from deploy.club.door.sender import CodeSender
    from deploy.club.room.live import LiveRooms
    from deploy.club.store import Store

PARTS = (web_pages, news, door_pages, people_pages, hall_pages, room_pages)
# The largest body of any route, a picture; each route has its own, smaller limit.
BODY_BYTES_MAX = 3 * 1024 * 1024


def all_routes() -> tuple[Route, ...]:
    """Every route of every part."""
    return tuple(route for part in PARTS for route in part.ROUTES)


def create_app(
    settings: Settings,
    store: Store,
    live: LiveRooms,
    sender: CodeSender,
    *,
    clock: Callable[[], datetime] = utc_now,
    limits: Limits | None = None,
    more: Iterable[Route] = (),
) -> web.Application:
    """The whole site, and `more` pages of one's own. It runs `live` while it is up; `store` is
    opened and closed by the caller.
    """
    app = web.Application(
        client_max_size=BODY_BYTES_MAX, middlewares=[guard.tell_refusals, guard.admit]
    )
    app[CLUB] = Parts(settings, store, clock, sender, live, limits or Limits())
    app[STATIC] = StaticFiles()
    app[guard.ROUTES] = {}
    for route in (*all_routes(), *more):
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            added = app.router.add_route(method, route.path, route.handler)
            app[guard.ROUTES][added] = route
    app.router.add_get("/static/{hash}/{name:.+}", app[STATIC].serve)
    app.on_response_prepare.append(guard.add_headers)
    app[one_way.SOCKETS] = set()
    app[news.NEWS] = news.News()
    app.on_shutdown.append(one_way.close_all)
    app.cleanup_ctx.extend((_follow_daemon, news.follow_bus, run_chores))
    return app


async def _follow_daemon(app: web.Application) -> AsyncIterator[None]:
    async with beside(app[CLUB].live.run()):
        yield
