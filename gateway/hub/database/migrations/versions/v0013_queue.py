"""What reviewers filter by and indicators count: beside the documents, so that a query finds it."""

from __future__ import annotations

import json
from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_AT_ONCE = 500
"""Documents in memory: 20 KB each at most."""


def upgrade() -> None:
    op.add_column("consignments", sa.Column("receiver", sa.String(64), nullable=True))
    op.add_column("consignments", sa.Column("vehicle", sa.String(64), nullable=True))
    op.add_column("consignments", sa.Column("planned_ms", sa.BigInteger(), nullable=True))
    op.add_column("consignment_items", sa.Column("kind", sa.String(16), nullable=True))
    connection, after = op.get_bind(), ""
    wanted = sa.text("SELECT code, document FROM consignments WHERE code > :after ORDER BY code LIMIT :most")
    while rows := connection.execute(wanted, {"after": after, "most": _AT_ONCE}).all():
        for code, document in rows:
            _fill(connection, code, json.loads(document))
        after = rows[-1].code


def _fill(connection: sa.Connection, code: str, document: dict[str, object]) -> None:
    planned = document.get("planned_arrival")
    stated = {
        "code": code,
        "receiver": document.get("receiver"),
        "vehicle": document.get("vehicle"),
        "planned": round(datetime.fromisoformat(planned).timestamp() * 1000) if isinstance(planned, str) else None,
    }
    named = "receiver = :receiver, vehicle = :vehicle, planned_ms = :planned"
    connection.execute(sa.text(f"UPDATE consignments SET {named} WHERE code = :code"), stated)  # noqa: S608  no value in it
    items = document.get("items")
    for item in items if isinstance(items, list) else []:
        kind = sa.text("UPDATE consignment_items SET kind = :kind WHERE consignment = :code AND item = :item")
        connection.execute(kind, {"kind": item["kind"], "code": code, "item": item["code"]})
