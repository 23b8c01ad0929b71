"""Which watch has a consignment's fold in memory, where several share the marks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("folds", sa.Column("keeper", sa.String(32)))
