"""The projection's cursors beside the epochs, and its marks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WAITING = "projected_offset < next_offset"


def upgrade() -> None:
    op.drop_table("projected")
    op.add_column("epochs", sa.Column("projected_offset", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index(
        "ix_epochs_waiting",
        "epochs",
        ["id"],
        unique=False,
        sqlite_where=sa.text(WAITING),
        postgresql_where=sa.text(WAITING),
    )
    op.create_table(
        "projection_marks",
        sa.Column("subject", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("marks", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "name", name=op.f("pk_projection_marks")),
    )
    op.create_index("ix_projection_marks_due", "projection_marks", ["subject", "due_ms"], unique=False)


def downgrade() -> None:
    op.drop_table("projection_marks")
    op.drop_index("ix_epochs_waiting", table_name="epochs")
    op.drop_column("epochs", "projected_offset")
    op.create_table(
        "projected",
        sa.Column("projection", sa.String(length=32), nullable=False),
        sa.Column(
            "epoch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["epoch_id"], ["epochs.id"], name=op.f("fk_projected_epoch_id_epochs")),
        sa.PrimaryKeyConstraint("projection", "epoch_id", name=op.f("pk_projected")),
    )
