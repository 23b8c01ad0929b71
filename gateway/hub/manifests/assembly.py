"""Lines become consignments. Pure: what is registered already comes in; faults name line and column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import ValidationError

from gateway.core.configuration import Carriage, Consignment, Examination, Item
from gateway.core.errors import InputError
from gateway.core.identifiers import check_code, refuse_identity_number
from gateway.core.profiles import Kind
from gateway.hub.manifests.columns import MOMENTS, NEEDED, OF_CONSIGNMENT, OF_ITEM
from gateway.hub.manifests.reading import Faults, Line
from gateway.hub.times import read_local
from gateway.language.mistakes import IDENTITY, MISSING, NOT_A_CODE, TOO_LONG, TWO_KINDS, UNKNOWN_BOX, UNKNOWN_PROFILE
from gateway.language.speech import N_

ITEMS_MAX = 200
EXAMINATIONS_MAX = 50
EXAMINATION_LENGTH_MAX = 64
_CODES = ("consignment", "box", "item", "requester", "receiver")
_SPREADSHEET = "%d.%m.%Y %H:%M"
"""What a Norwegian spreadsheet makes of a moment."""

NOT_A_MOMENT = N_("This is no moment. Write 2026-10-24T08:00+02:00, or 24.10.2026 08:00 in Norwegian time.")
DIFFERS = N_("Line {line} says something else of the same.")
TWICE = N_("This examination of the item stands in line {line} already.")
TOO_MANY_ITEMS = N_("One consignment has at most {n} items.")
TOO_MANY_EXAMINATIONS = N_("One item has at most {n} examinations.")
NOT_WHOLE = N_("This line does not fit together with the others of its consignment.")


@dataclass(frozen=True, slots=True)
class Known:
    """What a manifest may refer to: profiles with what they judge, and boxes."""

    profiles: Mapping[str, Kind]
    boxes: AbstractSet[str]


@dataclass(slots=True)
class _Item:
    line: int
    kind: Kind | None
    values: dict[str, tuple[int, str | datetime]] = field(default_factory=dict)
    examinations: dict[Examination, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Consignment:
    line: int
    values: dict[str, tuple[int, str | datetime]] = field(default_factory=dict)
    items: dict[str, _Item] = field(default_factory=dict)


def assemble(lines: Sequence[Line], known: Known, faults: Faults, *, is_late: bool = False) -> list[Consignment]:
    """Return the consignments of lines in their order; none of them counts if there is any fault."""
    drafts: dict[str, _Consignment] = {}
    for line in lines:
        _add_line(line, drafts, known, faults)
    if faults.count:
        return []
    made = [_make(code, draft, faults, is_late=is_late) for code, draft in drafts.items()]
    return [consignment for consignment in made if consignment is not None]


def _add_line(line: Line, drafts: dict[str, _Consignment], known: Known, faults: Faults) -> None:
    read = {column: value for column in line.cells if (value := _read_cell(line, column, faults)) is not None}
    for column in NEEDED:
        if not line.cell(column) and column in line.cells:
            faults.add(line.number, column, MISSING)
    kind = _check_known(line, read, known, faults)
    code, item_code = read.get("consignment"), read.get("item")
    if not isinstance(code, str) or not isinstance(item_code, str):
        return
    draft = drafts.setdefault(code, _Consignment(line.number))
    _keep(line, read, OF_CONSIGNMENT, draft.values, faults)
    item = draft.items.setdefault(item_code, _Item(line.number, kind))
    if len(draft.items) > ITEMS_MAX:
        faults.add(line.number, "item", TOO_MANY_ITEMS, n=ITEMS_MAX)
    if kind is not None and item.kind is not None and kind is not item.kind:
        faults.add(line.number, "profile", TWO_KINDS)
    _keep(line, read, OF_ITEM, item.values, faults)
    _add_examination(line, read, item, faults)


def _add_examination(line: Line, read: Mapping[str, str | datetime], item: _Item, faults: Faults) -> None:
    profile, examination = read.get("profile"), read.get("examination") or read.get("profile")
    if not isinstance(profile, str) or not isinstance(examination, str):
        return
    try:
        made = Examination(code=examination, profile=profile)
    except ValidationError:  # the profile is unknown then, and that has been said
        return
    same = next((number for one, number in item.examinations.items() if one.code == made.code), None)
    if same is not None:
        faults.add(line.number, "examination" if line.cell("examination") else "profile", TWICE, line=same)
    item.examinations[made] = line.number
    if len(item.examinations) > EXAMINATIONS_MAX:
        faults.add(line.number, "profile", TOO_MANY_EXAMINATIONS, n=EXAMINATIONS_MAX)


def _read_cell(line: Line, column: str, faults: Faults) -> str | datetime | None:
    """Return what a cell says, None where it is empty or wrong."""
    text = line.cell(column)
    if not text:
        return None
    try:
        refuse_identity_number(column, text)
    except InputError:
        faults.add(line.number, column, IDENTITY)
        return None
    value, reason = _parse(column, text)
    if reason:
        faults.add(line.number, column, reason, n=EXAMINATION_LENGTH_MAX)
    return value


def _parse(column: str, text: str) -> tuple[str | datetime | None, str]:
    """Return what a text says in a column, else None and why."""
    if column in MOMENTS:
        moment = read_moment(text)
        return moment, "" if moment is not None else NOT_A_MOMENT
    if column in _CODES:
        try:
            return check_code(column, text), ""
        except InputError:
            return None, NOT_A_CODE
    return (text, "") if len(text) <= EXAMINATION_LENGTH_MAX else (None, TOO_LONG)


def read_moment(text: str) -> datetime | None:
    """Return the moment that a cell states, with an offset or in Norwegian time; None where there is none.

    It is UTC: in the hour that comes twice, in autumn, moments of different zones are never equal.
    """
    if ":" not in text:
        return None  # a day alone is too little: what it lasted is judged by the minute
    try:
        return read_local(text).astimezone(UTC)
    except ValueError:
        pass  # the other way of writing it may fit
    try:
        return read_local(datetime.strptime(text, _SPREADSHEET).isoformat()).astimezone(UTC)  # noqa: DTZ007  read_local gives the zone
    except ValueError:
        return None


def _check_known(line: Line, read: Mapping[str, str | datetime], known: Known, faults: Faults) -> Kind | None:
    box, profile = read.get("box"), read.get("profile")
    if isinstance(box, str) and box not in known.boxes:
        faults.add(line.number, "box", UNKNOWN_BOX)
    if not isinstance(profile, str):
        return None
    if profile not in known.profiles:
        faults.add(line.number, "profile", UNKNOWN_PROFILE)
    return known.profiles.get(profile)


def _keep(
    line: Line,
    read: Mapping[str, str | datetime],
    columns: Sequence[str],
    values: dict[str, tuple[int, str | datetime]],
    faults: Faults,
) -> None:
    """Keep what holds for several lines, said once or by all alike."""
    for column in columns:
        if column not in read:
            continue
        number, before = values.setdefault(column, (line.number, read[column]))
        if before != read[column]:
            faults.add(line.number, column, DIFFERS, line=number)


def _make(code: str, draft: _Consignment, faults: Faults, *, is_late: bool) -> Consignment | None:
    try:
        items = {item_code: _make_item(item_code, item) for item_code, item in draft.items.items()}
        carriages = {carriage for _, carriage in items.values()}
        shared = tuple(carriages) if len(carriages) == 1 else ()
        return Consignment.model_validate(
            {
                "code": code,
                "items": [
                    item if shared else item.model_copy(update={"carriage": (carriage,)})
                    for item, carriage in items.values()
                ],
                "carriage": shared,
                "registered_late": is_late,
                **{column: value for column, (_, value) in draft.values.items()},
            }
        )
    except ValidationError:  # what the models ask for together, and no cell alone breaks
        faults.add(draft.line, "", NOT_WHOLE)
        return None


def _make_item(code: str, draft: _Item) -> tuple[Item, Carriage]:
    stated = {column: value for column, (_, value) in draft.values.items()}
    carriage = Carriage.model_validate({"box": stated.pop("box"), "begins": stated.pop("in_box_since")})
    return Item.model_validate(
        {"code": code, "kind": draft.kind, "examinations": tuple(draft.examinations), **stated}
    ), carriage
