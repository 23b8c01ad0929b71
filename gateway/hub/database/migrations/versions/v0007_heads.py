"""Heads of all chains as they leave the hub; keys that were handed over to others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("gateway_keys", sa.Column("successor_epoch", sa.LargeBinary()))
    op.add_column("gateway_keys", sa.Column("retired_at_ms", sa.BigInteger()))
    op.create_table(
        "heads",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("timestamp", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_heads")),
    )
    op.create_table(
        "departures",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("part", sa.String(16), nullable=False),
        sa.Column("destination", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failure", sa.Text(), server_default="", nullable=False),
        sa.Column("done_at_ms", sa.BigInteger()),
        sa.ForeignKeyConstraint(["number"], ["heads.number"], name=op.f("fk_departures_number_heads")),
        sa.PrimaryKeyConstraint("number", "part", "destination", name=op.f("pk_departures")),
    )
