"""The bus between processes: PostgreSQL's LISTEN and NOTIFY on one channel.

One connection of its own listens. When PostgreSQL goes away it tries again until it is back, and
says so, because notifications of that time are lost. What a process sends comes back to it as well
and is left aside there: it had been handed over already.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
import structlog
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncSession

CHANNEL = "club"
# From the first try on: short, because a restart takes a second or two; never longer than this.
RETRY_FIRST_S = 0.1
RETRY_MAX_S = 2.0
# A connection that is dead without saying so (a cable, a firewall) is found out in this time.
ASK_EVERY_S = 10.0
ANSWER_WITHIN_S = 5.0
# While PostgreSQL is away. Whoever listens there reads anew afterwards, so old ones can go.
OUTBOX_MAX = 1000

_NOTIFY = text("SELECT pg_notify(:channel, :text)")
# How asyncpg says that the server, or the way to it, is gone.
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
_log = structlog.get_logger(__name__)


class Wire:
    """To the other processes. Between `start` and `close` it connects and reconnects by itself."""

    def __init__(self, url: URL) -> None:
        self.on_message: Callable[[str], None] = lambda _: None
        self.on_resumed: Callable[[], None] = lambda: None
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._origin = secrets.token_hex(8)
        self._outbox: deque[str] = deque(maxlen=OUTBOX_MAX)
        self._wakened = asyncio.Event()
        self._connection: asyncpg.Connection[Any] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; OSError or asyncpg's errors when PostgreSQL is not there at all."""
        self._connection = await self._connect()
        self._task = asyncio.create_task(self._run(self._connection), name="club bus")

    async def close(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._connection is not None:
            with contextlib.suppress(*_LOST):
                await self._connection.close(timeout=ANSWER_WITHIN_S)

    def send(self, message: str) -> None:
        """Queue `message` for the other processes."""
        self._outbox.append(message)
        self._wakened.set()

    async def send_within(self, tx: AsyncSession, messages: Sequence[str]) -> None:
        """Send with the commit of `tx`."""
        for message in messages:
            await tx.execute(_NOTIFY, {"channel": CHANNEL, "text": self._origin + message})

    async def _connect(self) -> asyncpg.Connection[Any]:
        connection = await asyncpg.connect(self._dsn, timeout=ANSWER_WITHIN_S)
        try:
            await connection.add_listener(CHANNEL, self._heard)
        except BaseException:
            connection.terminate()
            raise
        connection.add_termination_listener(lambda _: self._wakened.set())
        return connection

    async def _run(self, connection: asyncpg.Connection[Any]) -> None:
        while True:
            try:
                await self._serve(connection)
            except _LOST as error:
                _log.warning("bus.lost", error=str(error))
            connection.terminate()
            connection = self._connection = await self._again()
            _log.info("bus.resumed")
            self.on_resumed()

    async def _serve(self, connection: asyncpg.Connection[Any]) -> None:
        while not connection.is_closed():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ASK_EVERY_S):
                    await self._wakened.wait()
            self._wakened.clear()
            await connection.execute("SELECT 1", timeout=ANSWER_WITHIN_S)
            while self._outbox:
                await connection.execute(
                    "SELECT pg_notify($1, $2)",
                    CHANNEL,
                    self._origin + self._outbox[0],
                    timeout=ANSWER_WITHIN_S,
                )
                self._outbox.popleft()

    async def _again(self) -> asyncpg.Connection[Any]:
        delay_s = RETRY_FIRST_S
        while True:
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, RETRY_MAX_S)
            try:
                return await self._connect()
            except _LOST as error:
                _log.info("bus.away", error=str(error))

    def _heard(self, _connection: object, _pid: int, _channel: str, message: object) -> None:
        message = str(message)
        if not message.startswith(self._origin):
            self.on_message(message[len(self._origin) :])
