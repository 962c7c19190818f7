"""Commands in a pipeline, at a fraction of what the client library costs.

The library checks what it sends and decodes what it gets, as a backend wants it to; here the daemon
is measured. So commands are only encoded, and of an answer only the number and `ok` are read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from control import ConnectionLost, Key, ProtocolError
from control.commands import AnyCommand
from control.endpoint import Endpoint, UnixEndpoint
from control.envelope import encode_request
from control.link import Link


class _Head(msgspec.Struct):
    """What is read of a frame; events have no number."""

    id: int = -1
    ok: bool = True


_decode = msgspec.msgpack.Decoder(_Head).decode


# The daemon reads no further when so many wait for answers.
IN_FLIGHT_MAX: Final = 256
# As fine as the loop's clock.
_PACE_S: Final = 0.001


class Pipeline(Link):
    """A control connection on which `run` keeps so many commands under way, `run_at` a rate."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self.latencies_ms: list[float] = []
        self.refused = 0
        self._commands: Sequence[AnyCommand] = ()
        self._next = 0
        self._until = 0.0
        self._sent: dict[int, float] = {}
        self._ended: asyncio.Future[None] | None = None
        self._rate = 0.0
        self._begun = 0.0
        self._issued = 0

    async def run(self, commands: Sequence[AnyCommand], depth: int, seconds: float) -> None:
        """Do `commands` over and over for so long. ConnectionLost when the daemon hangs up."""
        self._begin(commands, seconds)
        self._issue(depth)
        await self._answered()

    async def run_at(self, commands: Sequence[AnyCommand], rate: float, seconds: float) -> None:
        """The same at `rate` commands a second, whether or not the answers keep up.

        A latency counts from when the command was due, so that waiting to be sent is part of it.
        """
        self._begin(commands, seconds)
        self._rate = rate
        pacing = asyncio.create_task(self._pace())
        try:
            await self._answered()
        finally:
            pacing.cancel()

    def _begin(self, commands: Sequence[AnyCommand], seconds: float) -> None:
        self._commands = commands
        self._begun = time.perf_counter()
        self._until = self._begun + seconds
        self._ended = self._loop.create_future()

    async def _pace(self) -> None:
        while not self.lost.done():
            self._issue_due()
            await asyncio.sleep(_PACE_S)

    async def _answered(self) -> None:
        assert self._ended is not None
        await asyncio.wait([self._ended, self.lost], return_when=asyncio.FIRST_COMPLETED)
        if not self._ended.done():
            raise ConnectionLost("the daemon hung up")

    def data_received(self, data: bytes) -> None:
        """Take the answers, and send as many commands."""
        if self._ended is None:
            super().data_received(data)
            return
        self._decoder.receive_data(data)
        answered = 0
        try:
            while (payload := self._decoder.next_payload()) is not None:
                answered += self._take(_decode(payload))
        except (ProtocolError, msgspec.MsgspecError) as error:
            self.abort(f"the daemon broke the protocol: {error}")
            return
        if self._rate:
            self._issue_due()
        else:
            self._issue(answered)

    def _take(self, head: _Head) -> bool:
        sent = self._sent.pop(head.id, None)
        if sent is None:
            return False
        self.latencies_ms.append((time.perf_counter() - sent) * 1e3)
        self.refused += not head.ok
        return True

    def _issue(self, count: int) -> None:
        now = time.perf_counter()
        if not self._is_over(now):
            self._send([now] * count)

    def _issue_due(self) -> None:
        """What is due by now, as far as the daemon reads."""
        now = time.perf_counter()
        if self._is_over(now):
            return
        due = int((now - self._begun) * self._rate) - self._issued
        count = max(0, min(due, IN_FLIGHT_MAX - len(self._sent)))
        self._send([self._begun + (self._issued + i) / self._rate for i in range(count)])
        self._issued += count

    def _is_over(self, now: float) -> bool:
        if now < self._until:
            return False
        if not self._sent and self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
        return True

    def _send(self, due_at: Sequence[float]) -> None:
        frames = []
        for at in due_at:
            self._last_id += 1
            command = self._commands[self._next]
            self._next = (self._next + 1) % len(self._commands)
            self._sent[self._last_id] = at
            frames.append(encode_request(self._last_id, command))
        if frames:
            self._transport.write(b"".join(frames))


async def open_pipeline(endpoint: Endpoint, key: Key | None) -> Pipeline:
    """Connect and say hello. Raises ControlError, ConnectionLost."""
    loop = asyncio.get_running_loop()
    try:
        if isinstance(endpoint, UnixEndpoint):
            _, pipeline = await loop.create_unix_connection(Pipeline, endpoint.path)
        else:
            _, pipeline = await loop.create_connection(Pipeline, endpoint.host, endpoint.port)
    except OSError as error:
        raise ConnectionLost(f"cannot connect to {endpoint}: {error.strerror}") from error
    await pipeline.greet("sfu-bench", key)
    return pipeline
