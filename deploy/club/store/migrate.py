"""Bringing a database's tables up to date, by Alembic's migrations in this package."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

# Processes that start together take turns. Any number will do that nobody else uses.
_TURN = text("SELECT pg_advisory_xact_lock(7126395142)")


def config(connection: Connection | None = None) -> Config:
    """Alembic's, as code: where the migrations are, and the connection they run on."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def to_head(connection: Connection) -> None:
    """Run what is missing, in the connection's transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(_TURN)
    command.upgrade(config(connection), "head")
