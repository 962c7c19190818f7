"""What all tables share: the declarative base, names of constraints, and column types that mean the
same on PostgreSQL and on SQLite.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Enum, MetaData, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

# Every constraint has a name of its own, so that a later migration can drop it on both databases.
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

# A prefix, a dash, 16 characters (see tokens.new_id); more is room for ids made elsewhere.
ID_LENGTH = 40
# HMAC-SHA256 as hexadecimal digits (see tokens.keyed_hash).
HASH_LENGTH = 64


class UtcTime(TypeDecorator[datetime]):
    """A moment. Python sees aware datetimes in UTC only, on both databases.

    SQLite has no time zones: there it is kept without one, in UTC.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database; ValueError for a datetime without a time zone, which is a bug."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# JSONB is smaller and checked at writing; SQLite keeps text.
Json = JSON().with_variant(JSONB(), "postgresql")


def one_of(name: str, *words: str) -> Enum:
    """A column that holds one of `words`: text with a check, so that a new word is a new check.

    `name` names the check within its table. Python refuses other words with LookupError.
    """
    return Enum(
        *words,
        name=name,
        native_enum=False,
        create_constraint=True,
        validate_strings=True,
        length=16,
    )


def text_id() -> String:
    """The type of an id, which is text with a prefix that says of what."""
    return String(ID_LENGTH)


class Base(DeclarativeBase):
    """Of all tables."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {datetime: UtcTime(), dict[str, Any]: Json}
