"""Whatever table knows of a member is in that member's export, and in what deletion takes care of.

A table that somebody adds fails here until export and deletion know it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Enum, select
from sqlalchemy.orm import DeclarativeBase

from deploy.club.people import deletion
from deploy.club.people.export import SECTIONS, export
from deploy.club.store import Base, Member, Store, UtcTime

NOON = datetime(2030, 5, 1, 12, 0, tzinfo=UTC)
RED, BLUE = "m-red", "m-blue"
RED_PHONE, BLUE_PHONE = "1" * 64, "2" * 64
# In every text of red's rows, so that it can be looked for afterwards.
MARK = "unmistakable"

# Columns that name a member and are not in that member's export, and why.
NOT_EXPORTED = {
    "members.invited_by": "says it of the invited one, who may have deleted it with the account",
    "blocks.blocked_id": "who is blocked is not told by whom",
}
# Columns that may name somebody who deleted the account, and why.
MAY_STAY = {
    "members.id": "the chain of invitations, as a row without name, number and texts",
    "members.invited_by": "the chain of invitations",
    "invitations.inviter_id": "the chain of invitations",
    "invitations.used_by": "the chain of invitations",
    "allowed_numbers.added_by": "the number is another person's",
    "reports.resolved_by": "the report is another person's",
    "moderation_entries.actor_id": "the log of moderation",
    "moderation_entries.subject_id": "the log of moderation",
    "rooms.created_by": "what others said and did in the room",
}
# Columns of rows that may stay which hold words of the code and ids, nothing that anybody wrote.
NO_TEXTS = {
    "invitations.code",
    "moderation_entries.id",
    "moderation_entries.action",
    "moderation_entries.detail",
}


def _name(column: Column[Any]) -> str:
    return f"{column.table.name}.{column.name}"


def _personal() -> dict[str, Column[Any]]:
    """Every column that says who: the member's own id, keys that lead to it, hashes of numbers."""
    own = Base.metadata.tables["members"].columns["id"]
    found = [own]
    for table in Base.metadata.tables.values():
        for column in table.columns:
            to_members = any(key.column is own for key in column.foreign_keys)
            if to_members or column.name == "phone_hash":
                found.append(column)
    return {_name(column): column for column in found}


def test_every_column_that_names_a_member_is_exported_or_says_why_not() -> None:
    exported = {f"{it.table.__tablename__}.{by.key}" for it in SECTIONS for by in it.by}
    tables = {it.table.__tablename__ for it in SECTIONS}
    for name, column in _personal().items():
        # By its number a member is found where no id leads to it; else the row has it anyhow.
        by_id = column.name == "phone_hash" and column.table.name in tables
        assert (name in exported or by_id) != (name in NOT_EXPORTED), name


def test_every_table_that_names_a_member_is_covered_by_deletion_and_no_other() -> None:
    assert set(deletion.COVERED) == {column.table.name for column in _personal().values()}


def test_exceptions_name_columns_that_exist() -> None:
    assert NOT_EXPORTED.keys() | MAY_STAY.keys() <= _personal().keys()


def _value(column: Column[Any], who: str, phone: str) -> Any:
    """Something that fits; whatever can name a member names `who`."""
    if column.name == "phone_hash":
        return phone
    for key in column.foreign_keys:
        return who if key.column.table.name == "members" else f"r-{who}"
    if isinstance(column.type, Enum):
        return column.type.enums[0]
    if isinstance(column.type, UtcTime):
        return NOON
    text = f"{column.name}-{who}-{MARK}"[: getattr(column.type, "length", None)]
    made = {str: text, int: 1, bool: False, bytes: b"jpeg", object: {"text": text}}
    return made[column.type.python_type]  # of JSON: object


def _row(table: type[DeclarativeBase], who: str, phone: str, **fixed: Any) -> DeclarativeBase:
    columns = Base.metadata.tables[table.__tablename__].columns
    values = {it.key: _value(it, who, phone) for it in columns}
    return table(**(values | fixed))


async def _fill(store: Store, who: str, phone: str) -> None:
    """One row of `who` in every table, as if they had done everything."""
    tables = {it.class_.__tablename__: it.class_ for it in Base.registry.mappers}
    empty = {"invited_by": None, "deleted_at": None, "standing": "member", "name": f"{who}-{MARK}"}
    async with store.begin() as tx:
        tx.add(_row(tables.pop("members"), who, phone, id=who, **empty))
        await tx.flush()
        tx.add(_row(tables.pop("rooms"), who, phone, id=f"r-{who}", state="ended"))
        await tx.flush()
        tx.add_all(_row(table, who, phone) for table in tables.values())


async def test_the_export_of_one_who_did_everything_has_a_row_of_every_table(
    store: Store,
) -> None:
    await _fill(store, RED, RED_PHONE)
    await _fill(store, BLUE, BLUE_PHONE)
    async with store.begin() as tx:
        whole = await export(tx, await tx.get_one(Member, RED), NOON)
    for section in SECTIONS:
        assert len(whole[section.title]) == 1, section.title
    written = json.dumps(whole)
    assert BLUE not in written and BLUE_PHONE not in written


async def test_after_deletion_nothing_tells_of_the_member_and_others_keep_theirs(
    store: Store,
) -> None:
    await _fill(store, RED, RED_PHONE)
    await _fill(store, BLUE, BLUE_PHONE)
    async with store.begin() as tx:
        await deletion.forget(tx, RED, NOON)
    for table in Base.metadata.sorted_tables:
        async with store.begin() as tx:
            rows = [dict(row) for row in (await tx.execute(select(table))).mappings()]
        for row in rows:
            for column, value in row.items():
                name = f"{table.name}.{column}"
                assert value != RED or name in MAY_STAY, name
                assert value != RED_PHONE, name
                assert name in NO_TEXTS or f"{RED}-{MARK}" not in str(value), name
        if table.name in deletion.COVERED:
            assert sum(BLUE in str(row) for row in rows) == 1, table.name
