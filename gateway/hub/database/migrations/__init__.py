"""The schema's history. `upgrade_schema` brings a database to the newest version."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection


def upgrade_schema(connection: Connection) -> None:
    """Apply, inside the caller's transaction, what an empty or older database lacks."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent))
    command.upgrade(config, "head")


def schema_version(connection: Connection) -> str | None:
    """Return the version that the database has, None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()
