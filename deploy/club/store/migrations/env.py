"""Run by Alembic: migrate on the connection that the caller holds, in its transaction."""

from __future__ import annotations

from alembic import context

from deploy.club.store import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite cannot alter a table; it is copied instead.
    render_as_batch=True,
)
context.run_migrations()
