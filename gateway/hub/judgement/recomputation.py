"""Recomputation: finished trips judged anew, after a profile was corrected. New versions stand beside the old.

What is to be done is a dirty mark for each consignment, set at once: whoever judges works them off, a running hub in
the background or the command itself, and whatever stops in between goes on from there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import Connection, func, or_, select

from gateway.core.configuration import Consignment
from gateway.core.errors import InputError
from gateway.core.exposure import to_ms
from gateway.hub.database.rows import examinations_of, read_profile
from gateway.hub.database.schema import consignments, dirty
from gateway.hub.database.store import Store
from gateway.hub.signals.dirty import mark_consignments

_CHUNK = 500


def find_judged_by(store: Store, profile: str, since: datetime | None) -> list[str]:
    """Return the consignments that a profile judges, received since a moment or not yet; raises InputError."""
    with store.read() as connection:
        if read_profile(connection, profile) is None:
            raise InputError("--profile", f"no profile {profile}")
        return list(_find(connection, profile, since))


def mark_for_recomputation(store: Store, codes: Collection[str], now_ms: int) -> None:
    """Have consignments judged anew, some hundred in a transaction."""
    ordered = sorted(codes)
    for start in range(0, len(ordered), _CHUNK):
        with store.write() as connection:
            mark_consignments(connection, ordered[start : start + _CHUNK], now_ms)


def count_waiting(store: Store, codes: Collection[str]) -> int:
    """Return how many of the consignments still wait."""
    ordered = sorted(codes)
    with store.read() as connection:
        return sum(
            connection.execute(
                select(func.count()).where(dirty.c.consignment.in_(ordered[start : start + _CHUNK]))
            ).scalar_one()
            for start in range(0, len(ordered), _CHUNK)
        )


def _find(connection: Connection, profile: str, since: datetime | None) -> Iterator[str]:
    query = select(consignments.c.code, consignments.c.document).order_by(consignments.c.code)
    if since is not None:
        received = consignments.c.received_at_ms
        query = query.where(or_(received.is_(None), received >= to_ms(since)))
    for row in connection.execute(query.execution_options(yield_per=_CHUNK)):
        names = {
            name
            for _, examination in examinations_of(Consignment.model_validate_json(row.document))
            for name in (examination.profile, *(switch.profile for switch in examination.switches))
        }
        if profile in names:
            yield row.code
