"""Epochs are found by their random names, whichever gateways they are of."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_epochs_epoch", "epochs", ["epoch"], unique=False)
    op.drop_index("ix_epochs_parent", table_name="epochs")
    op.create_index("ix_epochs_parent", "epochs", ["parent_epoch", "gateway", "parent_offset"], unique=False)
