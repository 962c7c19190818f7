"""Live rooms in front of a fake daemon."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from deploy.club.settings import Settings
from deploy.club.store import Store
from tests.club.fake_daemon import FakeDaemon, fake_daemon
from tests.club.room.house import House, Visit, open_house


@pytest_asyncio.fixture
async def daemon() -> AsyncIterator[FakeDaemon]:
    """A daemon without sound."""
    async with fake_daemon() as running:
        yield running


@pytest_asyncio.fixture
async def house(store: Store, settings: Settings, daemon: FakeDaemon) -> AsyncIterator[House]:
    """The club in front of it, on each database."""
    async with open_house(store, settings, daemon) as opened:
        yield opened


@pytest_asyncio.fixture
async def host(house: House) -> Visit:
    """The host of a live room, in it."""
    who = await house.site.signed_in("Red")
    return await house.visit(who, await house.room(who))
