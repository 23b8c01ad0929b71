"""What people do with breaches: reviews, decisions, an inbox; boxes that nothing is registered in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_CODE = sa.String(64)


def upgrade() -> None:
    op.add_column("breaches", sa.Column("silent", sa.String(16)))
    op.add_column("breaches", sa.Column("snapshot", sa.Text()))
    op.add_column("alerts", sa.Column("key", sa.String(255)))
    op.add_column("alerts", sa.Column("source", _CODE, server_default="", nullable=False))
    op.create_index("ix_alerts_key", "alerts", ["key"], unique=True)
    op.create_index("ix_audit_subject", "audit", ["subject"], unique=False)
    _create_reviews()
    _create_records()
    _create_inbox()


def _create_reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("breach_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("assigned_to", _CODE),
        sa.Column("acknowledged_by", _CODE),
        sa.Column("acknowledged_at_ms", sa.BigInteger()),
        sa.Column("closed_at_ms", sa.BigInteger()),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["breach_id"], ["breaches.id"], name=op.f("fk_reviews_breach_id_breaches")),
        sa.PrimaryKeyConstraint("breach_id", name=op.f("pk_reviews")),
    )
    op.create_index("ix_reviews_state", "reviews", ["state", "breach_id"], unique=False)
    op.execute(
        "INSERT INTO reviews (breach_id, state, changed_at_ms) SELECT id,"
        " CASE WHEN state IN ('provisional', 'confirmed') THEN 'open' ELSE 'closed' END, found_at_ms FROM breaches"
    )


def _create_records() -> None:
    op.create_table(
        "review_records",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("breach_id", _KEY, nullable=False),
        sa.Column("event", sa.String(16), nullable=False),
        *_written(),
        sa.ForeignKeyConstraint(["breach_id"], ["breaches.id"], name=op.f("fk_review_records_breach_id_breaches")),
        sa.ForeignKeyConstraint(
            ["corrects"], ["review_records.id"], name=op.f("fk_review_records_corrects_review_records")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_records")),
        sa.UniqueConstraint("corrects", name=op.f("uq_review_records_corrects")),
    )
    op.create_index("ix_review_records_breach_id", "review_records", ["breach_id"], unique=False)
    op.create_table(
        "decisions",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("consignment", _CODE, nullable=False),
        sa.Column("item", _CODE, nullable=False),
        *_written(),
        sa.ForeignKeyConstraint(
            ["consignment"], ["consignments.code"], name=op.f("fk_decisions_consignment_consignments")
        ),
        sa.ForeignKeyConstraint(["corrects"], ["decisions.id"], name=op.f("fk_decisions_corrects_decisions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("corrects", name=op.f("uq_decisions_corrects")),
    )
    op.create_index("ix_decisions_item", "decisions", ["consignment", "item"], unique=False)
    op.create_table(
        "choices",
        sa.Column("list", sa.String(24), nullable=False),
        sa.Column("code", _CODE, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("list", "code", name=op.f("pk_choices")),
    )


def _written() -> list[sa.Column[object]]:
    return [
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", _CODE, nullable=False),
        sa.Column("printed_name", sa.String(120), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("corrects", _KEY),
    ]


def _create_inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("breach_id", _KEY, nullable=False),
        sa.Column("box", _CODE),
        sa.Column("entered_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("resolved_at_ms", sa.BigInteger()),
        sa.Column("resolution", sa.Text()),
        sa.ForeignKeyConstraint(["breach_id"], ["breaches.id"], name=op.f("fk_inbox_breach_id_breaches")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("breach_id", name=op.f("uq_inbox_breach_id")),
    )
    waiting = sa.text("resolved_at_ms IS NULL")
    op.create_index("ix_inbox_open", "inbox", ["id"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_table(
        "vigils",
        sa.Column("code", _CODE, nullable=False),
        sa.Column("box", _CODE, nullable=False),
        sa.Column("profile", _CODE, nullable=False),
        sa.Column("begins_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_vigils")),
    )
    op.create_index("ix_vigils_box", "vigils", ["box", "begins_ms"], unique=False)
