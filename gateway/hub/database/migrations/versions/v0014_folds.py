"""How far each consignment under way has been folded: what a restarted hub goes on from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "folds",
        sa.Column("consignment", sa.String(64), nullable=False),
        sa.Column("identity", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("saved_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("consignment", name=op.f("pk_folds")),
    )
    op.create_index("ix_folds_saved_at_ms", "folds", ["saved_at_ms"], unique=False)
