"""One-time codes to hand in by; what loggers' memories were asked; gateways that stand at a reception."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "hand_ins",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("box", sa.String(64), nullable=False),
        sa.Column("requester", sa.String(64)),
        sa.Column("profile", sa.String(64)),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(64), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_ms", sa.BigInteger()),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("handed_in_at_ms", sa.BigInteger()),
        sa.Column("undo_until_ms", sa.BigInteger()),
        sa.Column("browser_hash", sa.LargeBinary()),
        sa.Column("consignment", sa.String(64)),
        sa.Column("statement", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hand_ins")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_hand_ins_code_hash")),
    )
    op.create_index(op.f("ix_hand_ins_consignment"), "hand_ins", ["consignment"], unique=False)
    op.create_index(op.f("ix_hand_ins_expires_at_ms"), "hand_ins", ["expires_at_ms"], unique=False)
    op.create_table(
        "memory_reads",
        sa.Column("logger", sa.String(64), nullable=False),
        sa.Column("gateway", sa.String(64), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("logger", "gateway", "to_ms", name=op.f("pk_memory_reads")),
    )
    op.create_index(op.f("ix_memory_reads_at_ms"), "memory_reads", ["at_ms"], unique=False)
    op.add_column("gateways", sa.Column("reception", sa.Boolean(), nullable=False, server_default=sa.false()))
