"""Connections: how many, and what each is told before it is used."""

from __future__ import annotations

from typing import Any

from sqlalchemy import AsyncAdaptedQueuePool, Connection, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# Requests that wait for a connection longer than a person waits for a page are refused.
POOL_WAIT_S = 10.0
# PostgreSQL allows 100 in all by default: four processes of the club fit, and its tools.
POOL_SIZE = 10
POOL_OVERFLOW = 10
CONNECT_WITHIN_S = 5.0
# No statement of the club's takes a second. One that is not answered was lost with its server.
ANSWER_WITHIN_S = 10.0
# While another process, a backup for example, writes in the same file.
SQLITE_BUSY_MS = 10_000


def make_engine(url: str) -> AsyncEngine:
    """For PostgreSQL or SQLite; ValueError for anything else, or for another driver."""
    driver = make_url(url).drivername
    if driver == "postgresql+asyncpg":
        return create_async_engine(
            url,
            hide_parameters=True,  # of a fault's message: what people wrote is not for the log
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            pool_timeout=POOL_WAIT_S,
            pool_pre_ping=True,
            connect_args={"timeout": CONNECT_WITHIN_S, "command_timeout": ANSWER_WITHIN_S},
        )
    if driver == "sqlite+aiosqlite":
        # One connection: transactions stand in line here, fairly, and not in SQLite, which polls.
        engine = create_async_engine(
            url,
            hide_parameters=True,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=1,
            max_overflow=0,
            pool_timeout=POOL_WAIT_S,
        )
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    raise ValueError(f"neither postgresql+asyncpg nor sqlite+aiosqlite: {driver}")


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions late and not at all before a change of tables.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {SQLITE_BUSY_MS}",
        "foreign_keys = ON",
        "journal_mode = WAL",
        "synchronous = NORMAL",  # with the journal above: a power cut may lose the last commits
        "optimize = 0x10002",  # count rows where that was long ago, so that the right index is used
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # Write access from the start: one that reads first and then writes could not be granted it.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
