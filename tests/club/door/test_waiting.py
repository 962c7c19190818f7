"""The waiting list and the list of numbers: order, admission, and what is written down of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from deploy.club.door import numbers, waiting
from deploy.club.door.phones import LINES_MAX, read_phones
from deploy.club.people.notices import latest
from deploy.club.refusal import Refused
from deploy.club.settings import Door
from deploy.club.store import AllowedNumber, ModerationEntry, Store
from tests.club.door.people import NOW, SETTINGS, host, phone_of, signed_up

MINUTE = timedelta(minutes=1)


async def test_the_list_is_in_the_order_people_came(store: Store) -> None:
    async with store.begin() as tx:
        second = await signed_up(tx, 1, NOW + MINUTE)
        first = await signed_up(tx, 2, NOW)
        third = await signed_up(tx, 3, NOW + 2 * MINUTE)
        assert await waiting.waiting(tx) == [first, second, third]
        assert [await waiting.place(tx, one) for one in (first, second, third)] == [1, 2, 3]
        assert await waiting.count(tx) == 3


async def test_people_who_came_in_one_moment_have_places_of_their_own(store: Store) -> None:
    async with store.begin() as tx:
        people = [await signed_up(tx, number) for number in range(4)]
        listed = await waiting.waiting(tx)
        assert sorted([await waiting.place(tx, one) for one in people]) == [1, 2, 3, 4]
        assert [await waiting.place(tx, one) for one in listed] == [1, 2, 3, 4]


async def test_the_next_one_is_admitted_told_and_noted(store: Store) -> None:
    later = NOW + 3 * MINUTE
    async with store.begin() as tx:
        red = await host(tx)
        second = await signed_up(tx, 1, NOW + MINUTE)
        first = await signed_up(tx, 2, NOW)
        assert await waiting.admit_next(tx, SETTINGS, red, later) == first
        assert (first.standing, first.admitted_at, first.waiting_since) == ("member", later, None)
        assert first.invitations_left == SETTINGS.invitations_each
        assert [told.kind for told in await latest(tx, first.id)] == ["admitted"]
        assert await waiting.place(tx, second) == 1
        entry = (await tx.scalars(select(ModerationEntry))).one()
        assert (entry.actor_id, entry.action, entry.subject_id) == (red.id, "admit", first.id)


async def test_anybody_who_waits_is_admitted_by_id_or_by_number(store: Store) -> None:
    async with store.begin() as tx:
        red = await host(tx)
        people = [await signed_up(tx, number, NOW + number * MINUTE) for number in range(3)]
        assert await waiting.admit(tx, SETTINGS, red, people[2].id, NOW) == people[2]
        written = phone_of(1).replace("+49", "+49 (0) ")
        assert await waiting.admit_number(tx, SETTINGS, red, written, NOW) == people[1]
        assert await waiting.waiting(tx) == [people[0]]


async def test_who_does_not_wait_is_not_admitted(store: Store) -> None:
    async with store.begin() as tx:
        red = await host(tx)
        removed = await signed_up(tx, 1)
        removed.standing = "removed"
        await tx.flush()
        for asked in (
            waiting.admit_next(tx, SETTINGS, red, NOW),
            waiting.admit(tx, SETTINGS, red, "m-nobody", NOW),
            waiting.admit(tx, SETTINGS, red, red.id, NOW),
            waiting.admit(tx, SETTINGS, red, removed.id, NOW),
            waiting.admit_number(tx, SETTINGS, red, phone_of(1), NOW),
            waiting.admit_number(tx, SETTINGS, red, phone_of(2), NOW),
        ):
            with pytest.raises(Refused, match="not_waiting"):
                await asked
        assert removed.standing == "removed"


async def test_numbers_are_listed_once_and_not_readable(store: Store) -> None:
    async with store.begin() as tx:
        red = await host(tx)
        text = f"{phone_of(1)}\n\n {phone_of(2)} \n{phone_of(1)}"
        assert await numbers.add(tx, SETTINGS, red, text, NOW) == (2, 0)
        assert await numbers.add(tx, SETTINGS, red, phone_of(2), NOW) == (0, 0)
        assert await numbers.count(tx) == 2
        keys = (await tx.scalars(select(AllowedNumber.phone_hash))).all()
        assert all(phone_of(1)[1:] not in key for key in keys)


async def test_a_line_that_is_no_number_adds_none(store: Store) -> None:
    async with store.begin() as tx:
        red = await host(tx)
        with pytest.raises(Refused, match="bad_phone"):
            await numbers.add(tx, SETTINGS, red, f"{phone_of(1)}\nblue", NOW)
        assert await numbers.count(tx) == 0


async def test_listing_a_number_admits_who_waits_with_it(store: Store) -> None:
    shut = replace(SETTINGS, doors=frozenset({Door.INVITATION}))
    async with store.begin() as tx:
        red = await host(tx)
        waits, other = await signed_up(tx, 1), await signed_up(tx, 2)
        assert await numbers.add(tx, shut, red, phone_of(1), NOW) == (1, 0)
        assert await numbers.add(tx, SETTINGS, red, phone_of(1), NOW) == (0, 1)
        assert (waits.standing, other.standing) == ("member", "waiting")


async def test_a_number_off_the_list_lets_nobody_in_any_more(store: Store) -> None:
    async with store.begin() as tx:
        red = await host(tx)
        await numbers.add(tx, SETTINGS, red, phone_of(1), NOW)
        assert await numbers.remove(tx, SETTINGS, red, phone_of(1), NOW) is True
        assert (await signed_up(tx, 1)).standing == "waiting"
        assert await numbers.remove(tx, SETTINGS, red, phone_of(1), NOW) is False
        actions = (await tx.scalars(select(ModerationEntry.action))).all()
        assert sorted(actions) == ["numbers.add", "numbers.remove"]


@pytest.mark.parametrize("text", ["", " \n ", "\n".join(["+4915120000001"] * (LINES_MAX + 1))])
def test_a_list_has_lines_and_not_too_many(text: str) -> None:
    with pytest.raises(Refused, match="bad_phone"):
        read_phones(text)
