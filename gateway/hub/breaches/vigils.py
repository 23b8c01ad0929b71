"""Vigils at the hub: since when a box has been ready or loaded with nothing registered in it; see gateway.core.standby.

They begin and end within the act that causes it: a change of the box, a registration, a receipt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, exists, insert, or_, select, update

from gateway.core.configuration import Box, Consignment
from gateway.core.profiles import Profile
from gateway.core.standby import alerts_in, make_vigil, vigil_code
from gateway.hub.breaches.lifecycle import ReviewState
from gateway.hub.database.rows import read_boxes_in_use, read_documents, read_profile
from gateway.hub.database.schema import boxes, breaches, carriages, reviews, vigils

VIGIL_MS = 12 * 3_600_000
"""A vigil that has lasted so long is followed by a new one: the longest transport, and a bound on what is folded."""

Span = tuple[int, int | None]


@dataclass(frozen=True, slots=True)
class Vigil:
    """A time in which a box is watched by its default profile. Moments in UTC milliseconds, None while it lasts."""

    code: str
    box: str
    profile: str
    begins_ms: int
    ends_ms: int | None


def follow_boxes(connection: Connection, codes: Iterable[str], now_ms: int) -> list[str]:
    """Begin or end vigils of these boxes as their state, default profile and registered consignments say.

    Returns the codes of those that ended, to be marked for judging with whatever else the act concerns.
    """
    documents = read_documents(connection, boxes, codes)
    known = [Box.model_validate_json(documents[code]) for code in sorted(documents)]
    watchable = [box.code for box in known if box.default_profile is not None and alerts_in(box)]
    in_use = read_boxes_in_use(connection, watchable, now_ms) if watchable else set()
    lasting = select(vigils).where(vigils.c.box.in_(documents), vigils.c.ends_ms.is_(None))
    open_vigils = {row.box: to_vigil(row) for row in connection.execute(lasting)}
    ended: list[str] = []
    for box in known:
        wanted = box.default_profile if box.code in watchable and box.code not in in_use else None
        ended += _follow(connection, box.code, open_vigils.get(box.code), wanted, now_ms)
    return ended


def _follow(connection: Connection, box: str, vigil: Vigil | None, wanted: str | None, now_ms: int) -> list[str]:
    if (None if vigil is None else vigil.profile) == wanted:
        return []
    if vigil is not None:
        _end(connection, vigil, now_ms)
    if wanted is not None and read_profile(connection, wanted) is not None:
        _begin(connection, box, wanted, now_ms)
    return [] if vigil is None else [vigil.code]


def renew_vigils(connection: Connection, now_ms: int) -> list[str]:
    """Let a new vigil follow each that is old, unless a breach of it still runs: that would be told anew.

    Returns the codes of those that ended.
    """
    running = exists().where(
        breaches.c.consignment == vigils.c.code,
        breaches.c.ended_at_ms.is_(None),
        reviews.c.breach_id == breaches.c.id,
        reviews.c.state != ReviewState.CLOSED.value,
    )
    old = vigils.c.ends_ms.is_(None) & (vigils.c.begins_ms <= now_ms - VIGIL_MS)
    due = connection.execute(select(vigils).where(old, ~running)).all()
    for row in due:
        _end(connection, to_vigil(row), now_ms)
        _begin(connection, row.box, row.profile, now_ms)
    return [row.code for row in due]


def read_vigil(connection: Connection, code: str) -> Vigil | None:
    """Return a vigil, None if there is none of that code."""
    row = connection.execute(select(vigils).where(vigils.c.code == code)).first()
    return None if row is None else to_vigil(row)


def read_open_vigils(connection: Connection) -> list[Vigil]:
    """Return the vigils that last, by box."""
    rows = connection.execute(select(vigils).where(vigils.c.ends_ms.is_(None)).order_by(vigils.c.box))
    return [to_vigil(row) for row in rows]


def watched_spans(connection: Connection, vigil: Vigil) -> list[Span]:
    """Return a vigil's time without the times for which something was registered in the box, late or ahead."""
    taken = connection.execute(
        select(carriages.c.begins_ms, carriages.c.ends_ms)
        .where(
            carriages.c.box == vigil.box,
            or_(carriages.c.ends_ms.is_(None), carriages.c.ends_ms > vigil.begins_ms),
        )
        .order_by(carriages.c.begins_ms)
    ).all()
    return subtract((vigil.begins_ms, vigil.ends_ms), [(row.begins_ms, row.ends_ms) for row in taken])


def subtract(whole: Span, parts: Iterable[Span]) -> list[Span]:
    """Return what is left of a span without the parts, which come in order of their beginnings. None: without end."""
    left: list[Span] = []
    begins_ms, ends_ms = whole
    for part_begins_ms, part_ends_ms in parts:
        if ends_ms is not None and part_begins_ms >= ends_ms:
            break
        if part_begins_ms > begins_ms:
            left.append((begins_ms, part_begins_ms))
        if part_ends_ms is None:
            return left
        begins_ms = max(begins_ms, part_ends_ms)
    if ends_ms is None or begins_ms < ends_ms:
        left.append((begins_ms, ends_ms))
    return left


def to_consignment(vigil: Vigil, profile: Profile, spans: Iterable[Span]) -> Consignment:
    """Return a vigil as the judge takes it."""
    return make_vigil(vigil.code, vigil.box, profile, spans)


def to_vigil(row: object) -> Vigil:
    """Return the value of a row."""
    return Vigil(*(getattr(row, name) for name in Vigil.__slots__))


def _begin(connection: Connection, box: str, profile: str, now_ms: int) -> None:
    code = vigil_code(box, now_ms)
    if read_vigil(connection, code) is None:  # else two acts of one millisecond: the next look begins it
        connection.execute(insert(vigils).values(code=code, box=box, profile=profile, begins_ms=now_ms))


def _end(connection: Connection, vigil: Vigil, now_ms: int) -> None:
    ends_ms = max(now_ms, vigil.begins_ms + 1)
    connection.execute(update(vigils).where(vigils.c.code == vigil.code).values(ends_ms=ends_ms))
