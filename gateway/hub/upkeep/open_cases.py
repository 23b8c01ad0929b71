"""Cases that are open: nothing of theirs is removed, however old it is."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import msgspec
from sqlalchemy import Connection, exists, or_, select

from gateway.core.configuration import Consignment
from gateway.hub.breaches.keeping import BreachState
from gateway.hub.breaches.lifecycle import ReviewEvent, ReviewState
from gateway.hub.database.schema import (
    assignments,
    breaches,
    consignments,
    decisions,
    inbox,
    review_records,
    reviews,
    vigils,
)
from gateway.hub.proof.verification import segments_of
from gateway.hub.record.index import Places, find_places, join
from gateway.hub.review.decisions import Course

_ALWAYS_MS = 1 << 62


def find_open_codes(connection: Connection) -> set[str]:
    """Return what is not received, has a breach that is not closed and signed, or an item on hold."""
    signed = exists().where(
        review_records.c.breach_id == breaches.c.id, review_records.c.event == ReviewEvent.SIGN.value
    )
    waiting = exists().where(inbox.c.breach_id == breaches.c.id, inbox.c.resolved_at_ms.is_(None))
    stands = breaches.c.state.in_((BreachState.PROVISIONAL, BreachState.CONFIRMED))
    query = (
        select(breaches.c.consignment)
        .distinct()
        .outerjoin(reviews, reviews.c.breach_id == breaches.c.id)
        .where(or_(reviews.c.state != ReviewState.CLOSED.value, stands & ~signed, waiting))
    )
    under_way = select(consignments.c.code).where(consignments.c.received_at_ms.is_(None))
    found = (connection.execute(each).scalars() for each in (query, under_way))
    return {*_find_held(connection)}.union(*found)


def _find_held(connection: Connection) -> set[str]:
    replaced = select(decisions.c.corrects).where(decisions.c.corrects.is_not(None))
    standing = select(decisions.c.consignment, decisions.c.document).where(
        decisions.c.document.like('%"hold"%'), decisions.c.id.not_in(replaced)
    )
    rows = connection.execute(standing).all()
    return {row.consignment for row in rows if msgspec.json.decode(row.document)["choice"] == Course.HOLD.value}


def find_kept_places(connection: Connection, before_ms: int, open_codes: AbstractSet[str]) -> Places:
    """Return the segments that may hold readings of what is under way, was received later, or is open.

    What began later cannot be in a segment that was sealed before.
    """
    kept: Places = {}
    for row in connection.execute(
        select(consignments.c.code, consignments.c.document, consignments.c.received_at_ms).where(
            or_(consignments.c.begins_ms.is_(None), consignments.c.begins_ms < before_ms),
            or_(
                consignments.c.received_at_ms.is_(None),
                consignments.c.received_at_ms >= before_ms,
                consignments.c.code.in_(sorted(open_codes)),
            ),
        )
    ):
        join(kept, segments_of(connection, Consignment.model_validate_json(row.document)))
    for row in connection.execute(
        select(vigils).where(
            vigils.c.begins_ms < before_ms,
            or_(vigils.c.ends_ms.is_(None), vigils.c.ends_ms >= before_ms, vigils.c.code.in_(sorted(open_codes))),
        )
    ):
        loggers = connection.execute(select(assignments.c.logger).where(assignments.c.box == row.box)).scalars()
        join(kept, find_places(connection, list(loggers), row.begins_ms, row.ends_ms or _ALWAYS_MS))
    return kept
