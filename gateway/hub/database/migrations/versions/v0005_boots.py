"""Boots of gateways whose clock was not trusted at first, what dates them, and the stops of vehicles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("hub_state", sa.Column("dating_revision", sa.BigInteger(), server_default="0", nullable=False))
    for column in (
        sa.Column("clock_trusted", sa.Boolean(), nullable=True),
        sa.Column("clock_error_ms", sa.BigInteger(), nullable=True),
        sa.Column("clock_reference", sa.String(length=16), nullable=True),
        sa.Column("clock_at_ms", sa.BigInteger(), nullable=True),
    ):
        op.add_column("gateways", column)
    op.create_table(
        "boots",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=False),
        sa.Column("boot", sa.LargeBinary(), nullable=False),
        sa.Column("earliest_ms", sa.BigInteger(), nullable=True),
        sa.Column("latest_ms", sa.BigInteger(), nullable=True),
        sa.Column("dating", sa.LargeBinary(), nullable=True),
        sa.Column("due", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["gateway"], ["gateways.name"], name=op.f("fk_boots_gateway_gateways")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_boots")),
        sa.UniqueConstraint("gateway", "boot", name=op.f("uq_boots_gateway_boot")),
    )
    op.create_index("ix_boots_due", "boots", ["id"], sqlite_where=sa.text("due"), postgresql_where=sa.text("due"))
    op.create_index(op.f("ix_boots_revision"), "boots", ["revision"])
    op.create_table(
        "clock_marks",
        sa.Column("boot_id", _KEY, nullable=False),
        sa.Column("monotonic_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("error_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["boot_id"], ["boots.id"], name=op.f("fk_clock_marks_boot_id_boots")),
        sa.PrimaryKeyConstraint("boot_id", "monotonic_ms", "at_ms", name=op.f("pk_clock_marks")),
    )
    op.create_table(
        "untrusted_segments",
        sa.Column("boot_id", _KEY, nullable=False),
        sa.Column("segment_id", _KEY, nullable=False),
        sa.ForeignKeyConstraint(["boot_id"], ["boots.id"], name=op.f("fk_untrusted_segments_boot_id_boots")),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segments.id"], name=op.f("fk_untrusted_segments_segment_id_segments")
        ),
        sa.PrimaryKeyConstraint("segment_id", name=op.f("pk_untrusted_segments")),
    )
    op.create_index(op.f("ix_untrusted_segments_boot_id"), "untrusted_segments", ["boot_id"])
    op.create_table(
        "stops",
        sa.Column("segment_id", _KEY, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=False),
        sa.Column("act", sa.String(length=16), nullable=False),
        sa.Column("place", sa.String(length=80), nullable=False),
        sa.Column("is_site", sa.Boolean(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("error_ms", sa.BigInteger(), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["segment_id"], ["segments.id"], name=op.f("fk_stops_segment_id_segments")),
        sa.PrimaryKeyConstraint("segment_id", "number", name=op.f("pk_stops")),
    )
    op.create_index("ix_stops_gateway_at_ms", "stops", ["gateway", "at_ms"])
    op.create_table(
        "sites",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sites")),
    )
