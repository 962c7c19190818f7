"""PostgreSQL goes away and comes back, while the club runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from deploy.club.refusal import Refused
from deploy.club.settings import Settings
from deploy.club.store import Member, Store, engine
from deploy.club.store import store as module
from tests.club.conftest import SECRET
from tests.club.postgres import Postgres, running

NOON = datetime(2030, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """One that may be stopped."""
    with running() as server:
        yield server


@pytest_asyncio.fixture
async def away(own_postgres: Postgres) -> AsyncIterator[Store]:
    """A store with a used connection, whose PostgreSQL may be stopped; it runs again afterwards."""
    url = own_postgres.url(own_postgres.new_database())
    opened = await Store.open(Settings(database_url=url, secret=SECRET))
    async with opened.begin() as tx:
        tx.add(Member(id="m-red", name="Red", standing="member", created_at=NOON))
    yield opened
    if not own_postgres.is_running:
        own_postgres.start()
    await opened.close()


async def _count(store: Store) -> int | None:
    async with store.begin() as tx:
        return await tx.scalar(select(func.count()).select_from(Member))


async def test_a_restart_between_two_transactions_is_not_noticed(
    away: Store, own_postgres: Postgres
) -> None:
    await asyncio.to_thread(own_postgres.stop)
    await asyncio.to_thread(own_postgres.start)
    assert await _count(away) == 1


async def test_who_comes_during_a_restart_waits_for_its_end(
    away: Store, own_postgres: Postgres
) -> None:
    await asyncio.to_thread(own_postgres.stop)
    asked = asyncio.create_task(_count(away))
    await asyncio.sleep(2 * module.AWAY_RETRY_S)
    await asyncio.to_thread(own_postgres.start)
    assert await asked == 1


async def test_a_longer_outage_is_told_and_ends_by_itself(
    away: Store, own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AWAY_S", 0.3)
    await asyncio.to_thread(own_postgres.stop)
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            await _count(away)
        assert (refused.value.code, refused.value.status) == ("store_away", 503)
    await asyncio.to_thread(own_postgres.start)
    assert await _count(away) == 1


async def test_a_transaction_cut_in_the_middle_is_refused_and_leaves_nothing(
    away: Store, own_postgres: Postgres
) -> None:
    with pytest.raises(Refused) as refused:
        async with away.begin() as tx:
            tx.add(Member(id="m-blue", name="Blue", standing="member", created_at=NOON))
            await tx.flush()
            await asyncio.to_thread(own_postgres.stop)
            await tx.scalar(select(func.count()).select_from(Member))
    assert refused.value.code == "store_away"
    await asyncio.to_thread(own_postgres.start)
    assert await _count(away) == 1


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unanswered statements and connections are given up after half a second."""
    monkeypatch.setattr(engine, "ANSWER_WITHIN_S", 0.5)
    monkeypatch.setattr(engine, "CONNECT_WITHIN_S", 0.5)
    monkeypatch.setattr(module, "AWAY_S", 0.1)


async def test_a_server_that_says_nothing_is_away_too(
    impatient: None, away: Store, own_postgres: Postgres
) -> None:
    with own_postgres.frozen():
        with pytest.raises(Refused) as refused:
            await _count(away)
        assert refused.value.code == "store_away"
    assert await _count(away) == 1


async def test_a_transaction_that_is_not_answered_is_refused_and_leaves_nothing(
    impatient: None, away: Store, own_postgres: Postgres
) -> None:
    with pytest.raises(Refused) as refused:
        async with away.begin() as tx:
            tx.add(Member(id="m-blue", name="Blue", standing="member", created_at=NOON))
            await tx.flush()
            with own_postgres.frozen():
                await tx.scalar(select(func.count()).select_from(Member))
    assert refused.value.code == "store_away"
    assert await _count(away) == 1
