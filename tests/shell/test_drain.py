"""The daemon as a process that is told to end while people are there."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from control.client import Client
from control.errors import ControlError
from control.events import ParticipantLeft, ServerDraining
from control.types import LeaveReason, Role
from sfu.shell.daemon import CLOSE_WITHIN_S
from tests.shell.process import DaemonProcess
from tests.shell.test_serve import client_of, get
from tests.worker.harness import offer

# As the grace that a cluster gives by default, and as a long one.
GRACES_S = (30, 3_600)


async def populate(client: Client) -> None:
    """One room with one participant, who stays `new`."""
    await client.room_create(room="r")
    await client.participant_join(room="r", participant="p", role=Role.LISTENER, offer=offer())


@pytest.mark.parametrize("grace_s", GRACES_S)
async def test_it_drains_alive_but_not_ready_and_ends_when_the_last_has_left(grace_s: int) -> None:
    with DaemonProcess(f"drain.deadline_s={grace_s}") as daemon:
        async with client_of(daemon) as client, client.events(types=["server.*"]) as events:
            await populate(client)
            before_ms = time.time() * 1_000
            daemon.signal(signal.SIGTERM)
            told = [(await anext(events)) for _ in range(2)]
            assert [event.room for event in told] == [None, "r"]
            for event in told:
                assert isinstance(event.body, ServerDraining)
                assert grace_s * 1_000 - 1_000 <= event.body.deadline_ms <= grace_s * 1_000
            assert isinstance(told[1].body, ServerDraining) and told[1].body.migrate_by is not None
            assert 0 < told[1].body.migrate_by - before_ms <= grace_s * 800 + 1_000
            assert (get(daemon, "/readyz")[0], get(daemon, "/livez")[0]) == (503, 200)
            for refused in (client.room_create(room="new"), client.server_undrain()):
                with pytest.raises(ControlError):
                    await refused
            asked = time.monotonic()
            await client.participant_remove(room="r", participant="p")
            assert await asyncio.to_thread(daemon.process.wait, 5) == 0
            assert time.monotonic() - asked < 2.0
            await client.close()


async def test_at_the_deadline_whoever_is_left_is_sent_away() -> None:
    with DaemonProcess("drain.deadline_s=0.2") as daemon:
        async with client_of(daemon) as client, client.events(types=["participant.left"]) as events:
            await populate(client)
            asked = time.monotonic()
            daemon.signal(signal.SIGTERM)
            left = (await anext(events)).body
            assert isinstance(left, ParticipantLeft) and left.reason is LeaveReason.DRAINED
            assert time.monotonic() - asked >= 0.2
            assert await asyncio.to_thread(daemon.process.wait, 5) == 0
            assert time.monotonic() - asked < 2.0
            await client.close()


async def test_a_full_house_is_sent_away_within_the_time_that_was_promised() -> None:
    people = 1_000
    with DaemonProcess("drain.deadline_s=0.1", "limits.max_joins_per_s=100000") as daemon:
        async with client_of(daemon) as client, client.events(types=["participant.left"]) as events:
            await client.room_create(room="r", max_participants=people)
            sdp = offer()
            for begin in range(0, people, 100):
                await asyncio.gather(
                    *(
                        client.participant_join(
                            room="r", participant=f"p{number}", role=Role.LISTENER, offer=sdp
                        )
                        for number in range(begin, begin + 100)
                    )
                )
            asked = time.monotonic()
            daemon.signal(signal.SIGTERM)
            for _ in range(people):
                left = (await anext(events)).body
                assert isinstance(left, ParticipantLeft) and left.reason is LeaveReason.DRAINED
            assert await asyncio.to_thread(daemon.process.wait, 5) == 0
            assert time.monotonic() - asked < 0.1 + CLOSE_WITHIN_S + 0.5
            assert daemon.read_until("stopped")["left_behind"] == 0
            await client.close()


async def test_a_second_signal_ends_a_long_drain_on_the_spot() -> None:
    with DaemonProcess("drain.deadline_s=3600") as daemon:
        async with client_of(daemon) as client:
            await populate(client)
            daemon.signal(signal.SIGTERM)
            await asyncio.to_thread(daemon.read_until, "stopping")
            asked = time.monotonic()
            daemon.signal(signal.SIGTERM)
            assert await asyncio.to_thread(daemon.process.wait, 5) == 128 + signal.SIGTERM
            assert time.monotonic() - asked < 1.0
            await client.close()


async def test_the_service_manager_is_told_of_its_whole_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(os.fspath(path))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", os.fspath(path))
        monkeypatch.setenv("WATCHDOG_USEC", "2000000")
        with DaemonProcess() as daemon:
            heard = {manager.recv(200) for _ in range(2)}
            assert heard == {b"READY=1", b"WATCHDOG=1"}
            daemon.signal(signal.SIGHUP)
            told = [message for _ in range(3) if (message := manager.recv(200)) != b"WATCHDOG=1"]
            assert told[0].startswith(b"RELOADING=1\nMONOTONIC_USEC=") and told[1] == b"READY=1"
            daemon.signal(signal.SIGTERM)
            while (last := manager.recv(200)) == b"WATCHDOG=1":
                pass
            assert last == b"STOPPING=1\nEXTEND_TIMEOUT_USEC=2000000\nSTATUS=draining"
            assert await asyncio.to_thread(daemon.process.wait, 5) == 0


async def test_a_reload_during_a_drain_is_done_and_not_told_to_the_service_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(os.fspath(path))
        monkeypatch.setenv("NOTIFY_SOCKET", os.fspath(path))
        with DaemonProcess("drain.deadline_s=3600") as daemon:
            async with client_of(daemon) as client:
                await populate(client)
                daemon.signal(signal.SIGTERM)
                await asyncio.to_thread(daemon.read_until, "stopping")
                daemon.signal(signal.SIGHUP)
                await asyncio.to_thread(daemon.read_until, "reloaded")
                await client.participant_remove(room="r", participant="p")
                assert await asyncio.to_thread(daemon.process.wait, 5) == 0
                await client.close()
        manager.setblocking(False)
        told = []
        with suppress(BlockingIOError):
            while True:
                told.append(manager.recv(200).partition(b"\n")[0])
        assert told == [b"READY=1", b"STOPPING=1"]
