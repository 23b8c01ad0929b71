"""Rows of the registry, read and written within a caller's transaction; documents become models here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Integer, Table, bindparam, delete, insert, or_, select

from gateway import profiles as library
from gateway.core.assignments import tenures_of
from gateway.core.configuration import Box, Consignment, Examination, Logger, Site, reveal
from gateway.core.exposure import to_ms
from gateway.core.identifiers import refuse_identity_number
from gateway.core.profiles import Model, Profile
from gateway.hub.database import schema
from gateway.hub.database.store import replace_rows

FOUND_MAX = 10
"""Consignments that one scan stands for: a box has carried more, but whoever scans it wants the last."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A consignment with what the registry knows of it."""

    consignment: Consignment
    version: int
    registered_at_ms: int


def boxes_of(consignment: Consignment) -> set[str]:
    """Return the boxes that any of the items was in."""
    return {carriage.box for item in consignment.items for carriage in consignment.carriage_of(item)}


def refuse_identities(model: Model) -> None:
    """Raise InputError, naming the field, if any text of a document looks like an identity number."""
    for field, text in _texts("", model.model_dump(mode="json")):
        refuse_identity_number(field, text)


def _texts(field: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _texts(f"{field}.{name}".removeprefix("."), part)
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _texts(f"{field}[{place}]", part)


def examinations_of(consignment: Consignment) -> Iterator[tuple[str, Examination]]:
    """Yield each examination with the path of its field."""
    for i, item in enumerate(consignment.items):
        for j, examination in enumerate(item.examinations):
            yield f"items[{i}].examinations[{j}]", examination


def save_items(connection: Connection, consignments: Sequence[Consignment]) -> None:
    """Replace the rows by which consignments are found: their items and their stretches in boxes."""
    items, carriages = schema.consignment_items, schema.carriages
    codes = [consignment.code for consignment in consignments]
    connection.execute(delete(items).where(items.c.consignment.in_(codes)))
    connection.execute(
        insert(items),
        [
            {"item": item.code, "consignment": consignment.code, "kind": item.kind.value}
            for consignment in consignments
            for item in consignment.items
        ],
    )
    connection.execute(delete(carriages).where(carriages.c.consignment.in_(codes)))
    rows = [
        {"consignment": consignment.code, "box": box, "begins_ms": begins, "ends_ms": ends}
        for consignment in consignments
        for box, begins, ends in _stretches(consignment)
    ]
    if rows:
        connection.execute(insert(carriages), rows)


def _stretches(consignment: Consignment) -> set[tuple[str, int, int | None]]:
    received_ms = None if consignment.received_at is None else to_ms(consignment.received_at)
    return {
        (carriage.box, to_ms(carriage.begins), _end_ms(carriage.ends, received_ms))
        for item in consignment.items
        for carriage in consignment.carriage_of(item)
    }


def _end_ms(ends: datetime | None, received_ms: int | None) -> int | None:
    known = [moment for moment in (None if ends is None else to_ms(ends), received_ms) if moment is not None]
    return min(known, default=None)


def save_loggers(connection: Connection, loggers: Sequence[Logger]) -> None:
    """Replace loggers, and the rows by which they are found."""
    table, assignments = schema.loggers, schema.assignments
    documents = [{"address": logger.address, "document": reveal(logger)} for logger in loggers]
    replace_rows(connection, table, documents)
    connection.execute(delete(assignments).where(assignments.c.logger.in_([logger.address for logger in loggers])))
    rows = [
        {"logger": tenure.logger, "from_ms": tenure.from_ms, "until_ms": tenure.until_ms, "box": tenure.box}
        for logger in loggers
        for tenure in tenures_of(logger)
    ]
    if rows:
        connection.execute(insert(assignments), rows)


def read_codes_under_way(connection: Connection, now_ms: int | None = None) -> list[str]:
    """Return the codes of consignments not received; with `now_ms`, only those that have set out."""
    table = schema.consignments
    query = select(table.c.code).where(table.c.received_at_ms.is_(None))
    if now_ms is not None:
        query = query.where(or_(table.c.begins_ms.is_(None), table.c.begins_ms <= now_ms))
    return list(connection.execute(query.order_by(table.c.code)).scalars())


def read_codes_in(connection: Connection, boxes: Iterable[str]) -> list[str]:
    """Return the codes of consignments, not received, that are or will be in some boxes or were."""
    table, carriages = schema.consignments, schema.carriages
    there = select(carriages.c.consignment).where(carriages.c.box.in_(set(boxes)))
    return list(
        connection.execute(
            select(table.c.code).where(table.c.code.in_(there), table.c.received_at_ms.is_(None))
        ).scalars()
    )


def read_boxes_in_use(connection: Connection, codes: Iterable[str], now_ms: int) -> set[str]:
    """Return which of some boxes hold, or are registered to hold, something that is not received."""
    table, carriages = schema.consignments, schema.carriages
    rows = connection.execute(
        select(carriages.c.box)
        .join(table, table.c.code == carriages.c.consignment)
        .where(
            carriages.c.box.in_(set(codes)),
            table.c.received_at_ms.is_(None),
            or_(carriages.c.ends_ms.is_(None), carriages.c.ends_ms > now_ms),
        )
    )
    return set(rows.scalars())


def read_document(connection: Connection, table: Table, key: str) -> str | None:
    """Return the document of a table with one key, None if there is none."""
    return read_documents(connection, table, [key]).get(key)


def read_documents(connection: Connection, table: Table, keys: Iterable[str]) -> dict[str, str]:
    """Return those documents of a table that there are, by their keys."""
    (column,) = table.primary_key
    rows = connection.execute(select(column, table.c.document).where(column.in_(set(keys))))
    return {str(row[0]): str(row[1]) for row in rows}


def read_registered(connection: Connection, code: str) -> Registered | None:
    """Return a consignment, None if it is unknown."""
    return read_all_registered(connection, [code]).get(code)


def read_all_registered(connection: Connection, codes: Iterable[str]) -> dict[str, Registered]:
    """Return those of some consignments that there are, by their codes."""
    table = schema.consignments
    rows = connection.execute(select(table).where(table.c.code.in_(set(codes))))
    return {row.code: to_registered(row.document, row.version, row.registered_at_ms) for row in rows}


def find_registered(connection: Connection, code: str, limit: int = FOUND_MAX) -> list[Registered]:
    """Return what a scanned code stands for: a consignment, the one that an item or a box is in; newest first."""
    rows = connection.execute(_FIND, {"scanned": code, "most": limit})
    return [to_registered(row.document, row.version, row.registered_at_ms) for row in rows]


def read_box_among(connection: Connection, codes: Sequence[str]) -> str:
    """Return the first of some codes that is a box's, "" if none is."""
    known = set(connection.execute(_BOXES_AMONG, {"codes": codes}).scalars())
    return next((code for code in codes if code in known), "")


def to_registered(document: str, version: int, registered_at_ms: int) -> Registered:
    """Return the value of a row."""
    return Registered(Consignment.model_validate_json(document), version, registered_at_ms)


def read_loggers(connection: Connection, boxes: Iterable[str] | None = None) -> list[Logger]:
    """Return every logger, or those that ever were in one of some boxes."""
    query = select(schema.loggers.c.document).order_by(schema.loggers.c.address)
    if boxes is not None:
        there = select(schema.assignments.c.logger).where(schema.assignments.c.box.in_(set(boxes)))
        query = query.where(schema.loggers.c.address.in_(there))
    return [Logger.model_validate_json(document) for document in connection.execute(query).scalars()]


def read_logger(connection: Connection, address: str) -> Logger | None:
    """Return a logger with its secrets, None if it is not enrolled."""
    return read_some_loggers(connection, [address]).get(address)


def read_some_loggers(connection: Connection, addresses: Iterable[str]) -> dict[str, Logger]:
    """Return those of some loggers that are enrolled, with their secrets, by address."""
    documents = read_documents(connection, schema.loggers, addresses)
    return {address: Logger.model_validate_json(document) for address, document in documents.items()}


def read_some_boxes(connection: Connection, codes: Iterable[str]) -> dict[str, Box]:
    """Return those of some boxes that are registered, by code."""
    documents = read_documents(connection, schema.boxes, codes)
    return {code: Box.model_validate_json(document) for code, document in documents.items()}


def read_boxes(connection: Connection) -> list[Box]:
    """Return every box."""
    documents = connection.execute(select(schema.boxes.c.document).order_by(schema.boxes.c.code)).scalars()
    return [Box.model_validate_json(document) for document in documents]


def read_sites(connection: Connection) -> list[Site]:
    """Return every site."""
    documents = connection.execute(select(schema.sites.c.document).order_by(schema.sites.c.name)).scalars()
    return [Site.model_validate_json(document) for document in documents]


def read_profiles(
    connection: Connection, consignments: Iterable[Consignment], boxes: Iterable[Box], more: Iterable[str] = ()
) -> tuple[Profile, ...]:
    """Return the newest version of each profile that is referred to, and of `more`."""
    names = set(more) | {box.default_profile for box in boxes if box.default_profile is not None}
    for consignment in consignments:
        for _, examination in examinations_of(consignment):
            names |= {examination.profile, *(switch.profile for switch in examination.switches)}
    found = (read_profile(connection, name) for name in sorted(names))
    return tuple(profile for profile in found if profile is not None)


def read_profile_names(connection: Connection) -> set[str]:
    """Return the names of all profiles: registered ones and the library's."""
    return {*library.names(), *connection.execute(select(schema.profiles.c.id).distinct()).scalars()}


def read_profile(connection: Connection, name: str) -> Profile | None:
    """Return the newest version of a profile: a registered one before the library's."""
    registered = read_registered_profile(connection, name)
    if registered is not None:
        return registered
    return library.load(name) if name in library.names() else None


def read_rule(connection: Connection, name: str, version: int, rule: str) -> str | None:
    """Return the JSON of a rule as one version of a profile states it, None if that version has no rule of the name."""
    table = schema.profiles
    document = connection.execute(
        select(table.c.document).where(table.c.id == name, table.c.version == version)
    ).scalar()
    profile = read_profile(connection, name) if document is None else Profile.model_validate_json(document)
    if profile is None or profile.version != version:
        return None
    rules = (*profile.limits, *profile.forbidden, *profile.lives)
    return next((stated.model_dump_json() for stated in rules if stated.name == rule), None)


def read_profile_versions(connection: Connection, name: str) -> list[tuple[Profile, int]]:
    """Return the registered versions of a profile, newest first, each with when it was registered (UTC, ms)."""
    table = schema.profiles
    rows = connection.execute(select(table).where(table.c.id == name).order_by(table.c.version.desc()))
    return [(Profile.model_validate_json(row.document), row.added_at_ms) for row in rows]


def read_registered_profile(connection: Connection, name: str) -> Profile | None:
    """Return the newest registered version of a profile."""
    table = schema.profiles
    document = connection.execute(
        select(table.c.document).where(table.c.id == name).order_by(table.c.version.desc()).limit(1)
    ).scalar()
    return None if document is None else Profile.model_validate_json(document)


_FIND = (
    select(schema.consignments.c.document, schema.consignments.c.version, schema.consignments.c.registered_at_ms)
    .where(
        or_(
            schema.consignments.c.code == bindparam("scanned"),
            schema.consignments.c.code.in_(
                select(schema.consignment_items.c.consignment).where(
                    schema.consignment_items.c.item == bindparam("scanned")
                )
            ),
            schema.consignments.c.code.in_(
                select(schema.carriages.c.consignment).where(schema.carriages.c.box == bindparam("scanned"))
            ),
        )
    )
    .order_by(schema.consignments.c.code != bindparam("scanned"), schema.consignments.c.registered_at_ms.desc())
    .limit(bindparam("most", type_=Integer))
)
_BOXES_AMONG = select(schema.boxes.c.code).where(schema.boxes.c.code.in_(bindparam("codes", expanding=True)))
