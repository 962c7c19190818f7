"""Signing up: by invitation, by the list, or with a place in line; and the first host."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from deploy.club.door import invitations, numbers, sessions
from deploy.club.door.signing_up import Form, appoint, enter, sign_up
from deploy.club.people.interests import interests_of
from deploy.club.people.notices import latest
from deploy.club.refusal import Refused
from deploy.club.settings import Door
from deploy.club.store import Invitation, Session, Store
from tests.club.door.people import NOW, SETTINGS, host, phone_of, proven, signed_up

CLOSED_ONLY = replace(SETTINGS, doors=frozenset({Door.CLOSED}))


async def test_without_an_invitation_one_waits(store: Store) -> None:
    async with store.begin() as tx:
        member = await signed_up(tx, 1)
        assert (member.standing, member.waiting_since) == ("waiting", NOW)
        assert member.admitted_at is None
        assert member.invitations_left == 0
        assert await interests_of(tx, member.id) == {"music"}


async def test_an_invitation_lets_in_and_names_who_gave_it(store: Store) -> None:
    async with store.begin() as tx:
        inviter = await host(tx)
        code = (await invitations.invite(tx, SETTINGS, inviter, "blue", NOW)).code
        member = await signed_up(tx, 1, invitation=code)
        assert (member.standing, member.invited_by) == ("member", inviter.id)
        assert member.invitations_left == SETTINGS.invitations_each
        assert (member.admitted_at, member.waiting_since) == (NOW, None)
        assert [told.kind for told in await latest(tx, inviter.id)] == ["joined"]
        assert await latest(tx, member.id) == []


async def test_a_bad_invitation_is_told_and_nobody_is_signed_up(store: Store) -> None:
    async with store.begin() as tx:
        session = await proven(tx, 1)
    with pytest.raises(Refused, match="bad_invitation"):
        async with store.begin() as tx:
            session = await tx.merge(session)
            form = Form(name="Blue", interests=[], invitation="i-nothing", language="en")
            await sign_up(tx, SETTINGS, session, form, NOW)
    async with store.begin() as tx:
        kept = (await tx.scalars(select(Session))).one()
        assert kept.member_id is None


async def test_a_listed_number_gets_in_and_keeps_its_invitation_where_that_door_is_shut(
    store: Store,
) -> None:
    async with store.begin() as tx:
        inviter = await host(tx)
        await numbers.add(tx, SETTINGS, inviter, phone_of(1), NOW)
        code = (await invitations.invite(tx, SETTINGS, inviter, "", NOW)).code
        listed = await signed_up(tx, 1, invitation=code, settings=CLOSED_ONLY)
        assert (listed.standing, listed.invited_by) == ("member", None)
        other = await signed_up(tx, 2, invitation=code, settings=CLOSED_ONLY)
        assert other.standing == "waiting"
        assert await invitations.inviter_of(tx, code) == inviter


async def test_who_waits_gets_in_with_a_later_invitation(store: Store) -> None:
    async with store.begin() as tx:
        inviter, member = await host(tx), await signed_up(tx, 1)
        code = (await invitations.invite(tx, SETTINGS, inviter, "", NOW)).code
        assert await enter(tx, SETTINGS, member, "", NOW) is False
        assert await enter(tx, SETTINGS, member, code, NOW) is True
        assert (member.standing, member.invited_by) == ("member", inviter.id)


async def test_signing_up_twice_is_refused(store: Store) -> None:
    async with store.begin() as tx:
        session = await proven(tx, 1)
        other_device = await proven(tx, 1)
        form = Form(name="Blue", interests=[], invitation="", language="en")
        member = await sign_up(tx, SETTINGS, session, form, NOW)
        for again in (session, other_device):
            await tx.refresh(again)
            assert again.member_id == member.id
            with pytest.raises(Refused, match="signed_up"):
                await sign_up(tx, SETTINGS, again, form, NOW)


async def test_two_forms_at_once_make_one_member(store: Store) -> None:
    async with store.begin() as tx:
        session = await proven(tx, 1)
        form = Form(name="Blue", interests=[], invitation="", language="en")
        await sign_up(tx, SETTINGS, session, form, NOW)
        # As the second request found it before the first was done.
        tx.expunge(session)
        session.member_id = None
        with pytest.raises(Refused, match="signed_up"):
            await sign_up(tx, SETTINGS, session, form, NOW)


async def test_of_two_with_one_invitation_the_first_gets_in(store: Store) -> None:
    async with store.begin() as tx:
        inviter = await host(tx)
        code = (await invitations.invite(tx, SETTINGS, inviter, "", NOW)).code
        first = await signed_up(tx, 1, invitation=code)
        with pytest.raises(Refused, match="bad_invitation"):
            await signed_up(tx, 2, invitation=code)
        used = await tx.get(Invitation, code, populate_existing=True)
        assert used is not None
        assert used.used_by == first.id


async def test_the_first_host_is_appointed_and_signs_in_later(store: Store) -> None:
    async with store.begin() as tx:
        member = await appoint(tx, SETTINGS, phone_of(1), "Red", NOW)
        assert (member.standing, member.is_host, member.name) == ("member", True, "Red")
        assert member.phone_hash is not None
        token = await sessions.begin(tx, member.phone_hash, NOW)
        session = await sessions.find(tx, token, NOW)
        assert session is not None
        assert session.member_id == member.id
        waits = await signed_up(tx, 2)
        again = await appoint(tx, SETTINGS, phone_of(2), "Red", NOW)
        assert (again.id, again.name, again.standing) == (waits.id, "guest 2", "member")
