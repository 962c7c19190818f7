"""A person of the club without a browser: its API by HTTP, and sound by a peer of our own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from deploy.club.peer import Peer
from tests.club.founding import Founded
from tests.interop.crowd import FRAME_S
from tests.interop.polling import until
from tests.interop.tones import endless

REQUEST_S = 20.0


class Declined(Exception):
    """The club said no: `status` and the error's `code`."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


class Caller:
    """What a page of the live room asks of the club, as one person. Use with `async with`."""

    def __init__(self, base_url: str, person: Founded) -> None:
        self.person = person
        self.base_url = base_url
        self.peer = Peer()

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            headers={"X-CSRF": self.person.csrf, "Cookie": f"club={self.person.cookie}"},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(REQUEST_S),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.peer.close()
        await self._http.close()

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page; redirects are not followed."""
        async with self._http.get(self.base_url + path, allow_redirects=False) as response:
            return response.status, await response.text()

    async def post(self, path: str, **fields: str) -> tuple[int, str]:
        """Send a form; the status and where it leads."""
        url = self.base_url + path
        async with self._http.post(url, data=fields, allow_redirects=False) as response:
            return response.status, response.headers.get("Location", "")

    async def call(self, path: str, **body: Any) -> dict[str, Any]:
        """A script's request. Raises Declined."""
        async with self._http.post(self.base_url + path, json=body) as response:
            content = await response.read()
            if response.status != 200:
                raise Declined(response.status, _code_of(content))
            answer: dict[str, Any] = msgspec.json.decode(content)
            return answer

    async def join(self, room: str) -> None:
        """Into the room, and connected."""
        answer = await self.call(f"/rooms/{room}/join", offer=self.peer.offer)
        await self.peer.connect(answer["answer"])

    async def talk(self, hz: int) -> None:
        """Say a tone for ever; cancel to stop."""
        loop = asyncio.get_running_loop()
        deadline = loop.time()
        for payload in endless(hz):
            self.peer.send(payload, level=20)
            deadline += FRAME_S
            await asyncio.sleep(deadline - loop.time())

    async def act(self, room: str, action: str, target: str | None = None) -> None:
        """Press a button of the room."""
        given = {"action": action} | ({"target": target} if target is not None else {})
        await self.call(f"/rooms/{room}/act", **given)

    @contextlib.asynccontextmanager
    async def following(self, room: str) -> AsyncIterator[Following]:
        """What the club tells a page of the room, while the block lasts."""
        url = f"{self.base_url}/rooms/{room}/socket"
        async with self._http.ws_connect(url, origin=self.base_url) as socket:
            following = Following()
            task = asyncio.create_task(following.read(socket))
            try:
                yield following
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


class Following:
    """The statements of one socket, in their order."""

    def __init__(self) -> None:
        self.statements: list[dict[str, Any]] = []

    async def read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Gather until the socket closes."""
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.statements.append(msgspec.json.decode(message.data))

    def newest(self, kind: str) -> dict[str, Any] | None:
        """The last statement of a kind."""
        return next((one for one in reversed(self.statements) if one["type"] == kind), None)

    def count(self, kind: str) -> int:
        """How many statements of a kind came."""
        return sum(one["type"] == kind for one in self.statements)

    async def until(
        self, kind: str, holds: Callable[[dict[str, Any]], bool], timeout_s: float = 5.0
    ) -> dict[str, Any]:
        """Wait until the newest statement of a kind is as wanted."""

        def is_so() -> bool:
            newest = self.newest(kind)
            return newest is not None and holds(newest)

        await until(is_so, lambda: f"{kind}: {self.newest(kind)}", timeout_s)
        found = self.newest(kind)
        assert found is not None
        return found


def _code_of(content: bytes) -> str:
    with contextlib.suppress(msgspec.DecodeError, KeyError, TypeError):
        code: str = msgspec.json.decode(content)["error"]["code"]
        return code
    return content[:80].decode(errors="replace")
