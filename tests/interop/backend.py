"""A backend that may die at any moment: what it means to do and what it has heard is in a journal.

    python -m tests.interop.backend PORT ROOM JOURNAL OFFER [--finish]

Before a command is sent its number is written down, and its number again when the answer has come;
so whoever starts next sends what has no answer once more, under the same idempotency key. Every
event is written down as it comes, and the next life resumes behind the last one.

One line of JSON for each: {"do": n}, {"done": n}, {"refused": n, "code"}, {"at": seq, "epoch"},
{"event": seq, "m", ...}, {"gap": [from, to]}. With --finish it ends when nothing is left to do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from control.commands import (
    AnyCommand,
    EventsSubscribe,
    ParticipantJoin,
    Position,
    RoomSnapshot,
    RoomUpdate,
)
from control.endpoint import TcpEndpoint
from control.errors import ControlError
from control.events import Event, EventsGap, ParticipantJoined, RoomUpdated
from control.link import Link, open_link
from control.types import Role

GHOST = "ghost"
# Each of these is another life of the same participant, so a join done twice shows.
JOIN_EVERY = 5
AT_ONCE = 8
# Between two commands of one of them; more would measure the daemon, not retries.
PAUSE_S = 0.01


@dataclass
class Past:
    """What the journal tells of earlier lives."""

    epoch: str | None = None
    seq: int = 0
    last: int = 0
    pending: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, journal: Path) -> Past:
        """From the first line to the last whole one."""
        past = cls()
        for line in lines_of(journal):
            past.epoch = line.get("epoch", past.epoch)
            past.seq = line.get("at", line.get("event", line.get("gap", [0, past.seq])[1]))
            if "do" in line:
                past.last = line["do"]
                past.pending.append(past.last)
            elif "done" in line:
                past.pending.remove(line["done"])
        return past


def lines_of(journal: Path) -> list[dict[str, Any]]:
    """Everything that was written whole."""
    whole, _, _ = journal.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def command_of(number: int, room: str, offer: str) -> AnyCommand:
    """Each number is a command of its own, whose effect shows how often it was done."""
    if number % JOIN_EVERY == 0:
        return ParticipantJoin(room=room, participant=GHOST, role=Role.LISTENER, offer=offer)
    return RoomUpdate(room=room, metadata={"number": number})


class Backend:
    """One life."""

    def __init__(self, room: str, journal: Path, offer: str) -> None:
        self._room = room
        self._offer = offer
        self._past = Past.read(journal)
        self._seq = self._past.seq
        self._file = os.open(journal, os.O_WRONLY | os.O_APPEND)
        self._heard = asyncio.Event()

    async def run(self, port: int, *, finish: bool) -> None:
        """Until killed, or until nothing is left."""
        link = await open_link(TcpEndpoint("127.0.0.1", port), None, self._on_event)
        await link.greet("backend", None)
        await self._resume(link)
        print("ready", flush=True)
        if finish:
            await asyncio.gather(*(self._do(link, number) for number in self._past.pending))
            snapshot = await link.call(RoomSnapshot(room=self._room))
            while self._seq < snapshot.seq:
                self._heard.clear()
                await self._heard.wait()
            return
        pending = iter(self._past.pending)
        await asyncio.gather(*(self._work(link, pending) for _ in range(AT_ONCE)))

    async def _resume(self, link: Link) -> None:
        past = self._past
        since = None if past.epoch is None else Position(epoch=past.epoch, seq=past.seq)
        position = await link.call(EventsSubscribe(rooms=[self._room], since=since))
        if since is None:
            self._seq = position.seq
            self._write(at=position.seq, epoch=position.epoch)

    async def _work(self, link: Link, pending: Any) -> None:
        """What earlier lives left, then new commands, for ever."""
        while True:
            number = next(pending, None)
            if number is None:
                self._past.last = number = self._past.last + 1
                self._write(do=number)
            await self._do(link, number)
            await asyncio.sleep(PAUSE_S)

    async def _do(self, link: Link, number: int) -> None:
        command = command_of(number, self._room, self._offer)
        try:
            await link.call(command, key=f"number-{number}", deadline_s=10.0)
        except ControlError as error:
            self._write(refused=number, code=error.code.value)
        self._write(done=number)

    def _on_event(self, event: Event) -> None:
        body = event.body
        if isinstance(body, EventsGap):
            self._write(gap=[body.from_, body.to])
            self._seq = body.to
        else:
            more: dict[str, Any] = {}
            if isinstance(body, RoomUpdated):
                more["number"] = body.state.metadata.get("number")
            elif isinstance(body, ParticipantJoined):
                more["generation"] = body.state.generation
            self._write(event=event.seq, m=body.method, **more)
            self._seq = event.seq
        self._heard.set()

    def _write(self, **line: Any) -> None:
        os.write(self._file, (json.dumps(line) + "\n").encode())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("room")
    parser.add_argument("journal", type=Path)
    parser.add_argument("offer", type=Path)
    parser.add_argument("--finish", action="store_true")
    given = parser.parse_args()

    async def live() -> None:
        backend = Backend(given.room, given.journal, given.offer.read_text(encoding="utf-8"))
        await backend.run(given.port, finish=given.finish)

    asyncio.run(live())


if __name__ == "__main__":
    main()
