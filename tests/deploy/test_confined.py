"""What the units forbid, the daemon and the club do not need: they run under it."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from control import Client
from control.types import ParticipantStatus, Role
from deploy.club.peer import Peer
from tests.deploy.confined import LIBSECCOMP
from tests.interop.daemon import ROOT
from tests.interop.polling import until_equal
from tests.shell.process import FREE_PORTS

pytestmark = [pytest.mark.slow]


@pytest.fixture(autouse=True)
def means() -> None:
    """Skip where the kernel's means cannot be had."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (Debian: systemd)")
    try:
        ctypes.CDLL(LIBSECCOMP)
    except OSError:
        pytest.skip("needs libseccomp (Debian: libseccomp2)")


def confined(unit: str, *command: str) -> list[str]:
    """The command line that runs `command` under the unit."""
    return [sys.executable, "-m", "tests.deploy.confined", unit, "--", sys.executable, *command]


def test_what_a_unit_forbids_is_refused() -> None:
    """The confinement is one: a raw clock, another family, a mount."""
    tries = (
        "import socket, time, ctypes\n"
        "def refused(call):\n"
        "    try:\n"
        "        call()\n"
        "    except PermissionError:\n"
        "        return True\n"
        "print([refused(lambda: time.clock_settime(0, 1.8e9)),"
        " refused(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),"
        " ctypes.CDLL(None).mount(b'x', b'/', b'tmpfs', 0, None) == -1])"
    )
    command = confined("rostrum.service", "-c", tries)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[True, True, True]\n", done.stderr


async def test_the_daemon_connects_participants_under_its_unit(tmp_path: Path) -> None:
    settings = [word for one in FREE_PORTS for word in ("--set", one)]
    command = confined("rostrum.service", "-m", "sfu.shell.cli", "serve", *settings)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        listening = json.loads(process.stdout.readline())
        assert listening["event"] == "listening"
        async with Client(listening["control"]) as control:
            await control.room_create(room="lobby")
            peer = Peer()
            try:
                joined = await control.participant_join(
                    room="lobby", participant="guest-1", role=Role.SPEAKER, offer=peer.offer
                )
                await peer.connect(joined.answer)

                async def status() -> ParticipantStatus:
                    return (
                        await control.participant_get(room="lobby", participant="guest-1")
                    ).state

                await until_equal(status, ParticipantStatus.CONNECTED)
            finally:
                await peer.close()
        process.terminate()
        assert process.wait(5.0) == 0
    finally:
        process.kill()
        process.communicate()


def test_the_club_runs_under_its_unit(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef\n")
    words = (
        *("-m", "deploy.club.web", "--port", "0", "--secret-file", str(tmp_path / "key")),
        *("--database", f"sqlite+aiosqlite:///{tmp_path / 'club.sqlite'}"),
    )
    process = subprocess.Popen(
        confined("rostrum-club.service", *words), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "club: serving on 127.0.0.1:0\n"
        process.terminate()
        assert process.wait(5.0) == 0
    finally:
        process.kill()
        process.communicate()
