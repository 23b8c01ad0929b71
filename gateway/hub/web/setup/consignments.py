"""Consignments: registered one by one in a form, or many from a CSV file after a look at what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms, Registering
from gateway.hub.manifests.columns import COLUMNS, write_sample, write_template
from gateway.hub.manifests.importing import Manifest, ManifestError, check_lines, check_manifest, register_manifest
from gateway.hub.manifests.reading import BYTES_MAX, LINES_MAX, Fault, Faults, Line
from gateway.hub.rooms import Rooms
from gateway.hub.web.languages import Reader
from gateway.hub.web.moments import write_local
from gateway.hub.web.setup.parts import show
from gateway.hub.web.setup.sheets import FORM, Fields, Filled, Sheet, sheet_of
from gateway.language import Speech
from gateway.language.mistakes import KNOWN_CONSIGNMENT, NO_ITEM
from gateway.language.profiles import sort_profiles
from gateway.language.speech import N_

HERE = "/setup/consignments"
ROWS_AT_FIRST = 3
ROWS_MAX = 40
"""Rows of one form: a rack of tubes. More come by file."""
SHOWN_MAX = 50
"""Consignments of a file that are listed before it is registered."""
RECENT = 20
HEAD = ("consignment", "box", "in_box_since", "requester", "receiver", "planned_arrival")
"""Fields that a form has once."""
ROW = ("item", "profile", "examination", "collected_at", "prepared_at", "use_before", "latest_arrival")
"""Fields that each row has."""
NO_FILE = N_("Choose a file, or write something into the field.")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get(HERE)
def show_ways(
    rooms: HubRooms, caller: Registering, reader: Reader, added: Annotated[int | None, Query(ge=0)] = None
) -> HTMLResponse:
    """Show the ways to register, and what was registered last to those who may list it."""
    recent = rooms.registry.consignments(RECENT) if caller.may(Right.LIST) else None
    return show("consignments.html", rooms, caller, reader, HERE, recent=recent, added=added)


@router.get(f"{HERE}/new")
def show_form(rooms: HubRooms, caller: Registering, reader: Reader) -> HTMLResponse:
    """Show an empty form."""
    return _show_form(rooms, caller, reader, sheet_of(in_box_since=write_local(rooms.clock.now_ms())))


@router.post(f"{HERE}/new", response_model=None)
def register(rooms: HubRooms, caller: Registering, reader: Reader, sheet: Filled) -> HTMLResponse | RedirectResponse:
    """Register a consignment as typed, or show its form again with what is wrong."""
    if sheet.text("more"):
        return _show_form(rooms, caller, reader, sheet, more=ROWS_AT_FIRST)
    fields = Fields(sheet, reader)
    faults = Faults()
    lines = _lines_of(sheet)
    manifest = check_lines(lines, rooms.registry, faults)
    if not lines:
        fields.refuse("item-1", NO_ITEM)
        for name in HEAD[:3]:
            fields.text(name, needed=True)
    if manifest.known:
        fields.refuse("consignment", KNOWN_CONSIGNMENT)
    for fault in manifest.faults:
        fields.refuse(_field_of(fault), fault.reason, **fault.parameters)
    if not fields.is_sound:
        return _show_form(rooms, caller, reader, fields.sheet)
    try:
        register_manifest(manifest, rooms.registry, caller.name)
    except ManifestError as error:
        fields.refuse(FORM, error.lines[0].reason)
        return _show_form(rooms, caller, reader, fields.sheet)
    rooms.bells.ring_all()
    return RedirectResponse("/bench?" + urlencode({"code": manifest.consignments[0].code}), 303)


@router.get(f"{HERE}/import")
def show_import(rooms: HubRooms, caller: Registering, reader: Reader) -> HTMLResponse:
    """Ask for a file."""
    return _show_import(rooms, caller, reader, sheet_of(), None)


@router.post(f"{HERE}/import", response_model=None)
def import_file(rooms: HubRooms, caller: Registering, reader: Reader, sheet: Filled) -> HTMLResponse | RedirectResponse:
    """Show what a file says and what is wrong with it; with `confirm`, register it, all or nothing."""
    data = sheet.files.get("file") or sheet.text("csv").encode()
    if not data:
        fields = Fields(sheet, reader)
        fields.refuse("file", NO_FILE)
        return _show_import(rooms, caller, reader, fields.sheet, None)
    manifest = check_manifest(data, rooms.registry)
    text = data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    if sheet.text("confirm") and not manifest.faults:
        try:
            added = register_manifest(manifest, rooms.registry, caller.name)
        except ManifestError as error:
            manifest = Manifest(manifest.lines, (), frozenset(), error.lines, len(error.lines))
        else:
            rooms.bells.ring_all()
            return RedirectResponse(f"{HERE}?{urlencode({'added': added})}", 303)
    return _show_import(rooms, caller, reader, sheet_of(csv=text), manifest)


@router.get(f"{HERE}/template.csv")
def give_template(_caller: Registering) -> Response:
    """Give an empty file with the columns."""
    return _give("consignments.csv", write_template())


@router.get(f"{HERE}/sample.csv")
def give_sample(rooms: HubRooms, _caller: Registering) -> Response:
    """Give a file with three lines, as an example."""
    return _give("consignments-sample.csv", write_sample(rooms.clock.now_ms()))


def _give(name: str, text: str) -> Response:
    # The mark at its beginning tells spreadsheets that it is UTF-8.
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response("\ufeff" + text, media_type="text/csv; charset=utf-8", headers=headers)


def _lines_of(sheet: Sheet) -> list[Line]:
    """Return the rows of a form that say anything, as lines of a file; their numbers are those of the rows."""
    head = {name: sheet.text(name) for name in HEAD}
    columns = {name: sheet.all(name)[:ROWS_MAX] for name in ROW}
    rows = []
    for place in range(max(len(cells) for cells in columns.values())):
        row = {name: cells[place] if place < len(cells) else "" for name, cells in columns.items()}
        if row["item"] or row["profile"] or row["examination"]:
            rows.append(Line(place + 1, {**head, **row}))
    return rows


def _field_of(fault: Fault) -> str:
    """Return the id of the field that a fault is at: one of the head, or of its row."""
    if not fault.column:
        return FORM
    return f"{fault.column}-{fault.line}" if fault.column in ROW else fault.column


def _show_form(rooms: Rooms, caller: Caller, speech: Speech, sheet: Sheet, more: int = 0) -> HTMLResponse:
    profiles = sort_profiles(rooms.registry.profiles(), speech)
    rows = min(max(ROWS_AT_FIRST, *(len(sheet.all(name)) for name in ROW)) + more, ROWS_MAX)
    return show(
        "consignment.html",
        rooms,
        caller,
        speech,
        f"{HERE}/new",
        status=422 if sheet.faults else 200,
        sheet=sheet,
        rows=[_row(sheet, place) for place in range(rows)],
        profiles=profiles,
        boxes=[box.code for box in rooms.registry.boxes()],
        can_grow=rows < ROWS_MAX,
    )


def _row(sheet: Sheet, place: int) -> Sheet:
    """Return one row as a form of its own, its fields named with its number."""
    number = place + 1
    values = {name: sheet.all(name)[place : place + 1] for name in ROW}
    return Sheet(
        {f"{name}-{number}": value for name, value in values.items()},
        {name: reason for name, reason in sheet.faults.items() if name.endswith(f"-{number}")},
    )


def _show_import(rooms: Rooms, caller: Caller, speech: Speech, sheet: Sheet, manifest: Manifest | None) -> HTMLResponse:
    is_refused = bool(sheet.faults) or (manifest is not None and bool(manifest.faults))
    return show(
        "import.html",
        rooms,
        caller,
        speech,
        f"{HERE}/import",
        status=422 if is_refused else 200,
        sheet=sheet,
        manifest=manifest,
        faults=[] if manifest is None else _say_faults(manifest.faults, speech),
        columns=COLUMNS,
        shown=SHOWN_MAX,
        kib=BYTES_MAX // 1024,
        lines_max=LINES_MAX,
    )


def _say_faults(faults: Sequence[Fault], speech: Speech) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.column, fault.say(speech)) for fault in faults]
