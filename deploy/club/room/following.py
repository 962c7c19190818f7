"""The daemon's rooms as this process sees them: snapshots, kept true by events.

Subscribe first, then take snapshots, then apply the events: what a snapshot already holds changes
nothing. After a gap, or when the daemon has lost its state, everything is asked for again. While
the daemon is away the last that was known stays, so that pages go on showing it.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import structlog

from control import Client
from control.commands import SnapshotResult
from control.errors import ConnectionLost, ControlError, ErrorCode, ProtocolError
from control.events import Event, EventsGap, RoomClosed, RoomCreated
from control.roomview import RoomView
from control.types import Hand, ParticipantState
from deploy.club.room.scenes import Scene

log = structlog.get_logger("club")

RETRY_S: Final = 1.0
# A key that is refused: not so often that its address is locked out.
REFUSED_RETRY_S: Final = 20.0


class Listener(Protocol):
    """Who is told of news; called from the event loop, never waits."""

    def heard(self, scene: Scene, event: Event) -> None:
        """An event of a room was applied to its scene."""

    def in_step(self, rooms: dict[str, Scene]) -> None:
        """All rooms were asked for anew; whatever happened before may have been missed."""


class Following:
    """`rooms` by id. `run` keeps it in step with the daemon."""

    def __init__(self, control: Client, listener: Listener) -> None:
        self.rooms: dict[str, Scene] = {}
        self.is_in_step = False
        self._is_missed = False
        self._control = control
        self._listener = listener

    async def run(self) -> None:
        """Connect and follow, for ever; cancel to stop."""
        while True:
            wait_s = RETRY_S
            try:
                await self._control.connect()
                await self._follow()
            except ControlError as error:
                self._miss(f"{error.code}: {error.message}")
                if error.code in (ErrorCode.UNAUTHENTICATED, ErrorCode.PERMISSION_DENIED):
                    wait_s = REFUSED_RETRY_S
            except (ConnectionLost, ProtocolError) as error:
                self._miss(str(error))
            self.is_in_step = False
            await asyncio.sleep(wait_s)

    def _miss(self, reason: str) -> None:
        """Log that the daemon is away, once."""
        if not self._is_missed:
            log.warning("daemon.away", reason=reason)
            self._is_missed = True

    async def _follow(self) -> None:
        async with self._control.events() as events:
            await self._resync()
            async for event in events:
                if isinstance(event.body, EventsGap):
                    self.is_in_step = False
                    await self._resync()
                elif event.room is not None:
                    await self._take(event.room, event)

    async def _resync(self) -> None:
        rooms: dict[str, Scene] = {}
        page: int | None = 0
        while page is not None:
            result = await self._control.room_list(page=page)
            for state in result.rooms:
                snapshot = await self._snapshot(state.room)
                if snapshot is not None:
                    rooms[state.room] = Scene(RoomView(snapshot))
            page = result.next_page
        self.rooms = rooms
        self.is_in_step = True
        if self._is_missed:
            log.info("daemon.back", rooms=len(rooms))
            self._is_missed = False
        self._listener.in_step(rooms)

    async def _take(self, room_id: str, event: Event) -> None:
        scene = self.rooms.get(room_id)
        if scene is None:
            scene = await self._begin(room_id, event)
            if scene is None:
                return
            self.rooms[room_id] = scene
        elif not scene.view.apply(event):
            return
        self._listener.heard(scene, event)
        if isinstance(event.body, RoomClosed):
            del self.rooms[room_id]

    async def _begin(self, room_id: str, event: Event) -> Scene | None:
        """A room that was not known: new, or one whose beginning was missed."""
        if isinstance(event.body, RoomClosed):
            return None
        snapshot: SnapshotResult | None
        if isinstance(event.body, RoomCreated):
            snapshot = SnapshotResult(
                room=event.body.state, participants=[], hands=[], epoch=event.epoch, seq=event.seq
            )
        else:
            snapshot = await self._snapshot(room_id)
        return Scene(RoomView(snapshot)) if snapshot is not None else None

    async def _snapshot(self, room_id: str) -> SnapshotResult | None:
        """None for a room that has gone meanwhile."""
        try:
            return await self._control.room_snapshot(room=room_id)
        except ControlError as error:
            if error.code is ErrorCode.RESOURCE_EXHAUSTED:
                return await self._large_snapshot(room_id)
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            return None

    async def _large_snapshot(self, room_id: str) -> SnapshotResult:
        """Of a room that does not fit one frame, in pages. No event that came since the
        subscription is taken for known: applied once more it changes nothing.
        """
        control = self._control
        room = await control.room_get(room=room_id)
        participants: dict[str, ParticipantState] = {}
        hands: dict[str, Hand] = {}
        page: int | None = 0
        while page is not None:
            people = await control.participant_list(room=room_id, page=page)
            participants |= {one.participant: one for one in people.participants}
            page = people.next_page
        page = 0
        while page is not None:
            raised = await control.hand_list(room=room_id, page=page)
            hands |= {one.participant: one for one in raised.hands}
            page = raised.next_page
        assert control.hello is not None
        return SnapshotResult(
            room=room,
            participants=list(participants.values()),
            hands=list(hands.values()),
            epoch=control.hello.epoch,
            seq=0,
        )
