"""Loggers that are lost; what retention has removed; which box carries what now is found by an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lost_loggers",
        sa.Column("logger", sa.String(64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["logger"], ["loggers.address"], name=op.f("fk_lost_loggers_logger_loggers")),
        sa.PrimaryKeyConstraint("logger", name=op.f("pk_lost_loggers")),
    )
    op.create_table(
        "removals",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_removals")),
    )
    op.add_column("consignments", sa.Column("readings_removed_at_ms", sa.BigInteger()))
    op.create_index("ix_carriages_box_ends_ms", "carriages", ["box", "ends_ms"], unique=False)
