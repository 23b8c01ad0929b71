"""The rows of reviews: where each breach stands, and the records of what was done. Records are added, never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from gateway.hub.breaches.lifecycle import ReviewEvent, ReviewState, next_state
from gateway.hub.database.schema import review_records, reviews
from gateway.hub.database.store import insert_or_skip, inserted_id


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes a record: the account's name, and the name that a signature prints."""

    name: str
    printed_name: str


WATCH = Author("hub", "")
"""Writes what late data does to a breach."""


@dataclass(frozen=True, slots=True)
class Record:
    """One act, as it was written. `corrects` names the record that this one replaces; the old one stays readable."""

    id: int
    event: ReviewEvent
    at_ms: int
    who: str
    printed_name: str
    document: Mapping[str, Any]
    corrects: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a breach stands with people."""

    breach_id: int
    state: ReviewState
    assigned_to: str | None
    acknowledged_by: str | None
    acknowledged_at_ms: int | None
    closed_at_ms: int | None
    changed_at_ms: int


def open_review(connection: Connection, breach_id: int, now_ms: int) -> None:
    """Let a new breach wait for people, in the transaction that stores it."""
    insert_or_skip(connection, reviews, breach_id=breach_id, state=ReviewState.OPEN.value, changed_at_ms=now_ms)


def read_standing(connection: Connection, breach_id: int) -> Standing | None:
    """Return where a breach stands, None if there is no such breach. In a write, nobody else changes it meanwhile."""
    row = connection.execute(select(reviews).where(reviews.c.breach_id == breach_id)).first()
    return None if row is None else to_standing(row)


def apply_event(
    connection: Connection,
    breach_id: int,
    event: ReviewEvent,
    author: Author,
    document: Mapping[str, object],
    now_ms: int,
    *,
    corrects: int | None = None,
) -> int:
    """Move a breach on and write the record of it; return the record's id. Raises NotNowError."""
    row = connection.execute(select(reviews).where(reviews.c.breach_id == breach_id).with_for_update()).one()
    state = next_state(ReviewState(row.state), event)
    values: dict[str, object] = {"state": state.value, "changed_at_ms": now_ms}
    match event:
        case ReviewEvent.ACKNOWLEDGE:
            values |= {"acknowledged_by": author.name, "acknowledged_at_ms": now_ms}
        case ReviewEvent.ASSIGN:
            values |= {"assigned_to": document["to"]}
        case ReviewEvent.CLOSE | ReviewEvent.WITHDRAW | ReviewEvent.LOSE if (
            state is ReviewState.CLOSED and row.closed_at_ms is None
        ):
            values |= {"closed_at_ms": now_ms}
        case ReviewEvent.REOPEN:
            values |= {"closed_at_ms": None}
        case ReviewEvent.RESTORE | ReviewEvent.FIND if state is ReviewState.OPEN:
            values |= {"closed_at_ms": None, "acknowledged_by": None, "acknowledged_at_ms": None}
    connection.execute(update(reviews).where(reviews.c.breach_id == breach_id).values(**values))
    return inserted_id(
        connection.execute(
            insert(review_records).values(
                breach_id=breach_id,
                event=event.value,
                at_ms=now_ms,
                who=author.name,
                printed_name=author.printed_name,
                document=msgspec.json.encode(document, order="sorted").decode(),
                corrects=corrects,
            )
        )
    )


def read_records(connection: Connection, breach_id: int) -> list[Record]:
    """Return all that was done about a breach, oldest first."""
    rows = connection.execute(
        select(review_records).where(review_records.c.breach_id == breach_id).order_by(review_records.c.id)
    )
    return [to_record(row) for row in rows]


def ending_of(records: Sequence[Record]) -> tuple[ReviewEvent, str] | None:
    """Return what has said that nothing more will come of a breach, and why; None where nothing has, or no longer."""
    for record in reversed(records):
        if record.event in {ReviewEvent.REOPEN, ReviewEvent.FIND, ReviewEvent.RESTORE}:
            return None
        if record.event in {ReviewEvent.CLOSE, ReviewEvent.LOSE} and record.document.get("ending"):
            return record.event, str(record.document["ending"])
    return None


def to_record(row: Row[tuple[object, ...]]) -> Record:
    """Return the value of a row."""
    document = msgspec.json.decode(row.document)
    return Record(row.id, ReviewEvent(row.event), row.at_ms, row.who, row.printed_name, document, row.corrects)


def to_standing(row: Row[tuple[object, ...]]) -> Standing:
    """Return the value of a row."""
    return Standing(
        row.breach_id,
        ReviewState(row.state),
        row.assigned_to,
        row.acknowledged_by,
        row.acknowledged_at_ms,
        row.closed_at_ms,
        row.changed_at_ms,
    )


def read_standings(
    connection: Connection, state: ReviewState | None, assigned_to: str | None, after: int, limit: int
) -> Sequence[Standing]:
    """Return breaches by ascending id."""
    wanted = select(reviews).where(reviews.c.breach_id > after).order_by(reviews.c.breach_id).limit(limit)
    if state is not None:
        wanted = wanted.where(reviews.c.state == state.value)
    if assigned_to is not None:
        wanted = wanted.where(reviews.c.assigned_to == assigned_to)
    return [to_standing(row) for row in connection.execute(wanted)]
