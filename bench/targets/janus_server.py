"""A Janus of its own for one run: started, asked, stopped. What its plugins do is in `janus` and
`janus_mixes`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, Self

from bench.targets import JoinRefused, Place, TargetError
from bench.targets.janus_api import JanusApi, JanusError
from bench.targets.janus_config import Installed, Settings, find_janus, write_config
from bench.targets.processes import ServerProcess

_START_WITHIN_S: Final = 5.0
# The thread that serves the API ends at once if it runs before its creator has gone on: on one core
# every second time, and Janus ends or serves nobody. A creator that nobody may interrupt goes on;
# threads and processes it starts are ordinary ones. Only root may ask for that, so every other
# attempt does without.
_UNINTERRUPTED: Final = ("chrt", "--reset-on-fork", "--fifo", "1")
_START_ATTEMPTS: Final = 12


class JanusServer:
    """The process with these plugins, and the connection to it. Its place needs an address that is
    not loopback.
    """

    plugins: Sequence[str]  # as in `videoroom`

    def __init__(self, place: Place, *, settings: Settings | None = None) -> None:
        self.media_address = place.address
        self.version = ""
        self._place = place
        self._settings = settings or Settings()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: ServerProcess | None = None
        self._api_or_none: JanusApi | None = None
        self._handles: dict[tuple[str, str], int] = {}  # by room and participant

    async def start(self) -> None:
        """Write its configuration, run it, connect. Raises TargetError."""
        installed = find_janus(plugins=self.plugins)
        if self._place.address.startswith("127.") or self._place.address == "::1":
            raise TargetError("janus refuses loopback addresses: give it a network namespace")
        for attempt in range(_START_ATTEMPTS):
            try:
                await self._run(installed, () if attempt % 2 else _UNINTERRUPTED)
                break
            except TargetError:
                await self.stop()
                if attempt == _START_ATTEMPTS - 1:
                    raise
        self.version = self._api.version
        try:
            await self._prepare()
        except JanusError as error:
            raise TargetError(f"janus: {error}") from None

    async def stop(self) -> None:
        """Hang up, end it, remove its files."""
        if self._api_or_none is not None:
            self._api_or_none.close()
            self._api_or_none = None
        if self._process is not None:
            await self._process.stop()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        self._handles.clear()

    def pids(self) -> list[int]:
        """One process."""
        return [] if self._process is None else [self._process.pid]

    async def leave(self, room: str, participant: str) -> None:
        """Detach its handle; whoever is gone already is no error."""
        handle = self._handles.pop((room, participant), None)
        if handle is not None:
            with contextlib.suppress(JanusError):
                await self._api.detach(handle)

    async def counters(self) -> dict[str, int]:
        """What Janus told of its clients. It counts no packets in sum: count those that arrive."""
        return {f"notices_{kind}": count for kind, count in self._api.notices.items()}

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    @property
    def _api(self) -> JanusApi:
        if self._api_or_none is None:
            raise TargetError("janus is not running")
        return self._api_or_none

    async def _prepare(self) -> None:
        """Whatever a plugin needs before there are rooms."""

    async def _enter(
        self,
        plugin: str,
        seat: tuple[str, str],
        negotiate: Callable[[int], Awaitable[None]],
    ) -> int:
        """A handle for one client, negotiated; nothing is left of one that was refused."""
        handle = 0
        try:
            handle = await self._api.attach(plugin)
            await negotiate(handle)
        except BaseException as error:
            with contextlib.suppress(JanusError, TargetError):
                if handle:
                    await self._api.detach(handle)
            if isinstance(error, JanusError):
                raise JoinRefused(f"janus: {error}") from None
            raise
        self._handles[seat] = handle
        return handle

    async def _ask_for_room(self, room: str, keeper: int, body: dict[str, Any]) -> dict[str, Any]:
        """TargetError for a refusal: without the room there is no load."""
        try:
            return await self._api.message(keeper, body)
        except JanusError as error:
            raise TargetError(f"janus: room {room}: {error}") from None

    async def _run(self, installed: Installed, prefix: tuple[str, ...]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sfu-bench-janus-")
        folder = Path(self._folder.name)
        socket_path = write_config(folder, installed, self._place, self._settings)
        self._process = await ServerProcess.start(
            "janus",
            self._place,
            [*prefix, str(installed.program), "--configs-folder", str(folder)],
            log=folder / "log",
            folder=folder,
        )
        await self._process.wait_until(socket_path.is_socket, within_s=_START_WITHIN_S)
        self._api_or_none = await JanusApi.connect(socket_path)
        if prefix:
            os.sched_setscheduler(self._process.pid, os.SCHED_OTHER, os.sched_param(0))


def as_dtls_client(offer: str) -> str:
    """Answering `actpass`, Janus would be the DTLS client; every client here is that itself."""
    return offer.replace("a=setup:actpass", "a=setup:active")


def description(data: dict[str, Any]) -> str:
    """Janus's description beside an answer of its API. JanusError when there is none."""
    try:
        return str(data["jsep"]["sdp"])
    except KeyError:
        raise JanusError("it sent no description") from None
