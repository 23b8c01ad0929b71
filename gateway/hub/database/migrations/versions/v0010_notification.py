"""Who is told of an alert: recipients, policies, what is planned and what leaves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_CODE = sa.String(64)


def upgrade() -> None:
    for name in ("recipients", "notification_policies"):
        op.create_table(
            name,
            sa.Column("name", _CODE, nullable=False),
            sa.Column("document", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("name", name=op.f(f"pk_{name}")),
        )
    op.create_table(
        "notices",
        sa.Column("alert_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("policy", _CODE, nullable=False),
        sa.Column("planned_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_notices_alert_id_alerts")),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_notices")),
    )
    # Nobody is told today of what happened before there was anybody to tell.
    op.execute("INSERT INTO notices (alert_id, policy, planned_at_ms) SELECT id, '', created_at_ms FROM alerts")
    _create_messages()
    _create_deliveries()


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("uid", _CODE, nullable=False),
        sa.Column("recipient", _CODE, nullable=False),
        sa.Column("channel", _CODE, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failure", sa.Text(), server_default="", nullable=False),
        sa.Column("sent_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("uid", name=op.f("uq_messages_uid")),
    )
    op.create_index("ix_messages_waiting", "messages", ["state", "due_ms"], unique=False)
    op.create_index("ix_messages_recent", "messages", ["recipient", "channel", "made_at_ms"], unique=False)


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("alert_id", _KEY, nullable=False),
        sa.Column("recipient", _CODE, nullable=False),
        sa.Column("channel", _CODE, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("message_id", _KEY),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_deliveries_alert_id_alerts")),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name=op.f("fk_deliveries_message_id_messages")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("alert_id", "recipient", "channel", name=op.f("uq_deliveries_alert_id_recipient_channel")),
    )
    op.create_index("ix_deliveries_message_id", "deliveries", ["message_id"], unique=False)
    op.create_index("ix_deliveries_waiting", "deliveries", ["state", "due_ms"], unique=False)
