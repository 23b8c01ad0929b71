"""Which verdicts on record a newly found calibration of a logger would change. Reads only; nothing is altered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sqlalchemy import select

from gateway.core.configuration import Calibration
from gateway.core.errors import InputError
from gateway.core.exposure import to_ms
from gateway.core.recalibration import Change, verdicts_that_change
from gateway.hub.database.rows import read_loggers
from gateway.hub.database.schema import assignments, carriages
from gateway.hub.database.store import Store
from gateway.hub.judgement.watch import carried_span
from gateway.hub.record.archive import Archive
from gateway.hub.registry.configurations import Configurations


def find_riders(store: Store, address: str, *, since_ms: int | None) -> list[str]:
    """Return the consignments that rode with a logger since its last good calibration, those that set out last first.

    `since_ms` None takes the date of the calibration on record, or all of them where there is none. Raises InputError
    if the logger is not enrolled.
    """
    with store.read() as connection:
        enrolled = next((logger for logger in read_loggers(connection) if logger.address == address), None)
        if enrolled is None:
            raise InputError("logger", f"{address} is not enrolled")
        begins_ms = since_ms
        if begins_ms is None and enrolled.calibration is not None:
            begins_ms = to_ms(enrolled.calibration.calibrated_at)
        wanted = (
            select(carriages.c.consignment)
            .join(assignments, assignments.c.box == carriages.c.box)
            .where(
                assignments.c.logger == address,
                carriages.c.ends_ms.is_(None) | (carriages.c.ends_ms > assignments.c.from_ms),
                assignments.c.until_ms.is_(None) | (carriages.c.begins_ms < assignments.c.until_ms),
            )
            .order_by(carriages.c.begins_ms.desc(), carriages.c.consignment)
        )
        if begins_ms is not None:
            wanted = wanted.where((carriages.c.ends_ms.is_(None)) | (carriages.c.ends_ms >= begins_ms))
        return list(dict.fromkeys(connection.execute(wanted).scalars()))


def find_changes(
    store: Store,
    configurations: Configurations,
    address: str,
    found: Calibration,
    *,
    codes: Iterable[str],
    now_ms: int,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Change]:
    """Yield what would change for consignments that rode with a logger, had it been as `found` all along."""
    archive = Archive(store)
    for place, code in enumerate(codes, start=1):
        case = configurations.case(code)
        span = None if case is None or case.readings_removed else carried_span(case.consignment, now_ms)
        if case is not None and span is not None:
            observations = [
                observation
                for logger in case.configuration.loggers
                for observation in archive.observations(logger.address, *span)
            ]
            yield from verdicts_that_change(case.consignment, case.configuration, observations, address, found, now_ms)
        if progress is not None:
            progress(place)
