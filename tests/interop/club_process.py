"""The club in front of a real daemon: in this process, or as one that a test can kill."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Self

import aiohttp

from control import Client
from deploy.club.settings import Settings
from deploy.club.web.options import Appointed
from deploy.club.web.serving import Club, running
from tests.interop.daemon import ROOT, Daemon, free_port

SECRET = b"thirty-two bytes that only tests use"
START_S = 20.0
STOP_S = 10.0
POLL_S = 0.05


def settings_for(database_url: str) -> Settings:
    """A club in development, on a port of its own."""
    port = free_port(socket.SOCK_STREAM)
    return Settings(
        database_url=database_url,
        secret=SECRET,
        base_url=f"http://127.0.0.1:{port}",
        is_development=True,
    )


@contextlib.asynccontextmanager
async def club_here(
    settings: Settings, daemon: Daemon, hosts: Sequence[Appointed] = ()
) -> AsyncIterator[Club]:
    """The club in this process: what a test waits for needs no polling of a log."""
    control = Client(daemon.ports.control_endpoint)
    await control.connect()
    async with running(settings, control, "127.0.0.1", port_of(settings), hosts) as club:
        yield club


def port_of(settings: Settings) -> int:
    """Where its base URL says that it listens."""
    return int(settings.base_url.rpartition(":")[2])


class ClubProcess:
    """`python -m deploy.club.web`; `kill` and `start` may be called again and again."""

    def __init__(self, settings: Settings, daemon: Daemon, folder: Path) -> None:
        self.settings = settings
        self._daemon = daemon
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self.log = folder / "club.log"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_S)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    async def start(self) -> None:
        """Run it and wait until it answers."""
        secret = self._folder / "secret"
        secret.write_bytes(self.settings.secret)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "deploy.club.web", "--port", str(port_of(self.settings))),
                *("--control", self._daemon.ports.control_endpoint),
                *("--base-url", self.settings.base_url, "--secret-file", str(secret)),
                *("--database", self.settings.database_url),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(START_S):
            while not await self.answers():
                assert self._process.returncode is None, self.log.read_text()[-2000:]
                await asyncio.sleep(POLL_S)

    async def kill(self) -> None:
        """At this moment, in whatever it is doing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def answers(self) -> bool:
        """Whether it says that it is well."""
        timeout = aiohttp.ClientTimeout(2.0)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with aiohttp.ClientSession(timeout=timeout) as http:
                async with http.get(f"{self.settings.base_url}/healthz") as response:
                    return response.status == 200
        return False
