"""What is registered, kept within a caller's act: any number at once, and one is many of one.

Each thing is an entry of its own in the audit trail, and marks what must be judged anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from gateway.core.assignments import Tenure, assign, tenures_of
from gateway.core.configuration import Box, BoxState, Consignment, Logger
from gateway.core.errors import InputError
from gateway.core.exposure import to_ms
from gateway.core.identifiers import refuse_identity_number
from gateway.core.profiles import Model
from gateway.core.standby import ALERTING, PREFIX, is_vigil
from gateway.hub.audit.acts import Act, record_acts
from gateway.hub.breaches.inbox import settle_registered
from gateway.hub.breaches.vigils import follow_boxes
from gateway.hub.database import schema
from gateway.hub.database.rows import (
    Registered,
    boxes_of,
    examinations_of,
    read_boxes_in_use,
    read_codes_in,
    read_profile_names,
    read_some_boxes,
    refuse_identities,
    save_items,
    save_loggers,
)
from gateway.hub.database.store import replace_rows
from gateway.hub.signals.dirty import mark_consignments, mark_tenures
from gateway.hub.signals.events import tell
from gateway.hub.signals.marks import Subject, mark


@dataclass(frozen=True, slots=True)
class Deed:
    """Who does it, as what ("register", "receive", …), when (UTC in milliseconds), and why."""

    who: str
    act: str
    now_ms: int
    reason: str = ""

    def on(self, subject: str, old: str | Model | None, new: Model, reason: str = "") -> Act:
        """Return the entry about one thing; raises InputError for what looks like an identity."""
        refuse_identities(new)
        before = old.model_dump_json() if isinstance(old, Model) else old
        return Act(self.who, self.act, subject, before, new.model_dump_json(), reason or self.reason)


# --- checks


@dataclass(frozen=True, slots=True)
class References:
    """What consignments may refer to."""

    profiles: Collection[str]
    boxes: Collection[str]


def read_references(connection: Connection, consignments: Iterable[Consignment]) -> References:
    """Return what there is of all that some consignments refer to."""
    named = {box for consignment in consignments for box in boxes_of(consignment)}
    boxes = set(connection.execute(select(schema.boxes.c.code).where(schema.boxes.c.code.in_(named))).scalars())
    return References(read_profile_names(connection), boxes)


def check_references(consignment: Consignment, known: References) -> None:
    """Raise InputError for a profile or a box that is not registered."""
    for field, examination in examinations_of(consignment):
        for name in (examination.profile, *(switch.profile for switch in examination.switches)):
            if name not in known.profiles:
                raise InputError(f"{field}.profile", f"no profile {name}")
    unknown = sorted(boxes_of(consignment) - set(known.boxes))
    if unknown:
        raise InputError("carriage", f"no box {unknown[0]} is registered")


def check_consignment(consignment: Consignment, known: References) -> None:
    """Raise InputError for what nobody may register."""
    if is_vigil(consignment.code):
        raise InputError("code", f"codes that begin with {PREFIX} are the hub's own")
    refuse_identities(consignment)
    check_references(consignment, known)


def place_logger(known: Logger | None, logger: Logger, now: datetime) -> Logger:
    """Return a logger with its history and its key; raises InputError for what contradicts what is known of it."""
    refuse_identities(logger)
    if known is not None and logger.bindkey is None and logger.kind is known.kind:
        logger = logger.model_copy(update={"bindkey": known.bindkey})  # nobody reads it, so nobody sends it back
    return assign(known, logger, now)


# --- changes: each is what was there, None for nothing, and what shall be


def keep_boxes(connection: Connection, changes: Sequence[tuple[Box | None, Box]], deed: Deed) -> None:
    """Keep boxes; what is in them is judged anew, or the watch over an empty one begins or ends."""
    if not changes:
        return
    codes = [box.code for _, box in changes]
    acts = [deed.on(f"box {box.code}", old, box) for old, box in changes]
    replace_rows(
        connection, schema.boxes, [{"code": box.code, "document": box.model_dump_json()} for _, box in changes]
    )
    record_acts(connection, acts, deed.now_ms)
    ended = follow_boxes(connection, codes, deed.now_ms)
    mark_consignments(connection, [*read_codes_in(connection, codes), *ended], deed.now_ms)


def keep_loggers(connection: Connection, changes: Sequence[tuple[Logger | None, Logger]], deed: Deed) -> None:
    """Keep what became of loggers, and mark what was carried where something is different now."""
    if not changes:
        return
    refuse_identity_number("reason", deed.reason)
    acts = [deed.on(f"logger {new.address}", old, new) for old, new in changes]
    save_loggers(connection, [new for _, new in changes])
    record_acts(connection, acts, deed.now_ms)
    different: set[Tenure] = set()
    for old, new in changes:
        different |= set(tenures_of(new)).symmetric_difference([] if old is None else tenures_of(old))
    mark_tenures(connection, different, deed.now_ms)


def keep_consignments(
    connection: Connection, changes: Sequence[tuple[Registered | None, Consignment]], deed: Deed
) -> list[Registered]:
    """Keep consignments, each as its next version; boxes follow what is in them."""
    kept = [_next(known, consignment, deed.now_ms) for known, consignment in changes]
    acts = [
        deed.on(f"consignment {new.consignment.code}", None if known is None else known.consignment, new.consignment)
        for new, (known, _) in zip(kept, changes, strict=True)
    ]
    replace_rows(connection, schema.consignments, [_row_of(new) for new in kept])
    save_items(connection, [new.consignment for new in kept])
    record_acts(connection, acts, deed.now_ms)
    moves = [_move_of(known, consignment) for known, consignment in changes]
    _move_boxes(connection, moves, deed)
    for new in kept:
        settle_registered(connection, new.consignment, deed.who, deed.now_ms)
    boxes = set[str]().union(*(move.boxes for move in moves))
    codes = [new.consignment.code for new in kept]
    mark_consignments(connection, [*codes, *follow_boxes(connection, boxes, deed.now_ms)], deed.now_ms)
    mark(connection, Subject.CONSIGNMENT, codes)
    for new in kept:
        told = {"consignment": new.consignment.code, "version": new.version, "act": deed.act}
        tell(connection, "consignment", told, deed.now_ms)
    return kept


def _next(known: Registered | None, consignment: Consignment, now_ms: int) -> Registered:
    if known is None:
        return Registered(consignment, 1, now_ms)
    return Registered(consignment, known.version + 1, known.registered_at_ms)


def _row_of(registered: Registered) -> dict[str, object]:
    consignment = registered.consignment
    carried = [carriage for item in consignment.items for carriage in consignment.carriage_of(item)]
    return {
        "code": consignment.code,
        "version": registered.version,
        "document": consignment.model_dump_json(),
        "begins_ms": min((to_ms(carriage.begins) for carriage in carried), default=None),
        "received_at_ms": None if consignment.received_at is None else to_ms(consignment.received_at),
        "registered_at_ms": registered.registered_at_ms,
        "receiver": consignment.receiver,
        "vehicle": consignment.vehicle,
        "planned_ms": None if consignment.planned_arrival is None else to_ms(consignment.planned_arrival),
    }


@dataclass(frozen=True, slots=True)
class _Move:
    """The boxes that a consignment is in or was in, and whether it has just arrived."""

    consignment: str
    boxes: set[str]
    arrives: bool


def _move_of(known: Registered | None, consignment: Consignment) -> _Move:
    old = None if known is None else known.consignment
    boxes = boxes_of(consignment) | (set() if old is None else boxes_of(old))
    arrives = old is not None and old.received_at is None and consignment.received_at is not None
    return _Move(consignment.code, boxes, arrives)


def _move_boxes(connection: Connection, moves: Sequence[_Move], deed: Deed) -> None:
    """Let the boxes' states follow: what is registered in a box has loaded it, and its receipt has received it."""
    codes = set[str]().union(*(move.boxes for move in moves))
    in_use = read_boxes_in_use(connection, codes, deed.now_ms)
    boxes = read_some_boxes(connection, codes)
    moved: set[str] = set()
    by = Deed(deed.who, "move", deed.now_ms)
    acts: list[Act] = []
    for move in moves:
        for code in sorted(move.boxes & boxes.keys()):
            box = boxes[code]
            state = _state_of(box, is_in_use=code in in_use, arrives=move.arrives)
            if state is not box.state:
                moved.add(code)
                boxes[code] = box.model_copy(update={"state": state})
                acts.append(by.on(f"box {code}", box, boxes[code], f"consignment {move.consignment}"))
    rows = [{"code": code, "document": boxes[code].model_dump_json()} for code in sorted(moved)]
    replace_rows(connection, schema.boxes, rows)
    record_acts(connection, acts, deed.now_ms)


def _state_of(box: Box, *, is_in_use: bool, arrives: bool) -> BoxState:
    if is_in_use:
        return BoxState.LOADED
    return BoxState.RECEIVED if arrives and box.state in ALERTING else box.state
