"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("act", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("old", sa.Text(), nullable=True),
        sa.Column("new", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "boxes",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_boxes")),
    )
    op.create_table(
        "breaches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("consignment", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("examination", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=False),
        sa.Column("profile_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("triggered_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("extreme_c", sa.Float(), nullable=True),
        sa.Column("minutes", sa.Float(), nullable=False),
        sa.Column("proven", sa.Boolean(), nullable=False),
        sa.Column("found_by", sa.String(length=64), nullable=False),
        sa.Column("found_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=True),
        sa.Column("epoch", sa.LargeBinary(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("config_version", sa.Integer(), nullable=True),
        sa.Column("settled_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("returns", sa.Integer(), server_default="0", nullable=False),
        sa.Column("merged_into", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["merged_into"], ["breaches.id"], name=op.f("fk_breaches_merged_into_breaches")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breaches")),
        sa.UniqueConstraint("key", name=op.f("uq_breaches_key")),
    )
    op.create_index("ix_breaches_subject", "breaches", ["consignment", "item", "examination", "rule"], unique=False)
    op.create_table(
        "consignments",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("begins_ms", sa.BigInteger(), nullable=True),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("registered_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_consignments")),
    )
    op.create_index(op.f("ix_consignments_received_at_ms"), "consignments", ["received_at_ms"], unique=False)
    op.create_table(
        "dirty",
        sa.Column("consignment", sa.String(length=64), nullable=False),
        sa.Column("marks", sa.BigInteger(), nullable=False),
        sa.Column("marked_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("consignment", name=op.f("pk_dirty")),
    )
    op.create_table(
        "enrolment_codes",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_by", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_enrolment_codes")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "gateways",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("online", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("status_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("sealed_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_gateways")),
    )
    op.create_table(
        "hub_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hub_state")),
    )
    op.create_table(
        "judgements",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("consignment", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("examination", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.String(length=24), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("judged_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judgements")),
        sa.UniqueConstraint(
            "consignment",
            "item",
            "examination",
            "version",
            name=op.f("uq_judgements_consignment_item_examination_version"),
        ),
    )
    op.create_index(
        "ix_judgements_current",
        "judgements",
        ["consignment", "item", "examination"],
        unique=True,
        sqlite_where=sa.text("current"),
        postgresql_where=sa.text("current"),
    )
    op.create_table(
        "loggers",
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("box", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_loggers")),
    )
    op.create_index(op.f("ix_loggers_box"), "loggers", ["box"], unique=False)
    op.create_table(
        "profiles",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("added_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", "version", name=op.f("pk_profiles")),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("verbatim", sa.LargeBinary(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("first_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("source", "gateway", "code", "hash", name=op.f("uq_quarantine_source_gateway_code_hash")),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("breach_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("occasion", sa.Integer(), server_default="0", nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("sent_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["breach_id"], ["breaches.id"], name=op.f("fk_alerts_breach_id_breaches")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("breach_id", "kind", "occasion", name=op.f("uq_alerts_breach_id_kind_occasion")),
    )
    op.create_index(op.f("ix_alerts_sent_at_ms"), "alerts", ["sent_at_ms"], unique=False)
    op.create_table(
        "breach_keys",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("breach_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["breach_id"], ["breaches.id"], name=op.f("fk_breach_keys_breach_id_breaches")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_breach_keys")),
    )
    op.create_index(op.f("ix_breach_keys_breach_id"), "breach_keys", ["breach_id"], unique=False)
    op.create_table(
        "carriages",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("consignment", sa.String(length=64), nullable=False),
        sa.Column("box", sa.String(length=64), nullable=False),
        sa.Column("begins_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["consignment"], ["consignments.code"], name=op.f("fk_carriages_consignment_consignments")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_carriages")),
    )
    op.create_index("ix_carriages_box_begins_ms", "carriages", ["box", "begins_ms"], unique=False)
    op.create_index(op.f("ix_carriages_consignment"), "carriages", ["consignment"], unique=False)
    op.create_table(
        "configurations",
        sa.Column("gateway", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["gateway"], ["gateways.name"], name=op.f("fk_configurations_gateway_gateways")),
        sa.PrimaryKeyConstraint("gateway", "version", name=op.f("pk_configurations")),
    )
    op.create_table(
        "consignment_items",
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("consignment", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["consignment"], ["consignments.code"], name=op.f("fk_consignment_items_consignment_consignments")
        ),
        sa.PrimaryKeyConstraint("item", "consignment", name=op.f("pk_consignment_items")),
    )
    op.create_table(
        "epochs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.LargeBinary(), nullable=False),
        sa.Column("parent_epoch", sa.LargeBinary(), nullable=True),
        sa.Column("parent_offset", sa.BigInteger(), nullable=True),
        sa.Column("root", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("opened_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["gateway"], ["gateways.name"], name=op.f("fk_epochs_gateway_gateways")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_epochs")),
        sa.UniqueConstraint("gateway", "epoch", name=op.f("uq_epochs_gateway_epoch")),
    )
    op.create_index("ix_epochs_parent", "epochs", ["gateway", "parent_epoch", "parent_offset"], unique=False)
    op.create_table(
        "gateway_keys",
        sa.Column("gateway", sa.String(length=64), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("enrolled_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["gateway"], ["gateways.name"], name=op.f("fk_gateway_keys_gateway_gateways")),
        sa.PrimaryKeyConstraint("gateway", "public_key", name=op.f("pk_gateway_keys")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_gateway_keys_token_hash")),
    )
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
    op.create_table(
        "segments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("epoch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("verbatim", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("config_version", sa.Integer(), nullable=False),
        sa.Column("chained", sa.Boolean(), nullable=False),
        sa.Column("content", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["epoch_id"], ["epochs.id"], name=op.f("fk_segments_epoch_id_epochs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segments")),
        sa.UniqueConstraint("epoch_id", "position", name=op.f("uq_segments_epoch_id_position")),
    )
    op.create_table(
        "segment_loggers",
        sa.Column("logger", sa.String(length=64), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("segment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["segment_id"], ["segments.id"], name=op.f("fk_segment_loggers_segment_id_segments")),
        sa.PrimaryKeyConstraint("logger", "first_ms", "segment_id", name=op.f("pk_segment_loggers")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("segment_loggers")
    op.drop_table("segments")
    op.drop_table("projected")
    op.drop_table("gateway_keys")
    op.drop_table("epochs")
    op.drop_table("consignment_items")
    op.drop_table("configurations")
    op.drop_table("carriages")
    op.drop_table("breach_keys")
    op.drop_table("alerts")
    op.drop_table("quarantine")
    op.drop_table("profiles")
    op.drop_table("loggers")
    op.drop_table("judgements")
    op.drop_table("hub_state")
    op.drop_table("gateways")
    op.drop_table("events")
    op.drop_table("enrolment_codes")
    op.drop_table("dirty")
    op.drop_table("consignments")
    op.drop_table("breaches")
    op.drop_table("boxes")
    op.drop_table("audit")
