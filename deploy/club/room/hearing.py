"""What was spoken, from the daemon's events, beginning with those that it still holds.

Apart from `following`, which asks for the present: a club that was away a while has missed speech,
and only the past tells of it.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from control import Client
from control.commands import Position
from control.errors import ConnectionLost, ControlError
from control.events import EventsGap, RoomClosed, SpeakersChanged
from deploy.club.room.talk_log import TalkClock

log = structlog.get_logger("club")

RETRY_S: Final = 1.0
# As many as the daemon holds by default: the past comes faster than it is looked at.
PAST_EVENTS_MAX: Final = 50_000


class Hearing:
    """Keeps `talk` in step with the daemon; `following` makes the connection."""

    def __init__(self, control: Client, talk: TalkClock) -> None:
        self._control = control
        self._talk = talk

    async def run(self) -> None:
        """For ever; cancel to stop."""
        while True:
            if self._control.is_connected and self._control.hello is not None:
                try:
                    await self._hear(Position(epoch=self._control.hello.epoch, seq=0))
                except (ConnectionLost, ControlError) as error:
                    log.info("talk.not_heard", reason=str(error))
                self._talk.fall_silent()
            await asyncio.sleep(RETRY_S)

    async def _hear(self, since: Position) -> None:
        types = [SpeakersChanged.method, RoomClosed.method]
        past = self._control.events(types=types, since=since, queue_max=PAST_EVENTS_MAX)
        async with past as events:
            async for event in events:
                match event.body:
                    case EventsGap():
                        self._talk.fall_silent()
                    case SpeakersChanged(speakers=speakers) if event.room is not None:
                        ids = [one.participant for one in speakers]
                        self._talk.hear(event.room, ids, event.at)
                    case RoomClosed() if event.room is not None:
                        self._talk.hear(event.room, (), event.at)
