"""The whole site with live rooms in front of a fake daemon, and pages of it without a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp import WSMsgType

from control import Client
from deploy.club.room.live import LiveRooms
from deploy.club.settings import Settings
from deploy.club.store import Room, RoomSeat, RoomState, Seat, Store, Visibility
from deploy.club.tokens import new_id
from tests.club.fake_daemon import FakeDaemon, address_of
from tests.club.web.site import Clock, Page, SignedIn, Site, serving

WAIT_S = 5.0


class Visit:
    """One page of a live room: what it asks for, and the news it was told."""

    def __init__(self, who: SignedIn, room: str) -> None:
        self.who = who
        self.id = who.id
        self.room = room
        self.news: dict[str, dict[str, Any]] = {}
        self.heard: list[dict[str, Any]] = []
        self.socket: aiohttp.ClientWebSocketResponse | None = None

    async def join(self, status: int = 200) -> Any:
        """Send an offer."""
        return await self._ask("join", {"offer": "offer"}, status)

    async def act(self, action: str, target: Visit | str | None = None, status: int = 200) -> Any:
        """Press a button."""
        body = {"action": action}
        if target is not None:
            body["target"] = target if isinstance(target, str) else target.id
        return await self._ask("act", body, status)

    async def leave(self, generation: int | None = None) -> None:
        """Go."""
        await self._ask("leave", {} if generation is None else {"generation": generation}, 200)

    async def restart_ice(self, status: int = 200) -> Any:
        """Come over another network."""
        return await self._ask("restart-ice", {"offer": "again"}, status)

    async def open(self) -> None:
        """Open the socket."""
        self.socket = await self.who.socket(f"/rooms/{self.room}/socket")

    async def close(self) -> None:
        """Close it."""
        assert self.socket is not None
        await self.socket.close()

    async def told(self, statement: str, /, **expected: Any) -> dict[str, Any]:
        """Read news until the latest `statement` has these values."""
        assert self.socket is not None
        async with asyncio.timeout(WAIT_S):
            while True:
                latest = self.news.get(statement)
                if latest and all(latest[key] == value for key, value in expected.items()):
                    return latest
                message = await self.socket.receive()
                assert message.type is WSMsgType.TEXT, f"{statement} {expected}: {self.news}"
                news = message.json()
                self.news[news["type"]] = news
                self.heard.append(news)

    async def told_nothing_more(self) -> None:
        """The server closes the socket."""
        assert self.socket is not None
        async with asyncio.timeout(WAIT_S):
            while not self.socket.closed:
                await self.socket.receive()

    async def _ask(self, verb: str, body: Any, status: int) -> Any:
        page: Page = await self.who.post_json(f"/rooms/{self.room}/{verb}", body)
        assert page.status == status, page.text
        return json.loads(page.text)


class House:
    """A site with live rooms. Made by `open_house`."""

    def __init__(self, site: Site, live: LiveRooms, daemon: FakeDaemon) -> None:
        self.site = site
        self.live = live
        self.daemon = daemon
        self.store = site.store
        self.clock = site.clock

    async def room(
        self,
        host: SignedIn,
        *,
        state: RoomState = "live",
        visibility: Visibility = "open",
        seats: dict[str, Seat] | None = None,
    ) -> str:
        """A room of one host; `seats` of others by member id. Its id."""
        room_id = new_id("r")
        async with self.store.begin() as tx:
            tx.add(
                Room(
                    id=room_id,
                    topic="A topic",
                    visibility=visibility,
                    created_by=host.id,
                    state=state,
                    opened_at=self.clock(),
                )
            )
            await tx.flush()
            tx.add(RoomSeat(room_id=room_id, member_id=host.id, seat="host"))
            for member_id, seat in (seats or {}).items():
                tx.add(RoomSeat(room_id=room_id, member_id=member_id, seat=seat))
        return room_id

    async def visit(self, who: SignedIn | str, room: str) -> Visit:
        """Somebody (a name: a new member) who has joined, with an open socket."""
        visit = Visit(await self.site.signed_in(who) if isinstance(who, str) else who, room)
        await visit.join()
        await visit.open()
        await visit.told("you", present=True)
        return visit

    async def seat(self, room: str, member_id: str) -> Seat | None:
        """The seat that the database has."""
        async with self.store.begin() as tx:
            row = await tx.get(RoomSeat, (room, member_id))
            return row.seat if row else None

    async def keep(self, seconds: float = 0.0) -> None:
        """Let time pass, and do what is done every few seconds."""
        self.clock.advance(seconds)
        await self.live.keeping.once(self.clock())


@contextlib.asynccontextmanager
async def open_house(
    store: Store, settings: Settings, daemon: FakeDaemon, clock: Clock | None = None
) -> AsyncIterator[House]:
    """The club, in step with `daemon`."""
    clock = clock or Clock()
    control = Client(address_of(daemon))
    live = LiveRooms(control, store, clock=clock)
    try:
        async with serving(store, settings, live=live, clock=clock) as site:
            await until(lambda: live.is_in_step)
            yield House(site, live, daemon)
    finally:
        await control.close()


async def until(condition: Any) -> None:
    """Wait for something that the event loop brings about."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.005)
