"""Rostrum as a target: a daemon of our own for this run, or one that runs already."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import re
import secrets
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from bench.options import Mode
from bench.targets import JoinRefused, Lines, Peer, Place, Role, TargetError
from bench.targets.mixing_metrics import MixTotals, read_mix_totals
from bench.targets.processes import ServerProcess
from control import Client, ConnectionLost, ControlError, ErrorCode, Key
from control.calls.stage import SubscriptionFields

_START_WITHIN_S: Final = 15.0
# A storm of joins waits in the client for its turn; the load measures that, it must not fail by it.
_DEADLINE_S: Final = 60.0
_HTTP_WITHIN_S: Final = 5.0
# Empty rooms must not close while a load prepares.
_EMPTY_TIMEOUT_S: Final = 86_400
# As many as the daemon's tables hold: the load finds its limits, not the configuration's.
_LIMITS: Final = (
    "limits.max_rooms=10922",
    "limits.max_participants=65536",
    "limits.max_participants_per_room=65536",
    "limits.max_speakers_per_room=65536",
)
_UDP_COUNTER: Final = re.compile(
    r"^rostrum_udp_(?P<name>\w+?)_total(?:\{reason=\"(?P<reason>\w+)\"\})? (?P<value>\S+)$", re.M
)


@dataclass(frozen=True)
class Hearing:
    """What listeners offer and ask for. `lines` 0: an m-line for each slot of the room; `max_kbps`
    in turn, one after the other, 0: whatever their line takes.
    """

    mode: Mode = "auto"
    lines: int = 0
    max_kbps: tuple[int, ...] = (0,)

    def wishes(self, number: int) -> SubscriptionFields:
        """What the listener of that number asks for beside its offer; nothing where it is what
        everybody gets.
        """
        wishes: SubscriptionFields = {}
        if self.mode != "auto":
            wishes["mode"] = self.mode
        if limit := self.max_kbps[number % len(self.max_kbps)]:
            wishes["max_kbps"] = limit
        return wishes


class AttachedRostrum:
    """A daemon that runs already: steered as any backend steers it, and left running.

    `control` is `host:port` or `unix:/path`, `metrics_url` as in `http://127.0.0.1:7780/metrics`
    (without it `counters` lacks what only the daemon's socket knows), `pids` its processes.
    """

    name = "rostrum"
    hears_later_speakers = True

    def __init__(
        self,
        control: str,
        *,
        key: Key | None = None,
        media_address: str = "127.0.0.1",
        pids: Sequence[int] = (),
        metrics_url: str | None = None,
        hearing: Hearing | None = None,
    ) -> None:
        self.media_address = media_address
        self.version = ""
        self.control = control
        self.key = key  # of further control connections, too
        self._pids = list(pids)
        self.metrics_url = metrics_url
        self._hearing = hearing or Hearing()
        self._numbers = count()  # of listeners
        self._client: Client | None = None
        self._slots: dict[str, int] = {}

    @property
    def client(self) -> Client:
        """The control connection, for loads that steer by themselves; after start()."""
        assert self._client is not None, "start() comes first"
        return self._client

    async def start(self) -> None:
        """Connect; raises TargetError when nobody answers or the key is refused."""
        client = Client(self.control, key=self.key, name="sfu-bench", deadline_s=_DEADLINE_S)
        try:
            await client.connect()
            self.version = (await client.server_info()).version
        except (ConnectionLost, ControlError) as error:
            await client.close()
            raise TargetError(f"rostrum at {self.control}: {error}") from None
        self._client = client

    async def stop(self) -> None:
        """Hang up, after closing the rooms this load made."""
        client, self._client = self._client, None
        if client is None:
            return
        with contextlib.suppress(ConnectionLost, ControlError):
            await asyncio.gather(*(client.room_close(room=room) for room in self._slots))
        self._slots.clear()
        await client.close()

    def pids(self) -> list[int]:
        """The daemon's processes, as far as they are known."""
        return list(self._pids)

    async def create_room(self, room: str, *, slots: int, speakers: int) -> None:
        """A room with so many slots; raises TargetError when it is refused."""
        try:
            await self.client.room_create(
                room=room, slots=slots, max_speakers=speakers, empty_timeout_s=_EMPTY_TIMEOUT_S
            )
        except (ConnectionLost, ControlError) as error:
            raise TargetError(f"rostrum: room {room}: {error}") from None
        self._slots[room] = slots

    async def join(self, room: str, participant: str, role: Role, peer: Peer) -> None:
        """The client offers a line for each slot, or as many as listeners were told to; speakers
        hear the others too.
        """
        is_listener = role == "listener"
        lines = (is_listener and self._hearing.lines) or self._slots[room]
        offer = peer.offer(Lines(sends=not is_listener, receives=lines))
        try:
            joined = await self.client.participant_join(
                room=room, participant=participant, role=role, offer=offer
            )
            if is_listener and (wishes := self._hearing.wishes(next(self._numbers))):
                await self.client.subscription_update(room=room, participant=participant, **wishes)
        except ControlError as error:
            limit = error.detail.get("limit")
            raise JoinRefused(str(error), limit=limit) from None
        except ConnectionLost as error:
            raise TargetError(f"rostrum: {error}") from None
        peer.accept(joined.answer)

    async def leave(self, room: str, participant: str) -> None:
        """Remove it; whoever is gone already is no error."""
        try:
            await self.client.participant_remove(room=room, participant=participant)
        except ControlError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise TargetError(f"rostrum: {error}") from None
        except ConnectionLost as error:
            raise TargetError(f"rostrum: {error}") from None

    async def counters(self) -> dict[str, int]:
        """The daemon's own, its UDP port's as `udp_...`, and `dropped`: lost at that port."""
        try:
            counters = dict(await self.client.server_stats())
        except (ConnectionLost, ControlError) as error:
            raise TargetError(f"rostrum: {error}") from None
        if self.metrics_url is not None:
            udp = _udp_counters(await http_get(self.metrics_url))
            counters |= {f"udp_{name}": value for name, value in udp.items()}
            counters["dropped"] = udp.get("kernel_drops", 0) + sum(
                value for name, value in udp.items() if name.startswith("dropped_")
            )
        return counters

    async def mix_totals(self) -> MixTotals | None:
        """What it tells of its mixing; None where its metrics are not to be had."""
        if self.metrics_url is None:
            return None
        return read_mix_totals(await http_get(self.metrics_url), self.pids())

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()


class Rostrum(AttachedRostrum):
    """A daemon of its own for this run, on ports that are free, gone with it.

    `settings` are further `section.key=value` of its configuration.
    """

    def __init__(
        self,
        place: Place | None = None,
        *,
        settings: Sequence[str] = (),
        hearing: Hearing | None = None,
    ) -> None:
        self._place = place or Place()
        self._settings = list(settings)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: ServerProcess | None = None
        key = Key("sfu-bench", secrets.token_hex(16).encode())
        super().__init__("", key=key, media_address=self._place.address, hearing=hearing)

    async def start(self) -> None:
        """Run `sfu serve`, wait until it is ready, connect. Raises TargetError."""
        self._folder = tempfile.TemporaryDirectory(prefix="sfu-bench-rostrum-")
        folder = Path(self._folder.name)
        process = await self._run(folder)
        self._process = process
        await process.wait_until(
            lambda: _listening(process.log_text()) is not None, within_s=_START_WITHIN_S
        )
        listening = _listening(process.log_text())
        assert listening is not None
        http = f"http://{listening['http']}"
        self.control, self.metrics_url = listening["control"], f"{http}/metrics"
        await http_get(f"{http}/readyz")
        self._pids = [process.pid]
        await super().start()

    async def stop(self) -> None:
        """Hang up, end the daemon, remove its files."""
        await super().stop()
        if self._process is not None:
            await self._process.stop()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def _run(self, folder: Path) -> ServerProcess:
        config = folder / "sfu.toml"
        config.write_text(self._config())
        overrides = [part for one in [*_LIMITS, *self._settings] for part in ("--set", one)]
        arguments = ["-m", "sfu.shell.cli", "serve", "--config", str(config), *overrides]
        return await ServerProcess.start(
            "rostrum",
            self._place,
            [sys.executable, *arguments],
            log=folder / "log",
            folder=_source_folder(),
        )

    def _config(self) -> str:
        """In a file rather than on the command line, which every user of the machine can read."""
        host = f"[{self._place.address}]" if ":" in self._place.address else self._place.address
        assert self.key is not None and self.key.secret is not None
        return (
            f'[control]\nlisten = "{host}:0"\n'
            f'keys = [{{id = "{self.key.key_id}", scopes = ["admin"],'
            f' secret = "{self.key.secret.decode()}"}}]\n'
            f'[media]\nlisten = "{host}:0"\n[http]\nlisten = "{host}:0"\n[log]\nformat = "json"\n'
        )


async def http_get(url: str) -> str:
    """The body at a plain `http:` address; raises TargetError for anything but status 200."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(_HTTP_WITHIN_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
            request = f"GET {parts.path or '/'} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n"
            writer.write(request.encode())
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
            writer.close()
    except (OSError, TimeoutError) as error:
        raise TargetError(f"{url}: {error or 'no answer in time'}") from None
    status = head.split(b"\r\n")[0].decode(errors="replace")
    if " 200 " not in f"{status} ":
        raise TargetError(f"{url}: {status}")
    return body.decode(errors="replace")


def _listening(log: str) -> dict[str, str] | None:
    """The line by which the daemon says that it is ready and where it listens."""
    for line in log.splitlines():
        if '"listening"' in line:
            with contextlib.suppress(json.JSONDecodeError):
                return dict(json.loads(line))
    return None


def _udp_counters(metrics: str) -> dict[str, int]:
    found = (match.groupdict() for match in _UDP_COUNTER.finditer(metrics))
    return {
        "_".join(part for part in (one["name"], one["reason"]) if part): int(float(one["value"]))
        for one in found
    }


def _source_folder() -> Path:
    """From where `-m sfu.shell.cli` finds the same package as this process does."""
    spec = importlib.util.find_spec("sfu")
    if spec is None or not spec.submodule_search_locations:
        raise TargetError("the daemon is not installed here: pip install 'rostrum[server]'")
    return Path(next(iter(spec.submodule_search_locations))).parent
