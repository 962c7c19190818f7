"""WebDriver BiDi, as much as calling functions in a tab needs: commands and answers over WebSocket.

The browser speaks it itself (`--remote-debugging-port`), so no driver process stands between.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

# Nothing that a page is asked takes longer; a hung page fails the test that asks.
ANSWER_S = 20.0


class BidiError(Exception):
    """The browser refused a command, or a function in a page threw."""


class Session:
    """One connection to a browser. Make it with `connected`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command. BidiError when it is refused; TimeoutError."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        try:
            async with asyncio.timeout(ANSWER_S):
                message = await answer
        finally:
            del self._waiting[number]
        if message["type"] != "success":
            raise BidiError(f"{method}: {message.get('message', message)}")
        result: dict[str, Any] = message["result"]
        return result

    async def read_for_ever(self) -> None:
        """Hand answers to who waits for them; events are not asked for."""
        async for frame in self._socket:
            message = frame.json()
            answer = self._waiting.get(message.get("id", 0))
            if answer is not None and not answer.done():
                answer.set_result(message)


class Tab:
    """A tab in which functions can be called, like a page of Playwright."""

    def __init__(self, session: Session, context: str) -> None:
        self._session = session
        self._context = context

    @classmethod
    async def open(cls, session: Session) -> Tab:
        """A new empty tab."""
        created = await session.call("browsingContext.create", type="tab")
        return cls(session, created["context"])

    async def evaluate(self, expression: str, arg: Any = None, /) -> Any:
        """What the JavaScript function of this text returns, awaited, as JSON goes."""
        called = await self._session.call(
            "script.callFunction",
            functionDeclaration=(
                f"async (given) => JSON.stringify(await ({expression})(JSON.parse(given)) ?? null)"
            ),
            arguments=[{"type": "string", "value": json.dumps(arg)}],
            target={"context": self._context},
            awaitPromise=True,
        )
        if called["type"] != "success":
            raise BidiError(called["exceptionDetails"]["text"])
        return json.loads(called["result"]["value"])

    async def go(self, url: str) -> None:
        """Open a page; returns when all of it is loaded."""
        await self._session.call(
            "browsingContext.navigate", context=self._context, url=url, wait="complete"
        )

    async def close(self) -> None:
        """Close it; its connections end."""
        await self._session.call("browsingContext.close", context=self._context)


@contextlib.asynccontextmanager
async def connected(address: str) -> AsyncIterator[Session]:
    """A session of the browser that listens at this `ws://host:port`."""
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(f"{address}/session", max_msg_size=0) as socket,
    ):
        session = Session(socket)
        reading = asyncio.create_task(session.read_for_ever())
        try:
            await session.call("session.new", capabilities={})
            yield session
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
