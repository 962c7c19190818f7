"""A running club: the store, the live rooms and the web server, opened and closed in order."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from control import Client
from deploy.club.connecting import OptionError
from deploy.club.door.gateway import sender_of
from deploy.club.door.signing_up import appoint
from deploy.club.room.live import LiveRooms
from deploy.club.settings import Settings
from deploy.club.store import Store
from deploy.club.web.app import create_app
from deploy.club.web.options import Appointed
from deploy.club.web.parts import utc_now

# Pages that are still being sent at the end are cut off.
SHUTDOWN_S = 1.0


@dataclass(frozen=True, slots=True)
class Club:
    """What runs."""

    settings: Settings
    store: Store


@asynccontextmanager
async def running(
    settings: Settings,
    control: Client,
    host: str,
    port: int,
    appointed: Sequence[Appointed] = (),
) -> AsyncIterator[Club]:
    """The club on `host`:`port`, in front of `control`'s daemon, which may come later.

    Raises OptionError when the port is taken or the database cannot be opened.
    """
    store = await open_store(settings)
    try:
        async with store.begin() as tx:
            for one in appointed:
                await appoint(tx, settings, one.phone, one.name, utc_now())
        live = LiveRooms(control, store, clock=utc_now)
        async with sender_of(settings) as sender:
            runner = web.AppRunner(
                create_app(settings, store, live, sender),
                access_log=None,
                shutdown_timeout=SHUTDOWN_S,
            )
            await runner.setup()
            try:
                await _listen(runner, host, port)
                yield Club(settings, store)
            finally:
                await runner.cleanup()
    finally:
        await store.close()
        await control.close()


async def open_store(settings: Settings) -> Store:
    """The store, brought up to date. Raises OptionError."""
    try:
        return await Store.open(settings)
    except (SQLAlchemyError, OSError, ValueError) as error:
        raise OptionError(f"the database: {str(error).splitlines()[0]}") from error


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        why = error.strerror or os.strerror(error.errno or 0)
        raise OptionError(f"cannot listen on {host}:{port}: {why}") from None
