"""Janus as a target: its VideoRoom plugin, audio only, with the settings that make it fastest.

A speaker is a publisher: the client offers. A listener is one subscriber of every speaker that is
in the room when it joins: Janus offers an m-line for each, with an SSRC of its own, and the client
answers. A speaker hears nobody, since in Janus that would be a second connection.

Janus keeps a speaker's payload type, and offers the extension ids that it uses; both are in its
descriptions. It sends no CSRC: who speaks is told by the m-line. It has no slots: every speaker is
forwarded, whoever is silent too.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from bench.targets import JoinRefused, Lines, Peer, Place, Role, TargetError
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
# What a listener waits for the speakers before it to be connected.
_SPEAKERS_WITHIN_S: Final = 20.0


@dataclass
class _Room:
    speakers: list[str] = field(default_factory=list)
    handles: dict[str, int] = field(default_factory=dict)


class Janus:
    """A Janus of its own for this run. Its place needs an address that is not loopback."""

    name = "janus"
    hears_later_speakers = False

    def __init__(self, place: Place, *, settings: Settings | None = None) -> None:
        self.media_address = place.address
        self.version = ""
        self._place = place
        self._settings = settings or Settings()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: ServerProcess | None = None
        self._api_or_none: JanusApi | None = None
        self._keeper = 0  # the handle that makes rooms
        self._rooms: dict[str, _Room] = {}

    async def start(self) -> None:
        """Write its configuration, run it, connect. Raises TargetError."""
        installed = find_janus()
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
            self._keeper = await self._api.attach()
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
        self._rooms.clear()

    def pids(self) -> list[int]:
        """One process."""
        return [] if self._process is None else [self._process.pid]

    async def create_room(self, room: str, *, slots: int, speakers: int) -> None:
        """A room for so many publishers; `slots` has no meaning here."""
        body = {
            "request": "create",
            "room": room,
            "publishers": speakers,
            "audiocodec": "opus",
            "audiolevel_ext": True,
            "audiolevel_event": False,
            "transport_wide_cc_ext": False,
            "record": False,
            "notify_joining": False,
        }
        try:
            await self._api.message(self._keeper, body)
        except JanusError as error:
            raise TargetError(f"janus: room {room}: {error}") from None
        self._rooms[room] = _Room()

    async def join(self, room: str, participant: str, role: Role, peer: Peer) -> None:
        """The client offers as a speaker, and answers as a listener."""
        there = self._rooms[room]
        handle = 0
        try:
            handle = await self._api.attach()
            if role == "speaker":
                await self._publish(room, participant, handle, peer)
            else:
                await self._subscribe(room, there, handle, peer)
        except BaseException as error:
            with contextlib.suppress(JanusError, TargetError):
                if handle:
                    await self._api.detach(handle)
            if isinstance(error, JanusError):
                raise JoinRefused(f"janus: {error}") from None
            raise
        there.handles[participant] = handle
        if role == "speaker":
            there.speakers.append(participant)

    async def leave(self, room: str, participant: str) -> None:
        """Detach its handle; whoever is gone already is no error."""
        there = self._rooms[room]
        handle = there.handles.pop(participant, None)
        if handle is None:
            return
        if participant in there.speakers:
            there.speakers.remove(participant)
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

    async def _publish(self, room: str, participant: str, handle: int, peer: Peer) -> None:
        # Answering `actpass`, Janus would be the DTLS client; every client here is that itself.
        offer = peer.offer(Lines(sends=True, receives=0)).replace(
            "a=setup:actpass", "a=setup:active"
        )
        body = {"request": "joinandconfigure", "ptype": "publisher", "room": room}
        body["id"] = participant
        joined = await self._api.message(handle, body, {"type": "offer", "sdp": offer})
        peer.accept(_description(joined))

    async def _subscribe(self, room: str, there: _Room, handle: int, peer: Peer) -> None:
        speakers = list(there.speakers)
        if not speakers:
            raise JoinRefused("janus: a listener needs speakers in the room before it")
        for speaker in speakers:
            # Janus knows a speaker's stream from the end of its DTLS handshake on.
            its = there.handles[speaker]
            if not await self._api.wait_connected(its, within_s=_SPEAKERS_WITHIN_S):
                raise JoinRefused(f"janus: the speaker {speaker} is not connected")
        body: dict[str, Any] = {"request": "join", "ptype": "subscriber", "room": room}
        body["streams"] = [{"feed": speaker} for speaker in speakers]
        # Without it a speaker who leaves would start a negotiation with every listener.
        body["autoupdate"] = False
        offered = await self._api.message(handle, body)
        answer = peer.answer(_description(offered))
        await self._api.message(handle, {"request": "start"}, {"type": "answer", "sdp": answer})


def _description(data: dict[str, Any]) -> str:
    try:
        return str(data["jsep"]["sdp"])
    except KeyError:
        raise JanusError("it sent no description") from None
