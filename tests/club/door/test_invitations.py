"""Invitations: counted, personal, and the inviter's to take back until used."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy.club.door.invitations import (
    HOST_OPEN_MAX,
    LABEL_CHARS_MAX,
    given_by,
    invite,
    inviter_of,
    revoke,
)
from deploy.club.refusal import Refused
from deploy.club.settings import Door
from deploy.club.store import Store
from tests.club.door.people import NOW, SETTINGS, host, signed_up


async def test_a_member_gives_as_many_as_the_club_says_and_no_more(store: Store) -> None:
    async with store.begin() as tx:
        first = (await invite(tx, SETTINGS, await host(tx), "", NOW)).code
        member = await signed_up(tx, 1, invitation=first)
        codes = {
            (await invite(tx, SETTINGS, member, "", NOW)).code
            for _ in range(SETTINGS.invitations_each)
        }
        assert len(codes) == SETTINGS.invitations_each
        with pytest.raises(Refused, match="no_invitations_left"):
            await invite(tx, SETTINGS, member, "", NOW)


async def test_one_that_is_taken_back_lets_nobody_in_and_can_be_given_again(
    store: Store,
) -> None:
    async with store.begin() as tx:
        first = (await invite(tx, SETTINGS, await host(tx), "", NOW)).code
        member = await signed_up(tx, 1, invitation=first)
        code = (await invite(tx, SETTINGS, member, "blue", NOW)).code
        assert await inviter_of(tx, code) == member
        await revoke(tx, member, code, NOW)
        await tx.refresh(member)
        assert member.invitations_left == SETTINGS.invitations_each
        assert await inviter_of(tx, code) is None
        assert await given_by(tx, member.id) == []
        with pytest.raises(Refused, match="no_invitation"):
            await revoke(tx, member, code, NOW)
        with pytest.raises(Refused, match="bad_invitation"):
            await signed_up(tx, 2, invitation=code)
        await tx.refresh(member)
        assert member.invitations_left == SETTINGS.invitations_each


async def test_nobody_takes_back_what_is_used_or_another_persons(store: Store) -> None:
    async with store.begin() as tx:
        one, other = await host(tx, 1), await host(tx, 2)
        code = (await invite(tx, SETTINGS, one, "", NOW)).code
        with pytest.raises(Refused, match="no_invitation"):
            await revoke(tx, other, code, NOW)
        await signed_up(tx, 3, invitation=code)
        with pytest.raises(Refused, match="no_invitation"):
            await revoke(tx, one, code, NOW)


async def test_the_inviter_sees_who_came(store: Store) -> None:
    async with store.begin() as tx:
        inviter = await host(tx)
        used = await invite(tx, SETTINGS, inviter, " blue   or white ", NOW)
        await invite(tx, SETTINGS, inviter, "white", NOW)
        member = await signed_up(tx, 1, invitation=used.code)
        given = {one.invitation.label: one for one in await given_by(tx, inviter.id)}
        assert given["blue or white"].used_by == member
        assert not given["blue or white"].is_open
        assert given["white"].used_by is None
        assert given["white"].is_open


async def test_hosts_have_no_number_but_not_endlessly_many_open_ones(store: Store) -> None:
    async with store.begin() as tx:
        inviter = await host(tx)
        for _ in range(HOST_OPEN_MAX):
            code = (await invite(tx, SETTINGS, inviter, "", NOW)).code
        with pytest.raises(Refused, match="no_invitations_left"):
            await invite(tx, SETTINGS, inviter, "", NOW)
        await revoke(tx, inviter, code, NOW)
        await invite(tx, SETTINGS, inviter, "", NOW)


async def test_an_invitation_of_somebody_who_was_removed_lets_nobody_in(store: Store) -> None:
    async with store.begin() as tx:
        inviter = await host(tx)
        code = (await invite(tx, SETTINGS, inviter, "", NOW)).code
        inviter.standing = "removed"
        await tx.flush()
        assert await inviter_of(tx, code) is None
        with pytest.raises(Refused, match="bad_invitation"):
            await signed_up(tx, 1, invitation=code)


@pytest.mark.parametrize("label", ["x" * (LABEL_CHARS_MAX + 1), "a\x00b", "a\u202eb"])
async def test_a_note_is_one_short_line(store: Store, label: str) -> None:
    async with store.begin() as tx:
        with pytest.raises(Refused, match="bad_label"):
            await invite(tx, SETTINGS, await host(tx), label, NOW)


async def test_where_the_door_is_shut_nobody_invites(store: Store) -> None:
    shut = replace(SETTINGS, doors=frozenset({Door.CLOSED}))
    async with store.begin() as tx:
        with pytest.raises(Refused, match="invitations_closed"):
            await invite(tx, shut, await host(tx), "", NOW)
