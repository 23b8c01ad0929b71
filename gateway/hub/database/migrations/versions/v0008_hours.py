"""The index says by the hour, not by the segment, where a logger's readings are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.core.contents import decode_content
from gateway.core.segments import parse_segment
from gateway.hub.record.boots import dated, read_datings
from gateway.hub.record.index import Entries, hours_of, note_segment, spans_of, write_entries

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_CHUNK = 500
_READ = sa.text(
    "SELECT segments.id, epoch_id, position, gateway, verbatim FROM segments JOIN epochs ON epochs.id = epoch_id"
    " WHERE chained AND content = 'readable' AND segments.id > :after ORDER BY segments.id LIMIT :chunk"
)


def upgrade() -> None:
    op.create_table(
        "logger_hours",
        sa.Column("logger", sa.String(length=64), nullable=False),
        sa.Column("hour", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "epoch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("places", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["epoch_id"], ["epochs.id"], name=op.f("fk_logger_hours_epoch_id_epochs")),
        sa.PrimaryKeyConstraint("logger", "hour", "epoch_id", "block", name=op.f("pk_logger_hours")),
        sqlite_with_rowid=False,
    )
    _index_what_is_stored()
    op.drop_table("segment_loggers")
    op.create_index("ix_epochs_newest", "epochs", ["gateway", "id"], unique=False)
    op.create_index(
        "ix_segments_held",
        "segments",
        ["epoch_id", "position"],
        unique=False,
        sqlite_where=sa.text("NOT chained"),
        postgresql_where=sa.text("NOT chained"),
    )


def _index_what_is_stored() -> None:
    connection, after = op.get_bind(), 0
    while rows := connection.execute(_READ, {"after": after, "chunk": _CHUNK}).all():
        entries: Entries = {}
        datings = read_datings(connection, [row.id for row in rows])
        for row in rows:
            content = decode_content(parse_segment(row.gateway, bytes(row.verbatim)).body or b"")
            content = dated(content, datings[row.id]) if row.id in datings else content
            note_segment(entries, (row.epoch_id, row.position), hours_of(content, spans_of(content)))
        write_entries(connection, entries)
        after = rows[-1].id
