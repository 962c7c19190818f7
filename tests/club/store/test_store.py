"""Transactions, times and rules of the tables, on both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic import command
from alembic.util import CommandError
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, StatementError

from deploy.club.settings import Settings
from deploy.club.store import Base, Follow, Member, Notice, Store
from deploy.club.store.migrate import config
from tests.club.conftest import SECRET
from tests.club.postgres import Postgres

NOON = datetime(2030, 5, 1, 12, 0, tzinfo=UTC)


def _member(name: str) -> Member:
    return Member(id=f"m-{name}", name=name, standing="member", created_at=NOON)


async def test_what_is_committed_is_there_after_a_restart(settings: Settings) -> None:
    store = await Store.open(settings)
    async with store.begin() as tx:
        tx.add(_member("red"))
    await store.close()
    store = await Store.open(settings)
    async with store.begin() as tx:
        member = await tx.get(Member, "m-red")
    await store.close()
    assert member is not None and member.standing == "member" and not member.is_host


async def test_nothing_of_a_block_that_raises_is_kept(store: Store) -> None:
    with pytest.raises(RuntimeError):
        async with store.begin() as tx:
            tx.add(_member("red"))
            await tx.flush()
            raise RuntimeError
    async with store.begin() as tx:
        assert await tx.get(Member, "m-red") is None


async def test_times_come_back_in_utc_whatever_zone_they_were_given_in(store: Store) -> None:
    east = NOON.astimezone(timezone(timedelta(hours=2)))
    async with store.begin() as tx:
        tx.add(Member(id="m-red", name="Red", standing="member", created_at=east))
    async with store.begin() as tx:
        member = await tx.get_one(Member, "m-red")
        later = await tx.scalar(select(Member.id).where(Member.created_at > NOON))
    assert member.created_at == NOON and member.created_at.tzinfo is UTC and later is None


async def test_a_time_without_zone_is_refused(store: Store) -> None:
    with pytest.raises(StatementError, match="without a zone"):
        async with store.begin() as tx:
            tx.add(Member(id="m-1", name="Red", standing="member", created_at=datetime(2030, 1, 1)))


async def test_nobody_is_followed_who_does_not_exist(store: Store) -> None:
    with pytest.raises(IntegrityError):
        async with store.begin() as tx:
            tx.add(_member("red"))
            tx.add(Follow(follower_id="m-red", followed_id="m-nobody", at=NOON))


async def test_a_number_belongs_to_one_member_but_many_may_have_none(store: Store) -> None:
    async with store.begin() as tx:
        tx.add_all([_member("red"), _member("blue")])
    with pytest.raises(IntegrityError):
        async with store.begin() as tx:
            for name in ("red", "blue"):
                (await tx.get_one(Member, f"m-{name}")).phone_hash = "f" * 64


async def test_a_standing_that_does_not_exist_is_refused(store: Store) -> None:
    with pytest.raises(StatementError):
        async with store.begin() as tx:
            tx.add(Member(id="m-1", name="Red", standing="king", created_at=NOON))


async def test_what_a_notice_says_comes_back_as_it_was(store: Store) -> None:
    payload = {"room": "r-1", "names": ["Rot", "Grün"], "depth": {"of": None}}
    async with store.begin() as tx:
        tx.add(_member("red"))
        tx.add(Notice(id="n-1", member_id="m-red", kind="ping", payload=payload, created_at=NOON))
    async with store.begin() as tx:
        assert (await tx.get_one(Notice, "n-1")).payload == payload


async def test_two_who_read_and_then_write_the_same_do_not_lose_one(store: Store) -> None:
    async with store.begin() as tx:
        tx.add(_member("red"))

    async def take_one() -> None:
        async with store.begin() as tx:
            member = await tx.get_one(Member, "m-red", with_for_update=True)
            await asyncio.sleep(0)
            member.invitations_left += 1

    await asyncio.gather(*(take_one() for _ in range(20)))
    async with store.begin() as tx:
        assert (await tx.get_one(Member, "m-red")).invitations_left == 20


async def test_the_migrations_make_exactly_the_tables_of_the_code(store: Store) -> None:
    async with store.engine.begin() as connection:
        try:
            await connection.run_sync(lambda it: command.check(config(it)))
        except CommandError as error:
            pytest.fail(str(error))


async def test_processes_that_open_an_empty_database_at_once_take_turns(
    postgres: Postgres,
) -> None:
    settings = Settings(database_url=postgres.url(postgres.new_database()), secret=SECRET)
    stores = await asyncio.gather(*(Store.open(settings) for _ in range(3)))
    async with stores[0].begin() as tx:
        assert await tx.scalar(select(func.count()).select_from(Member)) == 0
    for store in stores:
        await store.close()


async def test_another_database_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="neither"):
        await Store.open(Settings(database_url="mysql://localhost/club", secret=b"x" * 32))


def test_every_key_to_another_table_can_be_searched_by_an_index() -> None:
    for table in Base.metadata.tables.values():
        first = {next(iter(index.columns)).name for index in table.indexes}
        first.add(next(iter(table.primary_key.columns)).name)
        keys = {column.name for column in table.columns if column.foreign_keys}
        assert keys <= first, f"{table.name}: {keys - first}"
