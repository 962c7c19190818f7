"""What several requests want at the same moment: one gets it, and no try is for free."""

from __future__ import annotations

import asyncio
from collections import Counter

from deploy.club.door import codes, invitations, sessions, waiting
from deploy.club.door.pace import TRIES_MAX, Answer
from deploy.club.door.sessions import SEEN_STEP
from deploy.club.door.signing_up import enter
from deploy.club.refusal import Refused
from deploy.club.store import Invitation, Member, Store
from tests.club.door.people import NOW, SETTINGS, host, phone_of, signed_up

PHONE = phone_of(1)
# More than the tries of a code, and as many as a pool of connections holds.
AT_ONCE = 2 * TRIES_MAX


async def test_many_guesses_at_once_are_no_more_than_the_tries(store: Store) -> None:
    async with store.begin() as tx:
        code = await codes.issue(tx, SETTINGS, PHONE, NOW)

    async def guess(number: int) -> Answer:
        wrong = f"{(int(code) + 1 + number) % 1_000_000:06}"
        async with store.begin() as tx:
            return await codes.try_code(tx, SETTINGS, PHONE, wrong, NOW)

    answers = Counter(await asyncio.gather(*map(guess, range(AT_ONCE))))
    assert answers == {Answer.WRONG: TRIES_MAX - 1, Answer.VOID: AT_ONCE - TRIES_MAX + 1}


async def test_a_right_code_sent_twice_at_once_is_right_once(store: Store) -> None:
    async with store.begin() as tx:
        code = await codes.issue(tx, SETTINGS, PHONE, NOW)

    async def enter() -> Answer:
        async with store.begin() as tx:
            return await codes.try_code(tx, SETTINGS, PHONE, code, NOW)

    assert sorted(answer.value for answer in await asyncio.gather(enter(), enter())) == [
        "right",
        "void",
    ]


async def test_a_number_asked_for_at_once_gets_one_code(store: Store) -> None:
    async def ask() -> str:
        try:
            async with store.begin() as tx:
                await codes.issue(tx, SETTINGS, PHONE, NOW)
        except Refused as refused:
            return refused.code
        return "sent"

    said = Counter(await asyncio.gather(*(ask() for _ in range(AT_ONCE))))
    assert said == {"sent": 1, "too_many": AT_ONCE - 1}


async def test_one_invitation_lets_in_one_of_many_at_once(store: Store) -> None:
    async with store.begin() as tx:
        red = await host(tx)
        code = (await invitations.invite(tx, SETTINGS, red, "", NOW)).code

    async def join(number: int) -> str:
        try:
            async with store.begin() as tx:
                return (await signed_up(tx, number, invitation=code)).id
        except Refused as refused:
            return refused.code

    said = Counter(await asyncio.gather(*map(join, range(AT_ONCE))))
    assert said.pop("bad_invitation") == AT_ONCE - 1
    async with store.begin() as tx:
        used = await tx.get_one(Invitation, code)
        assert [used.used_by] == list(said)


async def test_no_more_invitations_are_given_at_once_than_there_are(store: Store) -> None:
    async with store.begin() as tx:
        code = (await invitations.invite(tx, SETTINGS, await host(tx), "", NOW)).code
        member = await signed_up(tx, 1, invitation=code)

    async def invite() -> str:
        try:
            async with store.begin() as tx:
                await invitations.invite(tx, SETTINGS, member, "", NOW)
        except Refused as refused:
            return refused.code
        return "given"

    said = Counter(await asyncio.gather(*(invite() for _ in range(AT_ONCE))))
    given = SETTINGS.invitations_each
    assert said == {"given": given, "no_invitations_left": AT_ONCE - given}


async def test_two_hosts_admit_one_person_once(store: Store) -> None:
    async with store.begin() as tx:
        red, waits = await host(tx), await signed_up(tx, 1)

    async def admit() -> str:
        try:
            async with store.begin() as tx:
                return (await waiting.admit(tx, SETTINGS, red, waits.id, NOW)).id
        except Refused as refused:
            return refused.code

    assert Counter(await asyncio.gather(admit(), admit())) == {waits.id: 1, "not_waiting": 1}


async def test_a_sign_out_beside_another_request_of_the_session_wins(store: Store) -> None:
    async with store.begin() as tx:
        token = await sessions.begin(tx, "0" * 64, NOW)
        session = await sessions.find(tx, token, NOW)
        assert session is not None

    async def look() -> None:
        async with store.begin() as tx:
            await sessions.find(tx, token, NOW + SEEN_STEP)

    async def leave() -> None:
        async with store.begin() as tx:
            await sessions.end(tx, session)

    await asyncio.gather(leave(), look(), look())
    async with store.begin() as tx:
        assert await sessions.find(tx, token, NOW) is None


async def test_processes_that_start_at_once_appoint_one_host(store: Store) -> None:
    async def start() -> str:
        async with store.begin() as tx:
            return (await host(tx)).id

    assert len(set(await asyncio.gather(*(start() for _ in range(AT_ONCE))))) == 1


async def test_who_was_admitted_a_moment_ago_spends_no_invitation(store: Store) -> None:
    async with store.begin() as tx:
        red = await host(tx)
        code = (await invitations.invite(tx, SETTINGS, red, "", NOW)).code
        waits = await signed_up(tx, 1)
    async with store.begin() as tx:
        await waiting.admit(tx, SETTINGS, red, waits.id, NOW)
    async with store.begin() as tx:
        assert not await enter(tx, SETTINGS, await tx.get_one(Member, waits.id), code, NOW)
    async with store.begin() as tx:
        assert (await tx.get_one(Invitation, code)).used_by is None
