"""The store: one database, transactions in it, and the bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol, Self

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from deploy.club.refusal import N_, Refused
from deploy.club.store.bus import Bus
from deploy.club.store.engine import make_engine
from deploy.club.store.migrate import to_head
from deploy.club.store.wire import Wire

# A restart of PostgreSQL takes about so long; nobody should notice it but by waiting.
AWAY_S = 3.0
AWAY_RETRY_S = 0.1

# SQLSTATEs that say the server, not the statement, is at fault: connection exceptions (class 08),
# too many connections, and shutting down, crashed or starting up.
_AWAY_CLASS = "08"
_AWAY_STATES = frozenset({"53300", "57P01", "57P02", "57P03"})


class HasDatabase(Protocol):
    """What the store needs of the settings."""

    @property
    def database_url(self) -> str:
        """As SQLAlchemy spells it: postgresql+asyncpg://... or sqlite+aiosqlite:///path."""


class Store:
    """One database and what is published about it. Made by `open`."""

    def __init__(self, engine: AsyncEngine, bus: Bus, wire: Wire | None) -> None:
        self.engine = engine
        self.bus = bus
        self._wire = wire
        # Rows stay readable after their transaction, for the page that is made of them.
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    @classmethod
    async def open(cls, settings: HasDatabase) -> Self:
        """Connect, bring the tables up to date, and join the bus.

        ValueError for a database that is neither PostgreSQL nor SQLite; the driver's errors when
        it cannot be reached.
        """
        engine = make_engine(settings.database_url)
        wire = Wire(engine.url) if engine.dialect.name == "postgresql" else None
        async with AsyncExitStack() as undo:
            undo.push_async_callback(engine.dispose)
            async with engine.begin() as connection:
                await connection.run_sync(to_head)
            if wire is not None:
                await wire.start()
            undo.pop_all()
        return cls(engine, Bus(wire), wire)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """A transaction: committed at the end of the block, rolled back when it raises.

        Transactions are not nested: SQLite has one at a time, and a second one inside would wait
        for the first. Refused("store_away", 503) when the database cannot be reached, or goes away
        before the commit; nothing of the block is kept then.
        """
        async with self._sessions() as tx:
            await self._reach(tx)
            try:
                yield tx
                await tx.flush()
                await self.bus.within(tx)
                await tx.commit()
            except (DBAPIError, TimeoutError) as error:  # the latter: the server says nothing
                if _is_away(error):
                    raise _away() from error
                raise
        self.bus.committed(tx)

    async def close(self) -> None:
        """Leave the bus and close all connections."""
        self.bus.close()
        if self._wire is not None:
            await self._wire.close()
        await self.engine.dispose()

    async def _reach(self, tx: AsyncSession) -> None:
        """Connect and begin, and try again for AWAY_S: nothing has been done yet."""
        clock = asyncio.get_running_loop().time
        until = clock() + AWAY_S
        while True:
            try:
                await tx.connection()
                return
            except (OSError, PoolTimeout, asyncpg.PostgresError, DBAPIError) as error:
                if not _is_away(error):
                    raise
                if clock() >= until:
                    raise _away() from error
            await tx.rollback()
            await asyncio.sleep(AWAY_RETRY_S)


def _is_away(error: Exception) -> bool:
    if isinstance(error, OSError | PoolTimeout):
        return True
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        state = getattr(error.orig, "sqlstate", None)
    else:
        state = getattr(error, "sqlstate", None)
    return state is not None and (state[:2] == _AWAY_CLASS or state in _AWAY_STATES)


def _away() -> Refused:
    return Refused(
        "store_away", 503, N_("The club's memory is away for a moment. Please try again.")
    )
