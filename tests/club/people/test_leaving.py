"""One's own data: all of it can be had, and all of it goes."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Table, func, insert, select

from deploy.club.people import deletion, notices, profiles
from deploy.club.people.deletion import COVERED, NO_TOPIC, forget
from deploy.club.people.export import SECTIONS, export
from deploy.club.people.moderation import STANDING_TOPIC
from deploy.club.store import (
    AllowedNumber,
    Attendance,
    Base,
    Block,
    Follow,
    Invitation,
    LoginCode,
    Member,
    ModerationEntry,
    Notice,
    Picture,
    Report,
    Room,
    Session,
    Store,
    Talk,
)
from tests.club.founding import Founded, Founder
from tests.club.people.conftest import NOW

SECRETS = ("the-code", "the-code-hash")
# Columns that may go on pointing to the emptied row: others' data or the log hang on them.
KEPT = {
    ("allowed_numbers", "added_by"),
    ("invitations", "inviter_id"),
    ("invitations", "used_by"),
    ("members", "invited_by"),
    ("moderation_entries", "actor_id"),
    ("moderation_entries", "subject_id"),
    ("reports", "resolved_by"),
    ("rooms", "created_by"),
}


def of_members(table: Table) -> list[str]:
    """The columns of a table that point to members."""
    return [
        constraint.column_keys[0]
        for constraint in table.constraints
        if isinstance(constraint, ForeignKeyConstraint)
        and constraint.referred_table.name == "members"
    ]


def knows_of_members(table: Table) -> bool:
    return bool(of_members(table)) or "phone_hash" in table.columns


async def live_a_full_life(store: Store, founder: Founder) -> tuple[Founded, Founded, str]:
    """Red has left something in every table; Blue is whom all of it is about. Red's room."""
    blue = await founder.person("Blue")
    red = await founder.person("Red", invited_by=blue.id, interests=["music"], bio="my words")
    room = await founder.room(red, "my topic", about="my words", interests=["music"])
    theirs = await founder.room(blue, "their topic")
    for one, other in ((red, blue), (blue, red)):
        await founder.follow(one, other)
        await founder.block(one, other)
    async with store.begin() as tx:
        phone_hash = (await tx.get_one(Member, red.id)).phone_hash
        assert phone_hash is not None
        await profiles.change_picture(tx, red.id, b"my face", NOW)
        tx.add(Notice(id="n-1", member_id=red.id, kind="warned", payload={}, created_at=NOW))
        payload = {"member": red.id}
        tx.add(Notice(id="n-2", member_id=blue.id, kind="ping", payload=payload, created_at=NOW))
        tx.add(
            LoginCode(
                phone_hash=phone_hash,
                code_hash="the-code-hash",
                expires_at=NOW,
                sent_at=NOW,
                window_began_at=NOW,
            )
        )
        tx.add(AllowedNumber(phone_hash=phone_hash, added_by=blue.id, added_at=NOW))
        tx.add(AllowedNumber(phone_hash="other", added_by=red.id, added_at=NOW))
        for code, inviter, user in (
            ("the-code", blue, red),
            ("mine-1", red, None),
            ("mine-2", red, blue),
        ):
            used_by, used_at = (user.id, NOW) if user else (None, None)
            tx.add(
                Invitation(
                    code=code,
                    inviter_id=inviter.id,
                    label="my words",
                    created_at=NOW,
                    used_by=used_by,
                    used_at=used_at,
                )
            )
        for id, reporter, about in (("x-1", red, blue), ("x-2", blue, red)):
            tx.add(
                Report(
                    id=id,
                    reporter_id=reporter.id,
                    reported_id=about.id,
                    reason="spam",
                    text=f"words of {reporter.name}",
                    at=NOW,
                )
            )
        for id, actor, subject in (("e-1", red, blue), ("e-2", blue, red)):
            tx.add(
                ModerationEntry(
                    id=id,
                    at=NOW,
                    actor_id=actor.id,
                    action="room.remove",
                    subject_id=subject.id,
                    detail={},
                )
            )
        for where in (room, theirs):
            tx.add(Attendance(room_id=where, member_id=red.id, at=NOW))
            tx.add(Talk(room_id=where, member_id=red.id, spoken_ms=1, joined_at=NOW))
    return red, blue, room


async def everything(store: Store) -> str:
    """All rows of all tables as text."""
    async with store.begin() as tx:
        rows = [
            (table.name, [str(value) for value in row])
            for table in Base.metadata.sorted_tables
            for row in await tx.execute(select(table))
        ]
    return json.dumps(rows)


async def left(store: Store, person: Founded) -> set[tuple[str, str]]:
    """Columns that still point to the person."""
    found = set()
    async with store.begin() as tx:
        for table in Base.metadata.sorted_tables:
            for name in of_members(table):
                column = table.columns[name]
                if await tx.scalar(select(func.count()).where(column == person.id)):
                    found.add((table.name, name))
    return found


def test_every_table_that_knows_of_members_is_covered() -> None:
    tables = {table.name for table in Base.metadata.sorted_tables if knows_of_members(table)}
    assert tables == set(COVERED)
    assert tables == {section.table.__tablename__ for section in SECTIONS}


async def test_a_full_life_touches_every_table(store: Store, founder: Founder) -> None:
    """Else the tests below prove less than they say."""
    red, _, _ = await live_a_full_life(store, founder)
    pointing = {
        (table.name, column)
        for table in Base.metadata.sorted_tables
        for column in of_members(table)
    }
    assert pointing - await left(store, red) == {
        ("members", "invited_by"),
        ("reports", "resolved_by"),
    }


