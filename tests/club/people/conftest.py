"""People to test with."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from deploy.club.settings import Settings
from deploy.club.store import Member, Store
from tests.club.founding import Founded, Founder

NOW = datetime(2026, 1, 31, 18, 0, tzinfo=UTC)


@pytest.fixture
def founder(store: Store, settings: Settings) -> Founder:
    """Founds a club as of NOW."""
    return Founder(store, settings, NOW)


async def put_out(store: Store, person: Founded) -> None:
    """The person was removed from the club."""
    async with store.begin() as tx:
        (await tx.get_one(Member, person.id)).standing = "removed"
