"""What happens in the daemon's rooms, told to the pages that show it.

What concerns the stage is told at once; what only moves the audience is gathered, so that a full
room that fills or empties does not send everybody the whole list for each of them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final

from control.events import (
    Event,
    HandLowered,
    HandRaised,
    ParticipantJoined,
    ParticipantLeft,
    QualityChanged,
    RoomClosed,
    RoomUpdated,
    SpeakersChanged,
    StageAccepted,
    StageDeclined,
    StageExpired,
    StageInvited,
)
from control.types import LeaveReason
from deploy.club.room.acting import LEFT
from deploy.club.room.captions import CAPTION_CHARS_MAX, Captions, Recogniser
from deploy.club.room.desk import Desk, Page
from deploy.club.room.feed import Topic
from deploy.club.room.scenes import Scene

# After these a page is out; after any other reason it may come back by itself.
FINAL_REASONS: Final = (LeaveReason.REMOVED, LeaveReason.BANNED)
# A room that is closed for these reasons may be opened again by whoever comes.
PASSING: Final = ("drained", "orphaned", "empty")
# How long changes of the audience are gathered. Nobody counts the listeners faster.
AUDIENCE_PAUSE_S: Final = 0.5


class Telling:
    """`scene_of` gives the rooms as this process sees them now."""

    def __init__(
        self,
        desk: Desk,
        scene_of: Callable[[str], Scene | None],
        recogniser: Recogniser | None = None,
    ) -> None:
        self.is_daemon_up = False
        self._desk = desk
        self._scene_of = scene_of
        self._captions = Captions(recogniser, self._caption)
        self._gathering: set[str] = set()

    def heard(self, scene: Scene, event: Event) -> None:
        """An event of a room was applied to its scene."""
        room_id, body = scene.view.room.room, event.body
        match body:
            case SpeakersChanged():
                self._speakers(scene)
                return
            case QualityChanged():
                page = self._desk.find(room_id, body.participant)
                if page is not None:
                    self.quality(scene, page, body.cause)
                return
            case RoomClosed():
                scene.changed()
                self._closed(scene, body.reason)
                return
            case RoomUpdated():
                for page in self._desk.of_room(room_id):
                    page.feed.post(Topic.LOCKED, scene.locked)
        stage = scene.changed()
        participant = getattr(body, "participant", None)
        self._participant(scene, event, participant)
        if isinstance(body, HandRaised | HandLowered):
            self._hands(scene)
        elif participant is None or participant in stage:
            self._room(room_id)
        else:
            self._gather(room_id)

    def in_step(self, rooms: dict[str, Scene]) -> None:
        """All rooms were asked for anew."""
        for room_id in {*self._captions.rooms(), *rooms}:
            scene = rooms.get(room_id)
            self._captions.hear(room_id, list(scene.view.speakers) if scene else [])
        for page in self._desk:
            self.everything(page)
            if not self.is_present(page):
                page.tell_rejoin("lost")

    def everything(self, page: Page) -> None:
        """Tell a page all there is."""
        self.daemon(page)
        scene = self._scene_of(page.room_id)
        if scene is None:
            return
        self._you(scene, page)
        self._room_to(scene, page)
        page.feed.post(Topic.LOCKED, scene.locked)
        if self.is_present(page):
            page.feed.post(Topic.SPEAKERS, scene.speakers)
        self.quality(scene, page)
        member_id = page.member_id
        page.feed.post(Topic.INVITED, lambda: scene.invited(member_id))

    def daemon(self, page: Page) -> None:
        """Tell a page whether the audio server is there."""
        page.feed.post(
            Topic.DAEMON, lambda: json.dumps({"type": "daemon", "up": self.is_daemon_up})
        )

    def set_daemon(self, *, is_up: bool) -> None:
        """The daemon came or went."""
        if self.is_daemon_up != is_up:
            self.is_daemon_up = is_up
            for page in self._desk:
                self.daemon(page)

    def quality(self, scene: Scene, page: Page, cause: str | None = None) -> None:
        """Tell a page what it is sent, and why if that is known."""
        member_id = page.member_id
        page.feed.post(Topic.QUALITY, lambda: scene.quality(member_id, cause))

    def is_present(self, page: Page) -> bool:
        """Whether its member is in the room, as far as this process has heard."""
        scene = self._scene_of(page.room_id)
        return scene is not None and page.member_id in scene.view.participants

    def _participant(self, scene: Scene, event: Event, participant: str | None) -> None:
        """What an event is to the page of the one it is about."""
        if participant is None:
            return
        page = self._desk.find(scene.view.room.room, participant)
        if page is None:
            return
        self._you(scene, page)
        match event.body:
            case ParticipantJoined():
                page.feed.withdraw(Topic.REJOIN)
                self.everything(page)
            case ParticipantLeft(reason=reason, detail=detail):
                self._left(scene, page, reason, detail)
            case StageInvited(actor=actor):
                page.feed.post(Topic.INVITED, lambda: scene.invited(participant, actor))
            case StageAccepted() | StageDeclined() | StageExpired():
                page.feed.post(Topic.INVITED, lambda: scene.invited(participant))

    def _left(self, scene: Scene, page: Page, reason: LeaveReason, detail: str | None) -> None:
        if page.member_id in scene.view.participants or reason is LeaveReason.REPLACED:
            return
        if reason in FINAL_REASONS:
            page.tell_left("left" if detail == LEFT else reason, detail)
        elif reason is not LeaveReason.ROOM_CLOSED:
            page.tell_rejoin(reason)

    def _closed(self, scene: Scene, reason: str) -> None:
        self._speakers(scene)
        for page in self._desk.of_room(scene.view.room.room):
            if reason in PASSING:
                self._you(scene, page)
                page.tell_rejoin(reason)
            else:
                page.tell_ended(reason)

    def _speakers(self, scene: Scene) -> None:
        room_id, speaking = scene.view.room.room, list(scene.view.speakers)
        self._captions.hear(room_id, speaking)
        for page in self._present(room_id):
            page.feed.post(Topic.SPEAKERS, scene.speakers)

    def _caption(self, room_id: str, member_id: str, text: str, *, is_final: bool) -> None:
        scene = self._scene_of(room_id)
        state = scene.view.participants.get(member_id) if scene else None
        if state is None:
            return
        said = {"id": member_id, "name": state.name, "text": text[:CAPTION_CHARS_MAX]}
        statement = json.dumps({"type": "caption", **said, "is_final": is_final})
        for page in self._present(room_id):
            page.feed.add(statement)

    def _gather(self, room_id: str) -> None:
        if room_id not in self._gathering and self._desk.of_room(room_id):
            self._gathering.add(room_id)
            loop = asyncio.get_running_loop()
            loop.call_later(AUDIENCE_PAUSE_S, self._gathered, room_id)

    def _gathered(self, room_id: str) -> None:
        if room_id in self._gathering:
            self._room(room_id)

    def _room(self, room_id: str) -> None:
        self._gathering.discard(room_id)
        scene = self._scene_of(room_id)
        if scene is not None:
            for page in self._desk.of_room(room_id):
                self._room_to(scene, page)

    def _hands(self, scene: Scene) -> None:
        """Nobody else is told of hands."""
        for page in self._desk.of_room(scene.view.room.room):
            if scene.shows_hands_to(page.member_id):
                self._room_to(scene, page)

    def _present(self, room_id: str) -> list[Page]:
        return [page for page in self._desk.of_room(room_id) if self.is_present(page)]

    def _room_to(self, scene: Scene, page: Page) -> None:
        """Only those who are there, and whom the others see, are told who is."""
        member_id = page.member_id
        if member_id not in scene.view.participants:
            return
        page.feed.post(Topic.ROOM, lambda: scene.room(shows_hands=scene.shows_hands_to(member_id)))

    def _you(self, scene: Scene, page: Page) -> None:
        member_id, is_club_host = page.member_id, page.is_club_host
        page.feed.post(Topic.YOU, lambda: scene.you(member_id, is_club_host=is_club_host))
