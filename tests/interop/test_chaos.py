"""A backend that is killed again and again while people talk: nobody hears it, nothing is lost."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control import Client, EventStream
from control.events import Event, EventsGap, ParticipantJoined, RoomUpdated
from control.types import Role
from deploy.club.peer import Peer
from tests.interop.backend import GHOST, JOIN_EVERY, lines_of
from tests.interop.crowd import Crowd, Guest
from tests.interop.daemon import ROOT, Daemon, running
from tests.interop.polling import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

KILLS = 50
SPEAKERS = 2
LISTENERS = 4
ROOM = "stage"
# How long a life lasts after its first word: mostly too short for an answer to everything asked.
LIFE_S_MAX = 0.08


def counted(speaker: int) -> Iterator[bytes]:
    """Packets of the length of speech, of which no two are alike."""
    for number in itertools.count():
        yield b"\x78" + bytes([speaker]) + number.to_bytes(4, "big") * 15


class Lives:
    """The backend's processes, one after another, over the same journal."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.journal = folder / "journal"
        self.journal.touch()
        offer = folder / "offer"
        offer.write_text(Peer().offer, encoding="utf-8")
        module = "tests.interop.backend"
        self._words = [sys.executable, "-m", module, str(daemon.ports.control), ROOM]
        self._words += [str(self.journal), str(offer)]

    async def live_and_die(self, life_s: float) -> None:
        """One life, ended by SIGKILL so long after its first word."""
        process = await self._start()
        await asyncio.sleep(life_s)
        process.kill()
        await process.wait()

    async def finish(self) -> None:
        """A last life that does what is left and hears what was missed."""
        process = await self._start("--finish")
        async with asyncio.timeout(20):
            assert await process.wait() == 0

    async def _start(self, *words: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *self._words, *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"ready\n"
        return process


async def watch(stream: EventStream, into: list[Event]) -> None:
    """Write down everything, on a connection that nobody kills."""
    async for event in stream:
        into.append(event)


def effects(events: list[Event]) -> list[int]:
    """The numbers of the commands that took effect, in order; joins count for themselves."""
    done, generation = [], 0
    for event in events:
        if isinstance(event.body, RoomUpdated):
            done.append(int(event.body.state.metadata["number"]))
        elif isinstance(event.body, ParticipantJoined) and event.body.participant == GHOST:
            generation += 1
            assert event.body.state.generation == generation
            done.append(generation * JOIN_EVERY)
    return done


async def test_fifty_deaths_of_a_backend_cost_nothing(tmp_path: Path) -> None:
    """No command is lost or done twice, no event is missed unreported, no packet is lost."""
    chance = random.Random(4)
    with running() as daemon:
        lives = Lives(daemon, tmp_path)
        async with daemon.client() as control, Crowd(control, ROOM) as crowd:
            speakers = [await crowd.join(f"s{n}", Role.SPEAKER) for n in range(SPEAKERS)]
            listeners = await crowd.join_many(LISTENERS)
            for number, speaker in enumerate(speakers):
                speaker.talk(counted(number), 20)
            events: list[Event] = []
            async with control.events(rooms=[ROOM]) as stream:
                watching = asyncio.create_task(watch(stream, events))
                for _ in range(KILLS):
                    await lives.live_and_die(chance.uniform(0.0, LIFE_S_MAX))
                await lives.finish()
                last = await all_heard(control, events)
                watching.cancel()
            await heard_to_the_end(speakers, listeners)
            counters = await control.server_stats()
        repeats = daemon.metric("rostrum_control_idempotent_repeats_total")
    lines = lines_of(lives.journal)
    check_commands(lines, events, repeats)
    check_events(lines, [event for event in events if event.seq <= last])
    dropped = {name: n for name, n in counters.items() if "drop" in name and n}
    for listener in listeners:
        for speaker in speakers:
            said = listener.voices()[speaker.number]
            assert said == speaker.sent[: len(said)], dropped
            assert len(said) == len(speaker.sent)


def check_commands(lines: list[dict[str, Any]], events: list[Event], repeats: float) -> None:
    """Each was done once, in order, and often enough a life ended before the answer."""
    assert [line for line in lines if "refused" in line] == []
    asked = [line["do"] for line in lines if "do" in line]
    assert asked == list(range(1, len(asked) + 1)) and len(asked) > KILLS
    assert sorted(line["done"] for line in lines if "done" in line) == asked
    assert effects(events) == asked
    assert repeats >= KILLS / 5, "answers were lost with those who waited for them"


def check_events(lines: list[dict[str, Any]], events: list[Event]) -> None:
    """What all lives together heard is what happened, once, in order; or they knew of a gap."""
    begun = next(line["at"] for line in lines if "at" in line)
    gaps = [line["gap"] for line in lines if "gap" in line]
    heard = [(line["event"], line["m"]) for line in lines if "event" in line]
    happened = [(event.seq, event.body.method) for event in events if event.seq > begun]
    untold = [one for one in happened if not any(a <= one[0] <= b for a, b in gaps)]
    assert heard == untold
    assert gaps == [], "everything was held for long enough"


async def all_heard(control: Client, events: list[Event]) -> int:
    """Wait until the witness has everything up to now; the number of the last event."""
    last = (await control.room_snapshot(room=ROOM)).seq
    await until(lambda: bool(events) and events[-1].seq >= last, "the witness is there")
    assert not any(isinstance(event.body, EventsGap) for event in events)
    return last


async def heard_to_the_end(speakers: list[Guest], listeners: list[Guest]) -> None:
    """Stop talking, and wait for the last packet."""
    for speaker in speakers:
        speaker.talks = False
    ends = {speaker.number: speaker.sent[-1] for speaker in speakers}
    await until(
        lambda: all(
            listener.voices().get(number, [b""])[-1] == end
            for listener in listeners
            for number, end in ends.items()
        ),
        "the last packets",
    )
