"""The club: who may do what, said to the daemon; what the daemon tells, passed on to pages.

The club decides, the daemon obeys: a visitor may act on itself, a moderator on everybody who is
not a moderator. State lives in the daemon; the club keeps a `Roster` for each room it has visitors
in and asks for a snapshot whenever events may have been missed. When the daemon goes away the
pages are told so, and when it comes back without its rooms they are asked to join again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from control import Client
from control.errors import ConnectionLost, ControlError, ErrorCode
from control.events import (
    Event,
    EventsGap,
    ParticipantLeft,
    RoleChanged,
    RoomClosed,
    SpeakersChanged,
)
from control.types import LeaveReason, ParticipantState, Role
from deploy.club.feed import Topic
from deploy.club.roster import Roster
from deploy.club.visitors import ClubError, Visitor, Visitors

log = structlog.get_logger("club")

# After these the visitor is out; after any other reason the page may come back by itself.
FINAL_REASONS = (LeaveReason.REMOVED, LeaveReason.BANNED, LeaveReason.ROOM_CLOSED)
RETRY_S = 1.0
HOUSEKEEPING_S = 1.0
# A snapshot that was outrun this often in a row is tried again at the next event.
SNAPSHOT_TRIES = 3


@dataclass(frozen=True, slots=True)
class Joined:
    """What a page gets for its offer."""

    visitor: Visitor
    answer: str


class Club:
    """Rooms and visitors in front of one daemon. `run` keeps it in step; everything else is a
    request.
    """

    def __init__(
        self,
        control: Client,
        *,
        moderator_key: str,
        visitors: Visitors | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.visitors = Visitors() if visitors is None else visitors
        self.daemon_up = False
        self._was_away = False
        self._control = control
        self._moderator_key = moderator_key.encode()
        self._rosters: dict[str, Roster] = {}
        self._clock = clock

    async def run(self) -> None:
        """Follow the daemon's events for ever; cancel to stop."""
        housekeeper = asyncio.create_task(self._keep_house())
        try:
            while True:
                with contextlib.suppress(ConnectionLost, ControlError):
                    await self._follow_events()
                await asyncio.sleep(RETRY_S)
        finally:
            housekeeper.cancel()

    async def join(
        self,
        *,
        room: str,
        name: str,
        offer: str,
        token: str | None = None,
        moderator_key: str | None = None,
    ) -> Joined:
        """Bring a page's connection into its room; with `token`, as the visitor it was before."""
        self._require_daemon()
        if token is None:
            moderator = self._is_moderator_key(moderator_key)
            visitor = self.visitors.admit(room, name, moderator=moderator)
        else:
            visitor = self.visitors.by_token(token)
        try:
            answer = await self._join_daemon(visitor, offer)
        except BaseException:
            if token is None:
                self.visitors.forget(visitor)
            raise
        return Joined(visitor, answer)

    async def act(self, token: str, action: str, target: str | None) -> None:
        """Do what a page asks. ClubError `forbidden` when that is not the visitor's to ask."""
        self._require_daemon()
        visitor = self.visitors.by_token(token)
        if target is None or target == visitor.id:
            await self._act_on_self(visitor, action)
        else:
            await self._act_as_moderator(visitor, action, target)

    async def leave(self, token: str) -> None:
        """The visitor goes. The token is void whatever the daemon says."""
        visitor = self.visitors.by_token(token)
        self.visitors.forget(visitor)
        self._drop_empty_rosters()
        if not self._control.is_connected:
            return
        with contextlib.suppress(ControlError, ConnectionLost):
            await self._control.participant_remove(
                room=visitor.room, participant=visitor.id, reason="left"
            )

    def attach(self, visitor: Visitor) -> None:
        """A page's socket opened: tell it everything."""
        visitor.sockets += 1
        visitor.absent_since = None
        self._post_daemon(visitor)
        self._post_all(visitor)
        if not visitor.present:
            self._ask_to_rejoin(visitor, "lost")

    def detach(self, visitor: Visitor) -> None:
        """A page's socket closed. The sound goes on without it."""
        visitor.sockets -= 1
        self.visitors.note_absence(visitor, self._clock())

    def _is_moderator_key(self, key: str | None) -> bool:
        if key is None:
            return False
        if not hmac.compare_digest(key.encode(), self._moderator_key):
            raise ClubError("forbidden", "That moderator link is not valid.")
        return True

    async def _join_daemon(self, visitor: Visitor, offer: str) -> str:
        roster = self._rosters.get(visitor.room)
        if roster is None:
            roster = self._rosters[visitor.room] = Roster(visitor.room)
        await self._control.room_create(room=visitor.room)
        try:
            # Muted: whoever is called up later opens the microphone by an own click.
            joined = await self._control.participant_join(
                room=visitor.room,
                participant=visitor.id,
                role=visitor.role,
                offer=offer,
                name=visitor.name,
                muted=True,
            )
        except ControlError as error:
            if error.detail.get("limit") == "max_speakers" and not visitor.moderator:
                visitor.role = Role.LISTENER
            raise
        visitor.present = True
        visitor.absent_since = None
        visitor.feed.withdraw(Topic.REJOIN)
        await self._resync(visitor.room)
        return joined.answer

    async def _act_on_self(self, visitor: Visitor, action: str) -> None:
        control, room, me = self._control, visitor.room, visitor.id
        actions: dict[str, Callable[[], Awaitable[object]]] = {
            "raise_hand": lambda: control.hand_raise(room=room, participant=me),
            "lower_hand": lambda: control.hand_lower(room=room, participant=me),
            "mute": lambda: control.track_mute(room=room, participant=me, actor=me),
            "unmute": lambda: control.track_unmute(room=room, participant=me, actor=me),
            "step_down": lambda: control.participant_set_role(
                room=room, participant=me, role=Role.LISTENER, actor=me
            ),
        }
        if action not in actions:
            raise ClubError("forbidden", f"You cannot {action.replace('_', ' ')} yourself.")
        await actions[action]()

    async def _act_as_moderator(self, visitor: Visitor, action: str, target: str) -> None:
        state = self._state_of(visitor.room, target)
        if not visitor.moderator or state.role is Role.MODERATOR:
            raise ClubError("forbidden", "Only a moderator can do that, and not to a moderator.")
        control, room, me = self._control, visitor.room, visitor.id
        actions: dict[str, Callable[[], Awaitable[object]]] = {
            "call_up": lambda: self._call_up(room, target, me),
            "send_back": lambda: control.participant_set_role(
                room=room, participant=target, role=Role.LISTENER, actor=me
            ),
            "mute": lambda: control.track_mute(room=room, participant=target, actor=me),
            "lower_hand": lambda: control.hand_lower(room=room, participant=target),
            "remove": lambda: control.participant_remove(
                room=room, participant=target, reason=f"by {visitor.name}"
            ),
        }
        if action not in actions:
            raise ClubError("forbidden", f"A moderator cannot {action.replace('_', ' ')} others.")
        await actions[action]()

    async def _call_up(self, room: str, target: str, actor: str) -> None:
        # Muted first: nobody is on air before they chose to be.
        await self._control.track_mute(room=room, participant=target, actor=actor)
        await self._control.participant_set_role(
            room=room, participant=target, role=Role.SPEAKER, actor=actor
        )
        if self._state_of(room, target).hand is not None:
            await self._control.hand_lower(room=room, participant=target)

    def _state_of(self, room: str, participant: str) -> ParticipantState:
        roster = self._rosters.get(room)
        state = roster.participants.get(participant) if roster else None
        if state is None:
            raise ClubError("not_found", "That person is not in the room any more.")
        return state

    async def _follow_events(self) -> None:
        async with self._control.events() as events:
            await self._resync_all()
            async for event in events:
                await self._follow(event)

    async def _follow(self, event: Event) -> None:
        if isinstance(event.body, EventsGap):
            await self._resync_all()
            return
        roster = self._rosters.get(event.room) if event.room else None
        if roster is None:
            return
        if isinstance(event.body, RoomClosed):
            roster.clear()
            self._post_room(roster.room)
            return
        changed = roster.apply(event)
        self._note_visitor(roster.room, event)
        if isinstance(event.body, SpeakersChanged):
            for visitor in self.visitors.of_room(roster.room):
                visitor.feed.post(Topic.SPEAKERS, roster.speakers_view)
        elif changed:
            self._post_room(roster.room)

    def _note_visitor(self, room: str, event: Event) -> None:
        """What an event means for the visitor it is about."""
        body = event.body
        if isinstance(body, RoleChanged):
            visitor = self.visitors.by_id(room, body.participant)
            if visitor is not None:
                visitor.role = body.role
        elif isinstance(body, ParticipantLeft) and body.reason is not LeaveReason.REPLACED:
            visitor = self.visitors.by_id(room, body.participant)
            if visitor is not None and body.participant not in self._rosters[room].participants:
                self._note_left(visitor, body.reason, body.detail)

    def _note_left(self, visitor: Visitor, reason: LeaveReason, detail: str | None) -> None:
        visitor.present = False
        if reason in FINAL_REASONS:
            text = json.dumps({"type": "left", "reason": reason, "detail": detail})
            visitor.feed.post(Topic.LEFT, lambda: text)
            self.visitors.forget(visitor)
            self._drop_empty_rosters()
        else:
            self._ask_to_rejoin(visitor, reason)

    def _ask_to_rejoin(self, visitor: Visitor, reason: str) -> None:
        visitor.present = False
        self.visitors.note_absence(visitor, self._clock())
        text = json.dumps({"type": "rejoin", "reason": reason})
        visitor.feed.post(Topic.REJOIN, lambda: text)

    async def _resync_all(self) -> None:
        for room in list(self._rosters):
            await self._resync(room)

    async def _resync(self, room: str) -> None:
        """Bring a room's roster in step with the daemon, and its visitors with the roster."""
        roster = self._rosters.get(room)
        if roster is None:
            return
        for _ in range(SNAPSHOT_TRIES):
            roster.lose_step()
            try:
                snapshot = await self._control.room_snapshot(room=room)
            except ControlError as error:
                if error.code is not ErrorCode.NOT_FOUND:
                    raise
                roster.clear()
                break
            if roster.reset(snapshot):
                break
        for visitor in self.visitors.of_room(room):
            if visitor.present and visitor.id not in roster.participants:
                self._ask_to_rejoin(visitor, "lost")
            self._post_all(visitor)

    def _set_daemon(self, *, up: bool) -> None:
        if self.daemon_up == up:
            return
        self.daemon_up = up
        # Coming up for the first time is no news.
        if self._was_away or not up:
            log.warning("daemon is back" if up else "daemon is away", rooms=len(self._rosters))
        self._was_away = not up
        for visitor in self.visitors:
            self._post_daemon(visitor)

    def _post_daemon(self, visitor: Visitor) -> None:
        visitor.feed.post(
            Topic.DAEMON, lambda: json.dumps({"type": "daemon", "up": self.daemon_up})
        )

    def _post_room(self, room: str) -> None:
        for visitor in self.visitors.of_room(room):
            self._post_all(visitor)

    def _post_all(self, visitor: Visitor) -> None:
        roster = self._rosters.get(visitor.room)
        if roster is None:
            return
        visitor.feed.post(
            Topic.YOU, lambda: roster.you_view(visitor.id, moderator=visitor.moderator)
        )
        visitor.feed.post(Topic.ROOM, roster.view)
        visitor.feed.post(Topic.SPEAKERS, roster.speakers_view)

    def _drop_empty_rosters(self) -> None:
        for room in set(self._rosters) - set(self.visitors.rooms()):
            del self._rosters[room]

    async def _keep_house(self) -> None:
        """Notice that the daemon goes and comes, and forget who is long gone."""
        while True:
            self._set_daemon(up=self._control.is_connected)
            if self.visitors.sweep(self._clock()):
                self._drop_empty_rosters()
            await asyncio.sleep(HOUSEKEEPING_S)

    def _require_daemon(self) -> None:
        """Answer at once instead of waiting for a daemon that is away."""
        if not self._control.is_connected:
            raise ClubError("unavailable", "The audio server is away. Try again in a moment.")
