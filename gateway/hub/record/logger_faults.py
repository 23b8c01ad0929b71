"""Faults of loggers that last, as gateways reported them: kept beside the archive, so that nobody has to search it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, select

from gateway.core.records import DeviceFault, Record
from gateway.hub.database.schema import logger_faults
from gateway.hub.database.store import insert_for

LASTING = frozenset({"battery_low", "stuck", "out_of_range"})
"""Silence is not among them: a vehicle that has other boxes on board calls every other logger silent."""
_OVER = "_over"


def note_faults(connection: Connection, gateway: str, records: Iterable[Record]) -> None:
    """Take what one segment of a gateway says; what is older than what is known changes nothing."""
    told: dict[tuple[str, str], DeviceFault] = {}
    for record in records:
        if isinstance(record, DeviceFault) and record.logger and record.code.removesuffix(_OVER) in LASTING:
            told[record.logger, record.code.removesuffix(_OVER)] = record
    for (logger, code), fault in sorted(told.items()):
        row = insert_for(connection, logger_faults).values(
            logger=logger,
            code=code,
            gateway=gateway,
            at_ms=fault.at_ms,
            over=fault.code.endswith(_OVER),
            detail=msgspec.json.encode(fault.detail).decode(),
        )
        changes = {name: row.excluded[name] for name in ("at_ms", "over", "detail")}
        connection.execute(
            row.on_conflict_do_update(
                index_elements=["logger", "code", "gateway"],
                set_=changes,
                where=logger_faults.c.at_ms <= row.excluded.at_ms,
            )
        )


def read_faults(connection: Connection) -> dict[str, dict[str, int]]:
    """Return the faults that last: logger → code → since when (UTC ms). Of several gateways the latest word counts."""
    rows = connection.execute(select(logger_faults).order_by(logger_faults.c.at_ms))
    latest = {(row.logger, row.code): row for row in rows}
    found: dict[str, dict[str, int]] = {}
    for (logger, code), row in sorted(latest.items()):
        if not row.over:
            found.setdefault(logger, {})[code] = row.at_ms
    return found
