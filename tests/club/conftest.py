"""What the club's tests share: a store on each database, and the site over it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.club.settings import Settings
from deploy.club.store import Base, Store
from tests.club import postgres as server
from tests.club.web.site import SignedIn, Site, serving

SECRET = b"thirty-two bytes that only tests use"


def _settings(database_url: str) -> Settings:
    return Settings(database_url=database_url, secret=SECRET, is_development=True)


async def _migrate(database_url: str) -> None:
    store = await Store.open(_settings(database_url))
    await store.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[server.Postgres]:
    """A running PostgreSQL, shared by all tests that do not stop it."""
    with server.running() as running:
        yield running


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "club.sqlite"
    asyncio.run(_migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def _postgres_template(postgres: server.Postgres) -> str:
    name = postgres.new_database()
    asyncio.run(_migrate(postgres.url(name)))
    # A copy is refused while anybody is connected to the original, and be it on the way out.
    postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    postgres.disconnect(name)
    return name


@pytest.fixture(scope="session")
def _postgres_database(postgres: server.Postgres, _postgres_template: str) -> str:
    return postgres.new_database(_postgres_template)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a database with all tables and nothing in them, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "club.sqlite"
        shutil.copyfile(request.getfixturevalue("_sqlite_template"), path)
        yield f"sqlite+aiosqlite:///{path}"
        return
    # Emptied after each test: a new one for each would take ten times as long.
    running: server.Postgres = request.getfixturevalue("postgres")
    name: str = request.getfixturevalue("_postgres_database")
    yield running.url(name)
    running.disconnect(name)
    tables = reversed(Base.metadata.sorted_tables)
    running.run("; ".join(f"DELETE FROM {table.name}" for table in tables), name)


@pytest.fixture
def settings(database_url: str) -> Settings:
    """A club in development mode."""
    return _settings(database_url)


@pytest_asyncio.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """An open store with nothing in it, on SQLite and on PostgreSQL."""
    opened = await Store.open(settings)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def site(store: Store, settings: Settings) -> AsyncIterator[Site]:
    """The whole site over the store, with a clock that stands still and no live rooms."""
    async with serving(store, settings) as served:
        yield served


@pytest_asyncio.fixture
async def client(site: Site) -> SignedIn:
    """A member with a browser."""
    return await site.signed_in("Red")
