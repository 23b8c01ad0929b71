"""Run by Alembic: migrate the connection that `upgrade_schema` hands over."""

from __future__ import annotations

from alembic import context

from gateway.hub.database.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=False)
context.run_migrations()
