"""The live rooms of one process of the club, in front of one daemon.

The daemon holds the rooms and carries the sound; the database holds who is what in them; this
process follows the daemon's events and holds nothing that it could not ask for again, so that it
can be killed at any moment. Several processes do so side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import structlog

from control import Client
from control.errors import ConnectionLost, ControlError, ErrorCode
from control.types import ParticipantState
from deploy.club.door.sessions import ENDED_TOPIC
from deploy.club.hall.access import may_enter
from deploy.club.people.moderation import STANDING_TOPIC
from deploy.club.people.notices import BUS_TOPIC
from deploy.club.refusal import Refused
from deploy.club.room import seats
from deploy.club.room.acting import ENDED, Acting
from deploy.club.room.authority import Action
from deploy.club.room.captions import Recogniser
from deploy.club.room.desk import PAGES_MAX, Desk, Page, Translate, untranslated
from deploy.club.room.entering import Entering, Joined
from deploy.club.room.following import Following
from deploy.club.room.hearing import Hearing
from deploy.club.room.keeping import Keeping
from deploy.club.room.news import tell_notice, tell_removed, tell_signed_out
from deploy.club.room.refusals import away, refused
from deploy.club.room.scenes import Scene
from deploy.club.room.talk_log import TalkClock
from deploy.club.room.telling import Telling
from deploy.club.store import Member, Store

log = structlog.get_logger("club")

# How soon pages learn that the daemon is away.
WATCH_S: Final = 0.5
# After a fault of our own.
RESTART_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """A live room at a glance: how many, who is on stage (names) and who speaks (ids)."""

    speakers: int
    listeners: int
    names: tuple[str, ...]
    speaking: tuple[str, ...]


class LiveRooms:
    """`run` follows the daemon, which may come later and go; everything else is a request."""

    def __init__(
        self,
        control: Client,
        store: Store,
        *,
        clock: Callable[[], datetime],
        captions: Recogniser | None = None,
        pages_max: int = PAGES_MAX,
    ) -> None:
        self._control = control
        self._store = store
        self._clock = clock
        self._desk = Desk(pages_max)
        talk = TalkClock()
        self._telling = Telling(self._desk, self._scene, captions)
        self._following = Following(control, self._telling)
        self._hearing = Hearing(control, talk)
        self._acting = Acting(store, control)
        self._entering = Entering(store, control)
        self.keeping = Keeping(store, control, self._following, self._acting, talk)

    async def run(self) -> None:
        """Follow the daemon, the bus and the clock, for ever; cancel to stop."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_insist(self._following.run))
            tasks.create_task(_insist(self._hearing.run))
            tasks.create_task(_insist(partial(self.keeping.run, self._clock)))
            tasks.create_task(_insist(self._watch))
            tasks.create_task(_insist(self._hear_bus))

    @property
    def is_in_step(self) -> bool:
        """Whether this process has the daemon's rooms before it as they are now."""
        return self._following.is_in_step and self._control.is_connected

    @property
    def pages(self) -> int:
        """How many pages of live rooms are open at this process."""
        return len(self._desk)

    async def join(self, room_id: str, member: Member, offer: str) -> Joined:
        """The answer to a page's offer: the member is in the room now, muted, in the role that
        their seat gives. Whoever was there already is replaced by themselves.

        Refused as `hall.access.may_enter`, and `full`, `bad_offer`, `removed`, `unavailable`.
        """
        async with self._asking():
            return await self._entering.join(room_id, member, offer, self._clock())

    async def restart_ice(self, room_id: str, member: Member, offer: str) -> str:
        """The answer for an offer of the same session with new credentials, after the network
        changed. Refused `not_inside` or `bad_offer`: then join again.
        """
        async with self._asking():
            return await self._control.participant_restart_ice(
                room=room_id, participant=member.id, offer=offer
            )

    async def act(self, room_id: str, member: Member, action: str, target: str | None) -> None:
        """Do what a page asks. Refused `forbidden` where it is not the member's to do."""
        async with self._asking():
            done = await self._acting.act(room_id, member, action, target, self._clock())
        if done is Action.END:
            for page in self._desk.of_room(room_id):
                page.tell_ended(ENDED)

    async def leave(self, room_id: str, member: Member, generation: int | None = None) -> None:
        """Go quietly; with a `generation` only if it is that one which is there. It holds even
        where the daemon cannot be told now: the page hangs up, and the daemon notices that.
        """
        with contextlib.suppress(ConnectionLost, ControlError):
            await self._acting.leave(room_id, member, generation, self._clock())

    async def attach(
        self,
        room_id: str,
        member: Member,
        translate: Translate = untranslated,
        session_id: str = "",
    ) -> Page:
        """A page's socket opened: its feed is told everything. `detach` it in the end.

        Refused `full` where this process has too many pages. Whoever may not be in the room gets a
        feed that says so and ends.
        """
        page = Page(room_id, member.id, member.is_host, translate, session_id)
        if await self._is_welcome(page, member):
            self._desk.add(page)
            self._telling.everything(page)
            if self._telling.is_present(page):
                await self._tell_cause(page)
            elif await self._is_absent(page):
                page.tell_rejoin("lost")
        return page

    def detach(self, page: Page) -> None:
        """A page's socket closed. The sound goes on without it. Idempotent."""
        self._desk.remove(page)

    def counts(self, room_id: str) -> LiveCounts | None:
        """Who is in a room; None when the daemon has none of that name."""
        scene = self._scene(room_id)
        if scene is None:
            return None
        counts, stage = scene.view.counts, scene.view.on_stage
        return LiveCounts(
            speakers=len(stage),
            listeners=counts.listener,
            names=tuple(one.name or one.participant for one in stage),
            speaking=tuple(scene.view.speakers),
        )

    def participant(self, room_id: str, member_id: str) -> ParticipantState | None:
        """Somebody in a room, as far as this process has heard."""
        scene = self._scene(room_id)
        return scene.view.participants.get(member_id) if scene else None

    async def _is_welcome(self, page: Page, member: Member) -> bool:
        """Whether the member may be in the room; else the page is told why not."""
        try:
            async with self._store.begin() as tx:
                room = await seats.room_of(tx, page.room_id)
                inside = await seats.is_inside(tx, room.id, member.id)
                await may_enter(tx, room, member, self._clock(), is_inside=inside)
        except Refused as refusal:
            if refusal.status >= 500:
                raise
            if refusal.code == "over":
                page.tell_ended(ENDED)
            else:
                page.tell_left(refusal.code)
            return False
        return True

    async def _tell_cause(self, page: Page) -> None:
        """Why the page's line carries what it does, which no event has told this process."""
        scene = self._scene(page.room_id)
        if scene is None or not self._control.is_connected:
            return
        with contextlib.suppress(ControlError, ConnectionLost):
            subscription = await self._control.subscription_get(
                room=page.room_id, participant=page.member_id
            )
            self._telling.quality(scene, page, subscription.cause)

    async def _is_absent(self, page: Page) -> bool:
        """Whether the daemon says that the member is not there: this process may have heard less
        than the page knows.
        """
        if not self._control.is_connected:
            return False
        try:
            await self._control.participant_get(room=page.room_id, participant=page.member_id)
        except ControlError as error:
            return error.code is ErrorCode.NOT_FOUND
        except ConnectionLost:
            pass
        return False

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Say at once that the daemon is away, instead of waiting for it; and its refusals in words
        for people.
        """
        if not self._control.is_connected:
            raise away()
        try:
            yield
        except ControlError as error:
            if error.code is ErrorCode.INTERNAL:
                log.error("daemon.fault", message=error.message)
            raise refused(error) from error
        except ConnectionLost as error:
            raise away() from error

    async def _watch(self) -> None:
        """Tell pages that the daemon goes and comes."""
        while True:
            self._telling.set_daemon(is_up=self._control.is_connected)
            await asyncio.sleep(WATCH_S)

    async def _hear_bus(self) -> None:
        with self._store.bus.listen({BUS_TOPIC, STANDING_TOPIC, ENDED_TOPIC}) as messages:
            async for topic, payload in messages:
                if topic == BUS_TOPIC:
                    tell_notice(self._desk, payload)
                elif topic == ENDED_TOPIC:
                    tell_signed_out(self._desk, payload["session"])
                elif topic == STANDING_TOPIC:
                    tell_removed(self._desk, payload["member"])
                    await self._send_away(payload["member"])

    async def _send_away(self, member_id: str) -> None:
        """Out of all rooms; `keeping` looks after what cannot be done now."""
        for room_id in list(self._following.rooms):
            if self.participant(room_id, member_id) is not None:
                with contextlib.suppress(ControlError, ConnectionLost):
                    await self._control.participant_remove(room=room_id, participant=member_id)

    def _scene(self, room_id: str) -> Scene | None:
        return self._following.rooms.get(room_id)


async def _insist(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do it for ever: a fault in one of these is logged, and must not end the others."""
    while True:
        try:
            await work()
            log.error("live.ended", work=str(work))
        except Exception:
            log.exception("live.failed")
        await asyncio.sleep(RESTART_S)
