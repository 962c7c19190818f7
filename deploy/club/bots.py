"""Two bots that keep a room company: they babble in turns, pause, and leave room for people.

A bot is an ordinary participant. It joins through the control protocol as any backend's visitor
does, connects as a WebRTC peer and sends Opus with audio levels; while it is silent it sends
silence, as an open microphone does. A removed bot stays away; a bot that lost its connection comes
back.

`python -m deploy.club.bots --control HOST:PORT --room NAME` runs them until a signal ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import signal
from collections.abc import Sequence

import structlog

from control import Client
from control.errors import ConnectionLost, ControlError
from control.events import ParticipantLeft
from control.types import LeaveReason, Role
from deploy.club.connecting import OptionError, add_options, client_of
from deploy.club.conversation import Frame, conversation
from deploy.club.path import PeerError
from deploy.club.peer import Peer, PeerOptions
from deploy.club.voices import Voice, utterances

log = structlog.get_logger("bots")

FRAME_S = 0.02
RETRY_S = 1.0
# Enough that a listener does not notice the repetition, and under a second to make.
UTTERANCES = 8
# A process that was stopped for longer than this goes on from now instead of sending what it
# missed.
LATE_S_MAX = 0.2

VOICES = (
    Voice(name="Alto (bot)", pitch_hz=208.0, formant_scale=1.15, seed=7),
    Voice(name="Basso (bot)", pitch_hz=108.0, formant_scale=0.96, seed=11),
)
# A bot hears nobody: one m-line is the least a peer can offer, and nothing is sent on it. Otherwise
# the mix would be, which on one m-line is all there is.
BOT_OPTIONS = PeerOptions(slots=1)


class Bot:
    """One bot in one room. `stay` keeps it there; `send` is a no-op while it is not connected."""

    def __init__(self, control: Client, room: str, voice: Voice, number: int) -> None:
        self.id = f"bot-{number}"
        self.removed = False
        self._control = control
        self._room = room
        self._voice = voice
        self._peer: Peer | None = None

    def send(self, frame: Frame) -> None:
        """Send this tick's frame."""
        if self._peer is not None:
            self._peer.send(frame.payload, level=frame.level)

    def lose(self, reason: LeaveReason) -> None:
        """The daemon says that this bot left the room."""
        if reason in (LeaveReason.REMOVED, LeaveReason.BANNED):
            self.removed = True
        if self._peer is not None:
            self._peer.closed.set()

    async def stay(self) -> None:
        """Join, and join again whenever the connection is lost, until removed."""
        while not self.removed:
            peer = Peer(BOT_OPTIONS)
            try:
                await self._join(peer)
                self._peer = peer
                await peer.closed.wait()
                log.info("bot is out", bot=self._voice.name, removed=self.removed)
            except (ConnectionLost, ControlError, PeerError, OSError) as error:
                log.info("bot cannot join", bot=self._voice.name, reason=str(error))
            finally:
                self._peer = None
                await peer.close()
            await asyncio.sleep(RETRY_S)

    async def _join(self, peer: Peer) -> None:
        await self._control.room_create(room=self._room)
        joined = await self._control.participant_join(
            room=self._room,
            participant=self.id,
            role=Role.SPEAKER,
            offer=peer.offer,
            name=self._voice.name,
        )
        await self._control.subscription_update(room=self._room, participant=self.id, paused=True)
        await peer.connect(joined.answer)


async def converse(bots: Sequence[Bot]) -> None:
    """Send a conversation tick by tick, on absolute deadlines so that it does not drift."""
    entropy = random.Random(1)
    repertoires = [await asyncio.to_thread(utterances, voice, UTTERANCES) for voice in VOICES]
    loop = asyncio.get_running_loop()
    deadline = loop.time()
    for tick in conversation(repertoires, entropy):
        for bot, frame in zip(bots, tick, strict=True):
            bot.send(frame)
        deadline = max(deadline + FRAME_S, loop.time() - LATE_S_MAX)
        await asyncio.sleep(deadline - loop.time())


async def watch(control: Client, room: str, bots: Sequence[Bot]) -> None:
    """Tell the bots why they were put out."""
    by_id = {bot.id: bot for bot in bots}
    while True:
        with contextlib.suppress(ConnectionLost, ControlError):
            async for event in control.events(rooms=[room]):
                body = event.body
                if isinstance(body, ParticipantLeft) and body.participant in by_id:
                    if body.reason is not LeaveReason.REPLACED:
                        by_id[body.participant].lose(body.reason)
        await asyncio.sleep(RETRY_S)


async def run(client: Client, room: str) -> None:
    """Keep the bots in `room` of the client's daemon; cancel to stop."""
    async with client as control, asyncio.TaskGroup() as tasks:
        bots = [Bot(control, room, voice, number) for number, voice in enumerate(VOICES, 1)]
        tasks.create_task(watch(control, room, bots))
        tasks.create_task(converse(bots))
        for bot in bots:
            tasks.create_task(bot.stay())


async def _run_until_signal(client: Client, room: str) -> None:
    task = asyncio.create_task(run(client, room))
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog="deploy.club.bots", description=__doc__)
    add_options(parser)
    parser.add_argument("--room", default="lobby")
    options = parser.parse_args()
    try:
        asyncio.run(_run_until_signal(client_of(options, "club-bots"), options.room))
    except OptionError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
