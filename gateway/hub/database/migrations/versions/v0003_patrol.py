"""Processes that judge take turns at the patrol."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hub_state", sa.Column("patrolled_at_ms", sa.BigInteger(), server_default="0", nullable=False))
