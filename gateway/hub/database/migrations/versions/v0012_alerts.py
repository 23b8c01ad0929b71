"""Alerts that are no breach's wait until somebody acknowledges them, or until what they tell of is over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_OPEN = sa.text("breach_id IS NULL AND acknowledged_at_ms IS NULL AND resolved_at_ms IS NULL")


def upgrade() -> None:
    op.add_column("alerts", sa.Column("acknowledged_at_ms", sa.BigInteger()))
    op.add_column("alerts", sa.Column("acknowledged_by", sa.String(64)))
    op.add_column("alerts", sa.Column("reason", sa.Text()))
    op.add_column("alerts", sa.Column("resolved_at_ms", sa.BigInteger()))
    op.add_column("alerts", sa.Column("resolution", sa.String(32)))
    op.create_index("ix_alerts_open", "alerts", ["kind", "id"], sqlite_where=_OPEN, postgresql_where=_OPEN)
