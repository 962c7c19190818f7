"""`sfuctl watch` as its user sees it: what is drawn, and how it follows, survives and ends."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from control import Client
from control.commands import AnyCommand, HandRaise, SnapshotResult
from control.events import EventsGap, HandRaised, ParticipantJoined, RoomClosed, RoomCreated
from control.roomview import RoomView
from control.server import Server
from control.sfuctl.screen import LISTED_MAX, draw, fitted
from control.sfuctl.tables import width
from control.sfuctl.watch import RoomFollower, take_snapshot
from control.types import ActiveSpeaker, Hand, ParticipantState, ParticipantStatus, Role
from tests.control.fake_daemon import FakeDaemon, room_state
from tests.control.samples import AT_MS, participant_state
from tests.control.test_sfuctl import Running, running
from tests.worker.harness import Bench

PATIENCE_S = 10.0


def view_of(*people: ParticipantState, hands: tuple[str, ...] = (), **fields: object) -> RoomView:
    """A view of the lobby with these in it."""
    raised = [Hand(participant=who, raised_at=AT_MS - 65_000) for who in hands]
    room = room_state("lobby", **fields)
    return RoomView(
        SnapshotResult(room=room, participants=list(people), hands=raised, epoch="e1", seq=1)
    )


RED = participant_state("red", role=Role.SPEAKER, muted=True, mute_locked=True, number=1)
BLUE = participant_state("blue", role=Role.MODERATOR, name="Blue", number=2)
WHITE = participant_state("white", state=ParticipantStatus.SUSPECT, number=3)
GUEST = participant_state("guest-1", invited_until=AT_MS + 30_000, number=4)


def test_a_full_room_is_drawn() -> None:
    loud = ActiveSpeaker(participant="blue", level=30, slot=1)
    view = view_of(RED, BLUE, WHITE, GUEST, hands=("white", "guest-1"), speakers=[loud])
    assert [line.rstrip() for line in draw(view, AT_MS)] == [
        "lobby  2026-01-01T00:00:00Z  live",
        "4 of 100 people, 2 of 20 on stage, 3 slots, door open, hands open",
        "",
        "STAGE 2",
        "  SLOT  PARTICIPANT  ROLE       LEVEL         MUTED",
        "  1     blue (Blue)  moderator  ######",
        "  -     red          speaker                  locked",
        "",
        "HANDS 2",
        "  1  white    1m 5s",
        "  2  guest-1  1m 5s",
        "",
        "INVITED 1",
        "  guest-1  30s left",
        "",
        "AUDIENCE 2",
        "  1 suspect, 1 connected",
        "  tiers: A1 4",
    ]


def test_a_broken_connection_and_a_closed_room_are_said() -> None:
    view = view_of(RED)
    assert "connection lost" in draw(view, AT_MS, is_connected=False)[0]
    view.closed = "over"
    assert draw(view, AT_MS)[1:] == ["closed (over)"]


def test_a_hall_fits_a_window() -> None:
    """Long lists are cut, then lines, then columns; wide characters count as two."""
    people = [
        participant_state(
            f"guest-{n}", role=Role.SPEAKER, name="\N{FULLWIDTH LATIN SMALL LETTER A}"
        )
        for n in range(40)
    ]
    lines = draw(view_of(*people), AT_MS)
    assert f"  ... {40 - LISTED_MAX} more" in lines
    window = fitted(lines, columns=21, rows=9)
    assert len(window) == 9 and max(map(width, window)) <= 21
    assert window[-1] == f"... {len(lines) - 8} more lines"[:21]


def test_names_cannot_move_the_cursor() -> None:
    evil = participant_state("red", role=Role.SPEAKER, name="\x1b[2J")
    assert not any("\x1b" in line for line in draw(view_of(evil), AT_MS))


# Following.


class Room:
    """A fake daemon with a room, a server that can be another one later, and a client."""

    def __init__(self) -> None:
        self.daemon = FakeDaemon()
        self.server = self._new_server("e1")
        self.changes = asyncio.Event()

    def _new_server(self, epoch: str) -> Server:
        return Server(self.daemon, epoch=epoch, wall_ms=lambda: AT_MS)

    def fill(self, *people: ParticipantState) -> None:
        """The lobby as the daemon knows it."""
        self.daemon.rooms["lobby"] = room_state("lobby")
        self.daemon.people["lobby"] = {one.participant: one for one in people}

    async def restart(self, address: str) -> None:
        """Another daemon in the place of the first."""
        await self.server.close(within_s=0.1)
        self.server = self._new_server("e2")
        await self.server.start(address)

    async def until(self, follower: RoomFollower, *people: str) -> None:
        """Wait until the view has exactly these people."""
        async with asyncio.timeout(PATIENCE_S):
            while set(follower.view.participants) != set(people):
                self.changes.clear()
                await self.changes.wait()


@contextlib.asynccontextmanager
async def following(room: Room, client: Client) -> AsyncIterator[RoomFollower]:
    """A follower that runs."""
    follower = RoomFollower(client, "lobby", on_change=room.changes.set)
    await follower.start()
    task = asyncio.create_task(follower.run())
    try:
        yield follower
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_events_are_followed() -> None:
    room = Room()
    room.fill(RED)
    async with room.server, Client(str(await room.server.start("127.0.0.1:0"))) as client:
        async with following(room, client) as follower:
            room.server.publish("lobby", ParticipantJoined(participant="white", state=WHITE))
            await room.until(follower, "red", "white")


async def test_a_gap_brings_a_new_snapshot() -> None:
    """What was missed is in it."""
    room = Room()
    room.fill(RED)
    async with room.server, Client(str(await room.server.start("127.0.0.1:0"))) as client:
        async with following(room, client) as follower:
            room.fill(RED, BLUE)
            room.server.publish(None, EventsGap(from_=1, to=1))
            await room.until(follower, "red", "blue")
            assert not follower.view.is_stale


async def test_another_daemon_in_its_place_is_followed() -> None:
    """With the state that this one has, and its events."""
    room = Room()
    room.fill(RED)
    address = str(await room.server.start("127.0.0.1:0"))
    async with Client(address) as client, following(room, client) as follower:
        room.server.publish("lobby", HandRaised(participant="red", raised_at=AT_MS))
        room.fill(BLUE)
        await room.restart(address)
        await room.until(follower, "blue")
        room.server.publish("lobby", ParticipantJoined(participant="white", state=WHITE))
        await room.until(follower, "blue", "white")
    await room.server.close()


async def test_a_room_that_is_gone_may_come_again() -> None:
    """Closed, unknown to the next daemon, or created anew."""
    room = Room()
    room.fill(RED)
    async with room.server, Client(str(await room.server.start("127.0.0.1:0"))) as client:
        async with following(room, client) as follower:
            room.server.publish("lobby", RoomClosed(reason="over"))
            await room.until(follower)
            assert follower.view.closed == "over"
            del room.daemon.rooms["lobby"]
            room.server.publish(None, EventsGap(from_=1, to=1))
            room.fill(BLUE)
            room.server.publish("lobby", RoomCreated(state=room_state("lobby")))
            room.server.publish("lobby", ParticipantJoined(participant="blue", state=BLUE))
            await room.until(follower, "blue")
            assert follower.view.closed is None


async def test_a_room_too_large_for_a_frame_is_taken_in_pages() -> None:
    """With everybody in it once, hands in order."""
    bench = Bench()
    bench.room()
    for n in range(130):
        bench.join(f"guest-{n}", metadata={"fill": "x" * 9_000})
    for n in (99, 7):
        bench.run(HandRaise(room="r", participant=f"guest-{n}"))
        bench.wait(0.01)

    class Behind:
        """The worker as a handler."""

        async def submit(self, command: AnyCommand) -> Any:
            return bench.run(command)

    async with Server(Behind(), epoch="e1") as server:
        async with Client(str(await server.start("127.0.0.1:0"))) as client:
            taken = await take_snapshot(client, "r")
    assert [one.number for one in taken.participants] == list(range(1, 131))
    assert [hand.participant for hand in taken.hands] == ["guest-99", "guest-7"]


# As a program.


class Watched:
    """`sfuctl watch lobby` on a terminal of its own."""

    def __init__(self, server: Running) -> None:
        self._control, terminal = pty.openpty()
        self.resize(24, 80)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "control.sfuctl", "--address", server.address, "watch", "lobby"],
            stdin=terminal,
            stdout=terminal,
            stderr=subprocess.PIPE,
        )
        os.close(terminal)
        self.seen = ""

    def resize(self, rows: int, columns: int) -> None:
        """Another size of the window."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._control, termios.TIOCSWINSZ, size)

    def until(self, text: str) -> str:
        """Read until this was drawn; all that was drawn since the last call."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._control], [], [], left)[0], self.seen
            self.seen += os.read(self._control, 65_536).decode()
        seen, self.seen = self.seen, ""
        return seen

    def press(self, keys: bytes) -> None:
        """Keys of its user."""
        os.write(self._control, keys)

    def end(self) -> tuple[int, str]:
        """Wait for it; its exit status, and what it complained about."""
        assert self.process.stderr is not None
        with self.process.stderr as complaints:
            complained = complaints.read().decode()
        status = self.process.wait(PATIENCE_S)
        os.close(self._control)
        return status, complained


@pytest.fixture
def lobby() -> Iterator[Running]:
    """A server with a room."""
    with running() as server:
        server.daemon.rooms["lobby"] = room_state("lobby")
        server.daemon.people["lobby"] = {"red": RED}
        yield server


@pytest.mark.parametrize("by", ["q", "Ctrl-C"])
def test_a_terminal_is_drawn_on_until_its_user_quits(lobby: Running, by: str) -> None:
    """In place, on a screen of its own which is given back; nothing is complained about."""
    watched = Watched(lobby)
    first = watched.until("q quits")
    assert first.startswith("\x1b[?1049h") and "STAGE 1" in first
    lobby.publish("lobby", ParticipantJoined(participant="white", state=WHITE))
    assert "\x1b[H" in watched.until("1 suspect")
    if by == "q":
        watched.press(b"q")
    else:
        watched.process.send_signal(signal.SIGINT)
    watched.until("\x1b[?1049l")
    assert watched.end() == (0, "")


def test_a_new_size_is_drawn_for_at_once(lobby: Running) -> None:
    watched = Watched(lobby)
    watched.until("q quits")
    watched.resize(4, 20)
    watched.process.send_signal(signal.SIGWINCH)
    watched.until("more lines")
    watched.press(b"q")
    assert watched.end() == (0, "")


def test_elsewhere_it_prints_lines(lobby: Running) -> None:
    """The room once, then its events; no escapes."""
    command = [sys.executable, "-m", "control.sfuctl", "--address", lobby.address, "watch", "lobby"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        heading = process.stdout.readline()
        while process.stdout.readline() != b"\n":
            pass
        lobby.publish("lobby", HandRaised(participant="red", raised_at=AT_MS))
        told = iter(process.stdout.readline, b"")
        line = next(line for line in told if b"#" in line)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    assert heading.startswith(b"lobby  ") and line.endswith(b"lobby: red raised a hand\n")
    assert b"\x1b" not in heading


def test_as_json_it_prints_a_snapshot_and_events(lobby: Running) -> None:
    command = [sys.executable, "-m", "control.sfuctl", "--address", lobby.address]
    command += ["watch", "lobby", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        lobby.publish("lobby", HandRaised(participant="red", raised_at=AT_MS))
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    assert (first["room"]["room"], first["participants"][0]["participant"]) == ("lobby", "red")
    assert (second["m"], second["p"]["participant"]) == ("hand.raised", "red")


def test_a_room_that_does_not_exist_is_refused(lobby: Running) -> None:
    command = [sys.executable, "-m", "control.sfuctl", "--address", lobby.address, "watch", "hall"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "sfuctl: not_found: no such room: hall\n"
