"""Sessions: found by their cookie alone, for so long, of people who may still be here."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from deploy.club.door import sessions
from deploy.club.door.sessions import AGE_MAX, IDLE_MAX, SEEN_STEP, SESSIONS_MAX
from deploy.club.refusal import Refused
from deploy.club.store import Session, Store
from tests.club.door.people import NOW, signed_up

KEY = "0" * 64


async def test_a_session_is_found_by_its_token_and_the_table_does_not_hold_it(
    store: Store,
) -> None:
    async with store.begin() as tx:
        token = await sessions.begin(tx, KEY, NOW)
        other = await sessions.begin(tx, KEY, NOW)
    async with store.begin() as tx:
        session = await sessions.find(tx, token, NOW)
        assert session is not None
        assert session.phone_hash == KEY
        assert session.member_id is None
        assert token not in (session.id, session.csrf)
        rows = (await tx.scalars(select(Session))).all()
        assert len({row.csrf for row in rows}) == 2
        assert await sessions.find(tx, session.id, NOW) is None
        await sessions.end(tx, session)
    async with store.begin() as tx:
        assert await sessions.find(tx, token, NOW) is None
        assert await sessions.find(tx, other, NOW) is not None


async def test_a_session_ends_when_it_is_not_used(store: Store) -> None:
    async with store.begin() as tx:
        token = await sessions.begin(tx, KEY, NOW)
        assert await sessions.find(tx, token, NOW + IDLE_MAX) is None
        later = NOW + IDLE_MAX - SEEN_STEP
        assert await sessions.find(tx, token, later) is not None
        assert await sessions.find(tx, token, NOW + IDLE_MAX) is not None


async def test_a_session_ends_after_a_year_however_often_it_is_used(store: Store) -> None:
    async with store.begin() as tx:
        token = await sessions.begin(tx, KEY, NOW)
        at = NOW
        while at < NOW + AGE_MAX:
            assert await sessions.find(tx, token, at) is not None
            at += IDLE_MAX / 2
        assert await sessions.find(tx, token, NOW + AGE_MAX) is None
        await sessions.sweep(tx, NOW + AGE_MAX)
        assert (await tx.scalars(select(Session))).all() == []


async def test_use_is_remembered_in_steps(store: Store) -> None:
    async with store.begin() as tx:
        token = await sessions.begin(tx, KEY, NOW)
    for at, seen in ((NOW + SEEN_STEP / 2, NOW), (NOW + SEEN_STEP, NOW + SEEN_STEP)):
        async with store.begin() as tx:
            await sessions.find(tx, token, at)
        async with store.begin() as tx:
            assert (await tx.scalars(select(Session.seen_at))).one() == seen


async def test_the_session_used_longest_ago_makes_room(store: Store) -> None:
    async with store.begin() as tx:
        tokens = [
            await sessions.begin(tx, KEY, NOW + SEEN_STEP * step)
            for step in range(SESSIONS_MAX + 1)
        ]
        end = NOW + SEEN_STEP * SESSIONS_MAX
        found = [await sessions.find(tx, token, end) is not None for token in tokens]
    assert found == [False] + [True] * SESSIONS_MAX


async def test_who_was_removed_has_no_sessions_and_gets_none(store: Store) -> None:
    async with store.begin() as tx:
        member = await signed_up(tx, 1)
        assert member.phone_hash is not None
        token = await sessions.begin(tx, member.phone_hash, NOW)
        assert await sessions.find(tx, token, NOW) is not None
        member.standing = "removed"
        await tx.flush()
        assert await sessions.find(tx, token, NOW) is None
        with pytest.raises(Refused, match="removed"):
            await sessions.begin(tx, member.phone_hash, NOW)


async def test_a_member_is_signed_out_everywhere_and_nobody_else_is(store: Store) -> None:
    async with store.begin() as tx:
        one, other = await signed_up(tx, 1), await signed_up(tx, 2)
        await sessions.end_all(tx, one.id)
        left = (await tx.scalars(select(Session.member_id))).all()
    assert left == [other.id]
