"""A client without an SDK: frames as maps over a stream, so that tests see what is on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgpack

from control.auth import Key
from control.endpoint import Endpoint, UnixEndpoint

# Long enough for a loaded machine; a test that waits this long has failed.
PATIENCE_S = 5.0


def frame(message: Any) -> bytes:
    """One frame, encoded by msgpack alone."""
    payload: bytes = msgpack.packb(message)
    return len(payload).to_bytes(4, "big") + payload


def request(request_id: int, method: str, /, **parameters: Any) -> dict[str, Any]:
    """The map of a request."""
    return {"t": "req", "id": request_id, "m": method, "p": parameters}


class Peer:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.events: list[dict[str, Any]] = []
        self._last_id = 0

    def send(self, *messages: Any) -> None:
        """Write maps as frames."""
        self.writer.write(b"".join(map(frame, messages)))

    async def receive(self) -> dict[str, Any]:
        """The next frame. Raises IncompleteReadError at the end of the stream."""
        async with asyncio.timeout(PATIENCE_S):
            size = int.from_bytes(await self.reader.readexactly(4), "big")
            message: dict[str, Any] = msgpack.unpackb(await self.reader.readexactly(size))
            return message

    async def ask(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """Send a request and wait for its response; events on the way are kept in `events`."""
        return await self.ask_with({}, method, **parameters)

    async def ask_with(
        self, envelope: dict[str, Any], method: str, /, **parameters: Any
    ) -> dict[str, Any]:
        """As `ask`, with more fields in the envelope."""
        self._last_id += 1
        self.send({**request(self._last_id, method, **parameters), **envelope})
        while True:
            message = await self.receive()
            if message["t"] == "res" and message["id"] == self._last_id:
                return message
            self.events.append(message)

    async def result(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """As `ask`, for what must succeed."""
        response = await self.ask(method, **parameters)
        assert response["ok"], response
        result: dict[str, Any] = response["p"]
        return result

    async def refusal(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """As `ask`, for what must be refused."""
        response = await self.ask(method, **parameters)
        assert not response["ok"], response
        error: dict[str, Any] = response["err"]
        return error

    async def event(self) -> dict[str, Any]:
        """The next event."""
        return self.events.pop(0) if self.events else await self.receive()

    async def last_words(self) -> tuple[str, str]:
        """Read to the end of the stream: code and message of the closing event."""
        last: dict[str, Any] = {}
        try:
            while True:
                last = await self.receive()
        except asyncio.IncompleteReadError as error:
            assert error.partial == b""
        assert last.get("m") == "session.closed", last
        return last["p"]["code"], last["p"]["message"]

    async def greet(self, key: Key | None = None) -> dict[str, Any]:
        """hello, and auth with a key."""
        hello = await self.result("hello", versions=[1], client="test")
        if key is not None:
            mac = key.mac(hello["challenge"])
            return await self.result("auth", key_id=key.key_id, mac=mac)
        return hello

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass  # the daemon was faster


@asynccontextmanager
async def connected(
    endpoint: Endpoint, key: Key | None = None, *, greet: bool = True
) -> AsyncIterator[Peer]:
    """A raw connection, greeted unless told otherwise."""
    if isinstance(endpoint, UnixEndpoint):
        streams = await asyncio.open_unix_connection(endpoint.path)
    else:
        streams = await asyncio.open_connection(endpoint.host, endpoint.port)
    peer = Peer(*streams)
    try:
        if greet:
            await peer.greet(key)
        yield peer
    finally:
        await peer.close()
