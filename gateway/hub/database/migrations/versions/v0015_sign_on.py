"""The hospital's single sign-on: ways to it, and proofs that it gives."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("signed_on", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "sign_ons",
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("next_path", sa.Text(), nullable=False),
        sa.Column("purpose", sa.String(255)),
        sa.Column("session_hash", sa.LargeBinary()),
        sa.Column("begun_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("state_hash", name=op.f("pk_sign_ons")),
    )
    op.create_index("ix_sign_ons_begun_at_ms", "sign_ons", ["begun_at_ms"], unique=False)
    op.create_table(
        "proofs",
        sa.Column("session_hash", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.String(255), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_hash", "purpose", name=op.f("pk_proofs")),
    )
