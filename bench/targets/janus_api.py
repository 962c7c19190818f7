"""The API of Janus over its Unix socket: one JSON message per packet, matched by transaction."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections import Counter, deque
from itertools import count
from pathlib import Path
from typing import Any, Final

from bench.targets import TargetError

# What Janus reads at most of one message; the rest would be cut off in silence.
MESSAGE_BYTES_MAX: Final = 8_191
_ANSWER_BYTES_MAX: Final = 1 << 20
_ANSWER_WITHIN_S: Final = 60.0

Json = dict[str, Any]


class JanusError(Exception):
    """Janus refused a request; the text is its reason."""


class JanusApi:
    """A connection and the one session on it. Requests may be pipelined."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray(_ANSWER_BYTES_MAX)
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._unsent: deque[bytes] = deque()
        self._transactions = count(1)
        self._session = 0
        self.version = ""  # as in `1.1.2`
        # What Janus told without being asked: `webrtcup`, `hangup`, `media` ...
        self.notices: Counter[str] = Counter()
        self._connected: dict[int, asyncio.Event] = {}
        self._loop.add_reader(connection, self._read)

    @classmethod
    async def connect(cls, path: Path) -> JanusApi:
        """Connect and make the session; raises TargetError."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setblocking(False)
        try:
            connection.connect(str(path))
        except OSError as error:
            connection.close()
            raise TargetError(f"janus: cannot connect to {path}: {error.strerror}") from None
        api = cls(connection)
        try:
            # Before there is a session: with one, `info` would be a request to it.
            api.version = str((await api._ask({"janus": "info"}))["version_string"])
            created = await api._ask({"janus": "create"})
        except BaseException as error:
            api.close()
            if isinstance(error, JanusError):
                raise TargetError(f"janus: {error}") from None
            raise
        api._session = created["data"]["id"]
        return api

    def close(self) -> None:
        """Hang up, which ends the session and every client of it. Idempotent."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._fail("the connection is closed")

    async def attach(self, plugin: str) -> int:
        """A new handle of a plugin (`videoroom`), which is one client to Janus."""
        attached = await self._ask({"janus": "attach", "plugin": f"janus.plugin.{plugin}"})
        handle = int(attached["data"]["id"])
        self._connected[handle] = asyncio.Event()
        return handle

    async def detach(self, handle: int) -> None:
        """End a client; its media stops."""
        self._connected.pop(handle, None)
        await self._ask({"janus": "detach", "handle_id": handle})

    async def wait_connected(self, handle: int, *, within_s: float) -> bool:
        """Until the client's DTLS handshake is done; False when it is not in time, or detached."""
        event = self._connected.get(handle)
        if event is None:
            return False
        try:
            async with asyncio.timeout(within_s):
                await event.wait()
        except TimeoutError:
            return False
        return True

    async def message(self, handle: int, body: Json, jsep: Json | None = None) -> Json:
        """Ask the plugin; returns its data, with a description of Janus's under `jsep`.

        Raises JanusError for a refusal, TargetError when Janus is gone or silent.
        """
        request: Json = {"janus": "message", "handle_id": handle, "body": body}
        if jsep is not None:
            request["jsep"] = jsep
        answer = await self._ask(request)
        data: Json = dict(answer["plugindata"]["data"])
        if "error" in data:
            raise JanusError(str(data["error"]))
        if "jsep" in answer:
            data["jsep"] = answer["jsep"]
        return data

    async def _ask(self, request: Json) -> Json:
        transaction = str(next(self._transactions))
        request["transaction"] = transaction
        if self._session:
            request["session_id"] = self._session
        payload = json.dumps(request, separators=(",", ":")).encode()
        if len(payload) > MESSAGE_BYTES_MAX:
            raise TargetError(
                f"janus reads no message of {len(payload)} bytes, {MESSAGE_BYTES_MAX} at most:"
                " fewer speakers in a room make smaller descriptions"
            )
        future: asyncio.Future[Json] = self._loop.create_future()
        self._waiting[transaction] = future
        try:
            self._send(payload)
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                return await future
        except TimeoutError:
            what = request["janus"]
            message = f"janus did not answer `{what}` within {_ANSWER_WITHIN_S:.0f} s"
            raise TargetError(message) from None
        finally:
            self._waiting.pop(transaction, None)

    def _send(self, payload: bytes) -> None:
        if self._socket.fileno() < 0:
            raise TargetError("janus: the connection is closed")
        self._unsent.append(payload)
        if len(self._unsent) == 1:
            self._write()

    def _write(self) -> None:
        try:
            while self._unsent:
                self._socket.send(self._unsent[0])
                self._unsent.popleft()
        except BlockingIOError:
            self._loop.add_writer(self._socket, self._write)
            return
        except OSError as error:
            self._lose(error.strerror or "the connection broke")
            return
        self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    size = self._socket.recv_into(self._buffer)
                except ConnectionError:
                    size = 0
                if size == 0:
                    self._lose("janus has ended")
                    return
                self._take(json.loads(self._buffer[:size]))

    def _lose(self, reason: str) -> None:
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._fail(reason)

    def _fail(self, reason: str) -> None:
        self._unsent.clear()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(TargetError(f"janus: {reason}"))

    def _take(self, message: Json) -> None:
        kind = message.get("janus")
        if kind == "ack":
            return  # the answer proper comes as an event of the same transaction
        future = self._waiting.get(message.get("transaction", ""))
        if future is None:
            self.notices[str(kind)] += 1
            if kind == "webrtcup" and message["sender"] in self._connected:
                self._connected[message["sender"]].set()
        elif not future.done():
            if kind == "error":
                future.set_exception(JanusError(str(message["error"]["reason"])))
            else:
                future.set_result(message)