async def test_the_export_has_all_of_it_without_secrets(store: Store, founder: Founder) -> None:
    red, blue, room = await live_a_full_life(store, founder)
    async with store.begin() as tx:
        whole = await export(tx, await tx.get_one(Member, red.id), NOW)
    empty = [title for title, rows in whole.items() if rows == []]
    assert empty == ["reports_resolved"]
    text = json.dumps(whole)
    for mine in ("my words", "my topic", "music", "words of Red", red.id, room):
        assert mine in text
    for secret in (*SECRETS, red.csrf, red.cookie, "words of Blue"):
        assert secret not in text
    assert blue.id not in json.dumps([whole["reports_about_me"], whole["moderation_about_me"]])
    assert [one["blocker_id"] for one in whole["blocks"]] == [red.id]


async def test_nothing_of_who_leaves_stays_but_an_empty_row(store: Store, founder: Founder) -> None:
    red, blue, _ = await live_a_full_life(store, founder)
    async with store.begin() as tx:
        phone_hash = (await tx.get_one(Member, red.id)).phone_hash
        picture = (await tx.get_one(Member, red.id)).picture_id
    before = await everything(store)
    mine = ["my words", "my topic", "my face", "words of Red", "words of Blue", "Red"]
    mine += [str(phone_hash), str(picture), "mine-1"]
    assert all(one in before for one in mine)
    async with store.begin() as tx:
        await forget(tx, red.id, NOW)
    after = await everything(store)
    # Blue's own invitation has Blue's label.
    after = after.replace('["the-code", "' + blue.id + '", "my words"', "")
    assert [one for one in mine if one in after] == []
    assert await left(store, red) <= KEPT
    async with store.begin() as tx:
        row = await tx.get_one(Member, red.id)
        assert (row.deleted_at, row.standing, row.is_host) == (NOW, "removed", False)


async def test_others_keep_what_is_theirs(store: Store, founder: Founder) -> None:
    red, blue, _ = await live_a_full_life(store, founder)
    async with store.begin() as tx:
        await notices.notify(tx, blue.id, "warned", {}, NOW)
        await forget(tx, red.id, NOW)
    async with store.begin() as tx:
        viewer = await tx.get_one(Member, blue.id)
        assert (viewer.name, viewer.standing) == ("Blue", "member")
        assert [one.kind for one in await notices.latest(tx, blue.id)] == ["warned"]
        assert await tx.scalar(select(Room.topic).where(Room.created_by == blue.id))
        assert await tx.get(AllowedNumber, "other") is not None
        assert await tx.scalar(select(func.count()).select_from(Session)) == 1


async def test_the_chain_keeps_a_place_for_who_left(store: Store, founder: Founder) -> None:
    red = await founder.person("Red")
    blue = await founder.person("Blue", invited_by=red.id)
    white = await founder.person("White", invited_by=blue.id)
    async with store.begin() as tx:
        await forget(tx, blue.id, NOW)
    async with store.begin() as tx:
        links = await profiles.chain(tx, await tx.get_one(Member, red.id), white.id)
    assert [(one.name, one.deleted_at is not None) for one in links] == [
        ("White", False),
        ("", True),
        ("Red", False),
    ]


async def test_rooms_go_on_with_another_host_and_end_without(
    store: Store, founder: Founder
) -> None:
    red, blue, white = await founder.people(3)
    shared = await founder.room(red, "shared", seats={blue.id: "host"})
    alone = await founder.room(red, "alone", seats={blue.id: "moderator"})
    planned = await founder.room(red, "planned", state="scheduled", scheduled_at=NOW)
    async with store.begin() as tx:
        tx.add(Attendance(room_id=planned, member_id=white.id, at=NOW))
    async with store.begin() as tx:
        await forget(tx, red.id, NOW)
    async with store.begin() as tx:
        rooms = {one.id: one for one in await tx.scalars(select(Room))}
        kinds = [one.kind for one in await notices.latest(tx, white.id)]
    assert (rooms[shared].created_by, rooms[shared].state) == (blue.id, "live")
    assert rooms[shared].topic == "shared"
    assert (rooms[alone].state, rooms[alone].ended_at) == ("ended", NOW)
    assert rooms[alone].topic == NO_TOPIC
    assert rooms[planned].state == "cancelled"
    assert kinds == ["cancelled"]


async def test_open_pages_and_live_rooms_hear_of_it_once(store: Store, founder: Founder) -> None:
    red, blue = await founder.people(2)
    with store.bus.listen({STANDING_TOPIC}) as listening:
        for one in (red, red, blue):
            async with store.begin() as tx:
                await forget(tx, one.id, NOW)
        heard: list[dict[str, Any]] = [(await anext(listening))[1] for _ in range(2)]
    assert heard == [{"member": one.id, "standing": "deleted"} for one in (red, blue)]


async def test_the_number_can_sign_up_anew(store: Store, founder: Founder) -> None:
    red = await founder.person("Red")
    async with store.begin() as tx:
        phone_hash = (await tx.get_one(Member, red.id)).phone_hash
        await deletion.forget(tx, red.id, NOW)
    async with store.begin() as tx:
        values = {"id": "m-new", "phone_hash": phone_hash, "name": "Red", "created_at": NOW}
        values |= {"standing": "waiting", "bio": "", "language": "en"}
        await tx.execute(insert(Member).values(**values))
        assert await tx.scalar(select(func.count()).select_from(Picture)) == 0
        assert await tx.scalar(select(func.count()).select_from(Block)) == 0
        assert await tx.scalar(select(func.count()).select_from(Follow)) == 0
