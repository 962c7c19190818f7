"""The hall's tests have a club with some people in it."""

from __future__ import annotations

import pytest_asyncio

from deploy.club.settings import Settings
from deploy.club.store import Store
from tests.club.hall.club import Club


@pytest_asyncio.fixture
async def club(store: Store, settings: Settings) -> Club:
    """Red, Blue, Green and White; nobody knows anybody."""
    club = Club(store, settings)
    await club.join("Red", "Blue", "Green", "White")
    return club
