"""Acts of people at the vehicle: what stands of them after corrections, and what they say of boxes and consignments.

The vehicle and the hub derive the same from the same records, in whatever order these come: the hub registers what the
vehicle already judges by. Moments are UTC in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum

from gateway.core.configuration import (
    Carriage,
    CodeRule,
    Configuration,
    Consignment,
    Declared,
    Examination,
    Item,
)
from gateway.core.profiles import Kind
from gateway.core.records import AnyRecord, CustodyEvent, Registration, Withdrawal

UNIDENTIFIED = "unidentified"
CustodyRecord = CustodyEvent | Registration | Withdrawal


class CustodyAct(StrEnum):
    """What is done at a vehicle with a box or an item."""

    LOADED = "loaded"
    UNLOADED = "unloaded"
    HANDED_OVER = "handed_over"
    RECEIVED = "received"


_HERE = frozenset({CustodyAct.LOADED, CustodyAct.RECEIVED})


def custody_of(records: Iterable[AnyRecord]) -> list[CustodyRecord]:
    """Return the acts of people among some records."""
    return [record for record in records if isinstance(record, CustodyEvent | Registration | Withdrawal)]


def standing(records: Iterable[CustodyRecord]) -> list[CustodyEvent | Registration]:
    """Return what counts, in order of time: of each act its last version, of what was withdrawn nothing."""
    withdrawn: set[str] = set()
    acts: dict[str, CustodyEvent | Registration] = {}
    # The order decides between two versions of one moment, so it must not be that of arrival.
    for number, record in enumerate(sorted(records, key=lambda record: (record.at_ms, record.id, repr(record)))):
        if isinstance(record, Withdrawal):
            withdrawn.add(record.id)
        else:
            acts[record.id or f"{number} without an id"] = record
    return sorted((act for id_, act in acts.items() if id_ not in withdrawn), key=_told_at)


def boxes_here(records: Iterable[CustodyRecord]) -> dict[str, bool]:
    """Return of each box that was seen whether it is in the vehicle: loaded or received last, or packed in it."""
    here: dict[str, bool] = {}
    for act in standing(records):
        if isinstance(act, Registration):
            here[act.box] = True
        elif act.box and not act.item:
            here[act.box] = act.act in _HERE
    return here


def handed_over(records: Iterable[CustodyRecord]) -> dict[str, int]:
    """Return the items that left by themselves, with the moment: nothing measures them any more."""
    left: dict[str, int] = {}
    for act in standing(records):
        if isinstance(act, Registration):
            left.pop(act.item, None)
        elif act.item and act.act == CustodyAct.HANDED_OVER:
            left[act.item] = act.at_ms
    return left


def registered_consignments(records: Iterable[CustodyRecord]) -> tuple[Consignment, ...]:
    """Return the consignments that were registered at the vehicle, as they stand."""
    kept = list(records)
    left = handed_over(kept)
    found: dict[str, dict[str, Registration]] = {}
    for act in standing(kept):
        if isinstance(act, Registration):
            found.setdefault(act.consignment, {})[act.item] = act
    return tuple(
        Consignment(code=code, items=tuple(_item(act, left.get(act.item)) for act in items.values()))
        for code, items in found.items()
    )


def without_left(consignment: Consignment, left: dict[str, int]) -> Consignment:
    """Return a consignment in which the exposure of what was handed over by itself ends there."""
    items = tuple(
        item.model_copy(update={"carriage": tuple(_end(c, left[item.code]) for c in consignment.carriage_of(item))})
        if item.code in left
        else item
        for item in consignment.items
    )
    return consignment if items == consignment.items else consignment.model_copy(update={"items": items})


def with_custody(configuration: Configuration, records: Iterable[CustodyRecord]) -> Configuration:
    """Return a configuration that also knows what was registered and handed over here."""
    kept = list(records)
    left = handed_over(kept)
    known = {consignment.code for consignment in configuration.consignments}
    here = [consignment for consignment in registered_consignments(kept) if consignment.code not in known]
    consignments = (*(without_left(c, left) for c in configuration.consignments), *here)
    if consignments == configuration.consignments:
        return configuration
    return configuration.model_copy(update={"consignments": consignments})


def rule_of(code: str, rules: Iterable[CodeRule]) -> CodeRule | None:
    """Return the rule with the longest prefix that a code begins with."""
    fitting = [rule for rule in rules if code.startswith(rule.prefix)]
    return max(fitting, key=lambda rule: len(rule.prefix), default=None)


def _told_at(act: CustodyEvent | Registration) -> tuple[int, str]:
    return (act.at_ms, act.id)


def _item(act: Registration, left_ms: int | None) -> Item:
    carriage = Carriage(box=act.box, begins=_moment(act.packed_at_ms))
    return Item(
        code=act.item,
        kind=Kind(act.kind),
        examinations=tuple(Examination(code=code, profile=profile) for code, profile in act.examinations),
        collected_at=None if act.collected_at_ms is None else _moment(act.collected_at_ms),
        declared=_declared(act),
        carriage=(carriage if left_ms is None else _end(carriage, left_ms),),
    )


def _declared(act: Registration) -> tuple[Declared, ...]:
    if act.low_c is None or act.high_c is None or act.collected_at_ms is None:
        return ()
    if act.collected_at_ms >= act.packed_at_ms:
        return ()
    begins, ends = _moment(act.collected_at_ms), _moment(act.packed_at_ms)
    return (Declared(begins=begins, ends=ends, low_c=act.low_c, high_c=act.high_c, by=act.holder),)


def _end(carriage: Carriage, left_ms: int) -> Carriage:
    ends = _moment(left_ms)
    if ends <= carriage.begins or (carriage.ends is not None and carriage.ends <= ends):
        return carriage
    return carriage.model_copy(update={"ends": ends})


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
