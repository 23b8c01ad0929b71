"""What happened to a consignment on its way: acts of people at vehicles and at the hub, and stops."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, select

from gateway.core.configuration import Consignment
from gateway.core.custody import UNIDENTIFIED, CustodyAct, CustodyRecord, standing
from gateway.core.records import CustodyEvent, Registration
from gateway.hub.database.schema import audit, custody
from gateway.language import Speech
from gateway.language.speech import N_

ACTS_MAX = 2000
"""Acts at the vehicles concerned while the consignment was under way; a full van has some forty a day."""
AROUND_MS = 3_600_000
"""A box is loaded before its carriage begins, and handed over after it ended."""

_ACTS: dict[str, str] = {
    CustodyAct.LOADED: N_("Loaded"),
    CustodyAct.UNLOADED: N_("Unloaded"),
    CustodyAct.HANDED_OVER: N_("Handed over"),
    CustodyAct.RECEIVED: N_("Received"),
    "opened": N_("Opened"),
    "closed": N_("Shut"),
}
_PACKED = N_("Packed")
_AT_HUB = {"register": N_("Registered"), "receive": N_("Received")}
_decode = msgspec.msgpack.Decoder(CustodyRecord).decode


@dataclass(frozen=True, slots=True)
class Act:
    """One act. `holder` is a badge's code, or an account; `place` where it was, a box, a vehicle or the hub."""

    at_ms: int
    what: str
    of: str
    holder: str
    place: str


def read_acts(
    connection: Connection,
    consignment: Consignment,
    boxes: Collection[str],
    vehicles: Collection[str],
    span: tuple[int, int],
    speech: Speech,
) -> Sequence[Act]:
    """Return what people did with a consignment and its boxes, in order of time; corrected acts as corrected."""
    table = custody.c
    rows = connection.execute(
        select(table.gateway, table.record)
        .where(table.gateway.in_(list(vehicles)), table.at_ms.between(span[0] - AROUND_MS, span[1] + AROUND_MS))
        .order_by(table.at_ms, table.id)
        .limit(ACTS_MAX)
    ).all()
    found: list[Act] = []
    for vehicle in sorted(vehicles):
        told = standing(_decode(bytes(row.record)) for row in rows if row.gateway == vehicle)
        found += [_to_act(one, vehicle, speech) for one in told if _concerns(one, consignment, boxes)]
    found += _at_hub(connection, consignment.code, speech)
    return sorted(found, key=lambda act: act.at_ms)


def _concerns(act: CustodyEvent | Registration, consignment: Consignment, boxes: Collection[str]) -> bool:
    if act.consignment:
        return act.consignment == consignment.code
    items = {item.code for item in consignment.items}
    return act.item in items if act.item else act.box in boxes


def _to_act(act: CustodyEvent | Registration, vehicle: str, speech: Speech) -> Act:
    unidentified = speech.gettext(N_("unidentified"))
    holder = unidentified if act.holder == UNIDENTIFIED else act.holder
    if isinstance(act, Registration):
        return Act(act.packed_at_ms, speech.gettext(_PACKED), f"{act.item} → {act.box}", holder, vehicle)
    place = f"{vehicle}, {act.place}" if act.place else vehicle
    what = _ACTS.get(act.act)
    return Act(act.at_ms, act.act if what is None else speech.gettext(what), act.item or act.box, holder, place)


def _at_hub(connection: Connection, code: str, speech: Speech) -> Iterator[Act]:
    wanted = select(audit.c.at_ms, audit.c.act, audit.c.who).where(
        audit.c.subject == f"consignment {code}", audit.c.act.in_(list(_AT_HUB))
    )
    for row in connection.execute(wanted.order_by(audit.c.id).limit(ACTS_MAX)):
        yield Act(row.at_ms, speech.gettext(_AT_HUB[row.act]), code, row.who, speech.gettext(N_("at the hub")))
