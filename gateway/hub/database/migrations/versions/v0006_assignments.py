"""Which logger was in which box from when to when, and the faults that loggers showed last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assignments",
        sa.Column("logger", sa.String(length=64), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        sa.Column("box", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["logger"], ["loggers.address"], name=op.f("fk_assignments_logger_loggers")),
        sa.PrimaryKeyConstraint("logger", "from_ms", name=op.f("pk_assignments")),
    )
    op.create_index(op.f("ix_assignments_box"), "assignments", ["box"], unique=False)
    # Until now a logger was in one box, of which it was not known since when: from the beginning.
    op.execute("INSERT INTO assignments (logger, from_ms, until_ms, box) SELECT address, 0, NULL, box FROM loggers")
    op.drop_index("ix_loggers_box", table_name="loggers")
    op.drop_column("loggers", "box")
    op.create_table(
        "logger_faults",
        sa.Column("logger", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("over", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("logger", "code", "gateway", name=op.f("pk_logger_faults")),
    )


def downgrade() -> None:
    op.drop_table("logger_faults")
    op.add_column("loggers", sa.Column("box", sa.String(length=64), server_default="", nullable=False))
    op.execute(
        "UPDATE loggers SET box = COALESCE((SELECT box FROM assignments"
        " WHERE assignments.logger = loggers.address AND assignments.until_ms IS NULL), '')"
    )
    op.create_index("ix_loggers_box", "loggers", ["box"], unique=False)
    op.drop_table("assignments")
