"""One-time codes in the store: good once, for a while, for few tries, and quiet about members."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from deploy.club.door.codes import issue, sweep, try_code
from deploy.club.door.pace import AGAIN_AFTER, CODE_LIFE, TRIES_MAX, WINDOW, Answer
from deploy.club.refusal import Refused
from deploy.club.store import LoginCode, Store
from tests.club.door.people import NOW, SETTINGS, host, phone_of

PHONE = phone_of(1)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


async def test_a_code_is_good_once_however_it_is_written(store: Store) -> None:
    async with store.begin() as tx:
        code = await issue(tx, SETTINGS, PHONE, NOW)
    assert len(code) == 6
    written = f" {code[:3]} {code[3:]} "
    async with store.begin() as tx:
        assert await try_code(tx, SETTINGS, PHONE, written, NOW) is Answer.RIGHT
    async with store.begin() as tx:
        assert await try_code(tx, SETTINGS, PHONE, written, NOW) is Answer.VOID


async def test_a_code_is_of_one_number(store: Store) -> None:
    async with store.begin() as tx:
        code = await issue(tx, SETTINGS, PHONE, NOW)
        assert await try_code(tx, SETTINGS, phone_of(2), code, NOW) is Answer.VOID
        assert await try_code(tx, SETTINGS, PHONE, code, NOW) is Answer.RIGHT


async def test_too_many_wrong_tries_void_a_code_and_a_new_one_counts_anew(store: Store) -> None:
    async with store.begin() as tx:
        code = await issue(tx, SETTINGS, PHONE, NOW)
        for _ in range(TRIES_MAX - 1):
            assert await try_code(tx, SETTINGS, PHONE, wrong(code), NOW) is Answer.WRONG
        assert await try_code(tx, SETTINGS, PHONE, wrong(code), NOW) is Answer.VOID
        assert await try_code(tx, SETTINGS, PHONE, code, NOW) is Answer.VOID
    later = NOW + AGAIN_AFTER
    async with store.begin() as tx:
        code = await issue(tx, SETTINGS, PHONE, later)
        assert await try_code(tx, SETTINGS, PHONE, code, later) is Answer.RIGHT


async def test_a_code_is_void_after_its_life_and_after_the_next_one(store: Store) -> None:
    async with store.begin() as tx:
        first = await issue(tx, SETTINGS, PHONE, NOW)
        assert await try_code(tx, SETTINGS, PHONE, first, NOW + CODE_LIFE) is Answer.VOID
        second = await issue(tx, SETTINGS, PHONE, NOW + AGAIN_AFTER)
        if first != second:
            answer = await try_code(tx, SETTINGS, PHONE, first, NOW + AGAIN_AFTER)
            assert answer is Answer.WRONG


async def test_asking_again_at_once_is_refused_and_leaves_the_code_good(store: Store) -> None:
    async with store.begin() as tx:
        code = await issue(tx, SETTINGS, PHONE, NOW)
    with pytest.raises(Refused, match="too_many"):
        async with store.begin() as tx:
            await issue(tx, SETTINGS, PHONE, NOW)
    async with store.begin() as tx:
        assert await try_code(tx, SETTINGS, PHONE, code, NOW) is Answer.RIGHT


async def test_neither_number_nor_code_is_in_the_table(store: Store) -> None:
    async with store.begin() as tx:
        code = await issue(tx, SETTINGS, PHONE, NOW)
        row = (await tx.scalars(select(LoginCode))).one()
        kept = f"{row.phone_hash} {row.code_hash}"
    assert PHONE[1:] not in kept
    assert code not in (row.code_hash, row.phone_hash)


async def test_two_numbers_with_one_code_cannot_be_told_by_the_table(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.club.door.codes.new_code", lambda: "123456")
    async with store.begin() as tx:
        for number in (1, 2):
            await issue(tx, SETTINGS, phone_of(number), NOW)
        assert len(set(await tx.scalars(select(LoginCode.code_hash)))) == 2


async def test_members_and_strangers_are_treated_the_same(store: Store) -> None:
    async with store.begin() as tx:
        await host(tx, 7)
        answers = []
        for phone in (phone_of(7), phone_of(8)):
            code = await issue(tx, SETTINGS, phone, NOW)
            answers.append(await try_code(tx, SETTINGS, phone, wrong(code), NOW))
            with pytest.raises(Refused, match="too_many"):
                await issue(tx, SETTINGS, phone, NOW)
    assert answers == [Answer.WRONG, Answer.WRONG]


async def test_only_numbers_whose_window_is_over_are_forgotten(store: Store) -> None:
    async with store.begin() as tx:
        await issue(tx, SETTINGS, phone_of(1), NOW)
        await issue(tx, SETTINGS, phone_of(2), NOW + timedelta(seconds=1))
        await sweep(tx, NOW + WINDOW)
        assert await tx.scalar(select(func.count()).select_from(LoginCode)) == 1
