"""Marks: things other than log segments that changed and wait to be projected.

A mark is set in the transaction of the change, and goes when the server has confirmed the point, unless something
changed meanwhile. There is one for each breach, consignment or hour at most, also while nothing is projected.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, bindparam, cast, delete, insert, literal, select

from gateway.hub.database.schema import breaches, consignments, projection_marks
from gateway.hub.database.store import insert_for

_table = projection_marks

FIRST_BITS = 60
"""Of a mark's first number, drawn anew each time; counting on from it never leaves the 63 bits of a column."""


class Subject(StrEnum):
    """What a mark is about; in brackets its name."""

    BREACH = "breach"
    """(id)"""
    CONSIGNMENT = "consignment"
    """(code)"""
    HOUR = "hour"
    """(logger, a space, beginning in ms): an hour of the long history."""
    WHOLE = "whole"
    """(""): everything is made anew. It waits for nobody: it tells what was read before from what was read after."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A mark as it was seen; `marks` is another number after each change, also if the mark was gone meanwhile."""

    subject: Subject
    name: str
    marks: int


def mark(connection: Connection, subject: Subject, names: Iterable[str], due_ms: int = 0) -> None:
    """Mark things; they are projected no earlier than `due_ms`."""
    mark_all(connection, subject, dict.fromkeys(names, due_ms))


def mark_all(connection: Connection, subject: Subject, due_ms: Mapping[str, int]) -> None:
    """Mark things, each with the moment from which on it is projected."""
    first = _first()
    # In one order everywhere, so that two workers never wait for each other.
    rows = [{"subject": subject, "name": name, "due_ms": due_ms[name], "marks": first} for name in sorted(due_ms)]
    if rows:
        insert_one = insert_for(connection, _table)
        again = {"marks": _table.c.marks + 1}
        connection.execute(insert_one.on_conflict_do_update(index_elements=["subject", "name"], set_=again), rows)


def read_waiting(connection: Connection, subject: Subject, now_ms: int, limit: int) -> list[Waiting]:
    """Return the marks of one kind that are due, longest due first."""
    rows = connection.execute(
        select(_table)
        .where(_table.c.subject == subject, _table.c.due_ms <= now_ms)
        .order_by(_table.c.due_ms, _table.c.name)
        .limit(limit)
    )
    return [Waiting(Subject(row.subject), row.name, row.marks) for row in rows]


def clear(connection: Connection, waiting: Iterable[Waiting]) -> None:
    """Remove marks unless something changed since they were seen."""
    rows = [{"of": one.subject, "named": one.name, "seen": one.marks} for one in waiting]
    if rows:
        same = (_table.c.subject == bindparam("of")) & (_table.c.name == bindparam("named"))
        connection.execute(delete(_table).where(same, _table.c.marks == bindparam("seen")), rows)


def mark_everything(connection: Connection) -> None:
    """Mark every breach and every consignment; hours are marked as their readings pass by."""
    # Hours stay: whoever projects at the moment knows which it has marked.
    connection.execute(delete(_table).where(_table.c.subject != Subject.HOUR))
    columns = ["subject", "name", "due_ms", "marks"]
    first = _first()
    connection.execute(insert(_table), {"subject": Subject.WHOLE, "name": "", "due_ms": 0, "marks": first})
    for subject, name in (
        (Subject.BREACH, cast(breaches.c.id, _table.c.name.type)),
        (Subject.CONSIGNMENT, consignments.c.code),
    ):
        rows = select(literal(subject.value), name, literal(0), literal(first))
        connection.execute(insert(_table).from_select(columns, rows))


def read_whole(connection: Connection) -> int:
    """Return what tells one making of the whole projection from the next; 0 before the first of them."""
    found = select(_table.c.marks).where(_table.c.subject == Subject.WHOLE)
    return connection.execute(found).scalar() or 0


def _first() -> int:
    """The number of a mark that is set: never one that another projector saw before the mark was removed."""
    return secrets.randbits(FIRST_BITS) + 1
