"""The bus: within a process, after a commit, between processes, and across an outage."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.club.settings import Settings
from deploy.club.store import RESUMED, Listening, Store
from deploy.club.store.bus import PAYLOAD_BYTES_MAX, WAITING_MAX, Bus
from tests.club.conftest import SECRET
from tests.club.postgres import Postgres, running


async def _next(listening: Listening) -> tuple[str, dict[str, object]]:
    async with asyncio.timeout(30):
        return await anext(listening)


def _is_silent(listening: Listening) -> bool:
    return not listening.waiting


async def test_listeners_hear_their_topics_and_nothing_else(store: Store) -> None:
    hall, notices = store.bus.listen({"hall"}), store.bus.listen({"hall", "notice"})
    store.bus.publish("notice", {"member": "m-1"})
    store.bus.publish("hall", {"room": "r-1"})
    assert await _next(hall) == ("hall", {"room": "r-1"})
    assert await _next(notices) == ("notice", {"member": "m-1"})
    assert await _next(notices) == ("hall", {"room": "r-1"})


async def test_what_is_published_after_a_transaction_is_heard_after_its_commit(
    store: Store,
) -> None:
    listening = store.bus.listen({"hall"})
    async with store.begin() as tx:
        store.bus.publish_after(tx, "hall", {"room": "r-1"})
        assert _is_silent(listening)
    assert await _next(listening) == ("hall", {"room": "r-1"})


async def test_nothing_is_heard_of_a_transaction_that_was_rolled_back(store: Store) -> None:
    listening = store.bus.listen({"hall"})
    with pytest.raises(RuntimeError):
        async with store.begin() as tx:
            store.bus.publish_after(tx, "hall", {"room": "r-1"})
            raise RuntimeError
    async with store.begin() as tx:
        store.bus.publish_after(tx, "hall", {"room": "r-2"})
    assert await _next(listening) == ("hall", {"room": "r-2"})


async def test_closing_a_listener_ends_its_loop_after_what_it_already_has() -> None:
    bus, heard = Bus(), []
    with bus.listen({"hall"}) as listening:
        bus.publish("hall", {"n": 1})
    bus.publish("hall", {"n": 2})
    async for _, payload in listening:
        heard.append(payload)
    assert heard == [{"n": 1}]


async def test_a_listener_that_nobody_holds_is_forgotten() -> None:
    bus = Bus()
    bus.listen({"hall"})
    gc.collect()
    assert bus.listeners == 0


async def test_one_who_does_not_read_is_told_to_read_anew_instead_of_everything() -> None:
    bus = Bus()
    listening = bus.listen({"hall"})
    for n in range(WAITING_MAX + 1):
        bus.publish("hall", {"n": n})
    bus.publish("hall", {"n": "last"})
    assert await _next(listening) == (RESUMED, {})
    assert await _next(listening) == ("hall", {"n": "last"})
    assert _is_silent(listening)


async def test_more_than_a_notification_holds_is_refused_on_every_database(store: Store) -> None:
    with pytest.raises(ValueError, match="ids"):
        store.bus.publish("hall", {"text": "x" * PAYLOAD_BYTES_MAX})


@pytest_asyncio.fixture
async def two(postgres: Postgres, _postgres_template: str) -> AsyncIterator[tuple[Store, Store]]:
    """Two processes of one club, as far as a database can tell."""
    url = postgres.url(postgres.new_database(_postgres_template))
    settings = Settings(database_url=url, secret=SECRET)
    stores = await Store.open(settings), await Store.open(settings)
    yield stores
    for store in stores:
        await store.close()


async def test_another_process_hears_what_is_published(two: tuple[Store, Store]) -> None:
    here, there = two
    listening = there.bus.listen({"hall"})
    here.bus.publish("hall", {"topic": "Über's Wetter"})
    assert await _next(listening) == ("hall", {"topic": "Über's Wetter"})


async def test_each_process_hears_a_committed_message_once(two: tuple[Store, Store]) -> None:
    here, there = two
    mine, theirs = here.bus.listen({"hall"}), there.bus.listen({"hall"})
    async with here.begin() as tx:
        here.bus.publish_after(tx, "hall", {"n": 1})
    there.bus.publish("hall", {"n": 2})
    # The answer from there arrives behind what would be an echo.
    assert [await _next(mine), await _next(mine)] == [("hall", {"n": 1}), ("hall", {"n": 2})]
    here.bus.publish("hall", {"n": 3})
    heard = {(await _next(theirs))[1]["n"] for _ in range(3)}
    assert heard == {1, 2, 3}


async def test_another_process_hears_nothing_of_what_was_rolled_back(
    two: tuple[Store, Store],
) -> None:
    here, there = two
    listening = there.bus.listen({"hall"})
    with pytest.raises(RuntimeError):
        async with here.begin() as tx:
            here.bus.publish_after(tx, "hall", {"n": 1})
            await here.bus.within(tx)
            raise RuntimeError
    here.bus.publish("hall", {"n": 2})
    assert await _next(listening) == ("hall", {"n": 2})


async def test_after_an_outage_listeners_are_told_and_messages_cross_again() -> None:
    with running() as server:
        settings = Settings(database_url=server.url(server.new_database()), secret=SECRET)
        here, there = await Store.open(settings), await Store.open(settings)
        listening = there.bus.listen({"hall"})
        await asyncio.to_thread(server.stop)
        here.bus.publish("hall", {"n": "while away"})
        await asyncio.to_thread(server.start)
        assert await _next(listening) == (RESUMED, {})
        here.bus.publish("hall", {"n": "back"})
        while (await _next(listening))[1] != {"n": "back"}:
            pass
        await here.close()
        await there.close()
