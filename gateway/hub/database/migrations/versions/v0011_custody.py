"""What people did at vehicles: kept until, and after, the registry knows it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "custody",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("gateway", sa.String(64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_custody")),
    )
    op.create_index("ix_custody_gateway", "custody", ["gateway", "at_ms"], unique=False)
    op.create_index("ix_custody_waits", "custody", ["waits"], unique=False)
