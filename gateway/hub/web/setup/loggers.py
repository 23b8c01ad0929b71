"""Loggers: listed with what they need, registered, moved, swapped; their certificates and their history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import SecretStr, ValidationError

from gateway.core.assignments import Swap, SwapReason
from gateway.core.configuration import Calibration, Logger, LoggerKind
from gateway.core.errors import InputError
from gateway.core.exposure import to_ms
from gateway.core.gs1 import SCAN_MAX
from gateway.core.upkeep import Need
from gateway.hub.access.callers import Caller
from gateway.hub.api.access import Configuring, HubRooms, ReadingFleet
from gateway.hub.rooms import Rooms
from gateway.hub.views.fleet import LoggerState
from gateway.hub.web.languages import Reader
from gateway.hub.web.setup.certificates import certificate_sheet, read_certificate
from gateway.hub.web.setup.parts import ROWS_MAX, show
from gateway.hub.web.setup.sheets import Fields, Filled, Sheet, sheet_of
from gateway.language import Speech
from gateway.language.mistakes import UNKNOWN_BOX
from gateway.language.speech import N_

HERE = "/setup/loggers"
NAME_MAX = 80
NOTE_MAX = 200
MEMORY_MAX_S = 86_400
NEEDS: dict[Need, str] = {
    Need.NOT_CALIBRATED: N_("not calibrated"),
    Need.CALIBRATION_DUE: N_("calibration due soon"),
    Need.CALIBRATION_OVERDUE: N_("calibration overdue"),
    Need.BATTERY_LOW: N_("battery low"),
}
SWAP_REASONS: dict[SwapReason, str] = {
    SwapReason.BATTERY: N_("battery"),
    SwapReason.CALIBRATION: N_("calibration"),
    SwapReason.DEFECT: N_("defect"),
    SwapReason.OTHER: N_("something else"),
}
TAKEN = N_("This logger is enrolled already.")
NOT_A_KEY = N_("A key has 32 hexadecimal digits, and only BTHome loggers have one.")
NOT_THEN = N_("This moment does not fit the logger’s history.")
NOT_THIS_ONE = N_("This logger cannot take its place: it is in a box, or it is the same one.")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True, slots=True)
class Line:
    """A logger in the list. Moments in UTC milliseconds, None for never."""

    state: LoggerState
    heard_at_ms: int | None
    due_ms: int | None
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stay:
    """Where a logger was, or is, and under which certificate. Moments in UTC milliseconds; None: open."""

    box: str
    from_ms: int | None
    until_ms: int | None
    is_over: bool
    calibration: Calibration | None


@router.get(HERE)
def list_loggers(
    rooms: HubRooms,
    caller: ReadingFleet,
    reader: Reader,
    q: Annotated[str, Query(max_length=SCAN_MAX)] = "",
    need: Annotated[str, Query(max_length=32)] = "",
) -> HTMLResponse:
    """List the loggers by address, or those with some text in address or box, or with a need."""
    wanted = q.strip().casefold()
    found = [
        state
        for state in rooms.fleet.states()
        if wanted in f"{state.logger.address} {state.logger.box or ''} {state.logger.model}".casefold()
        and (not need or need in state.needs)
    ]
    return show(
        "loggers.html",
        rooms,
        caller,
        reader,
        HERE,
        lines=[_line(state, reader) for state in found[:ROWS_MAX]],
        total=len(found),
        q=q,
        need=need,
        needs=[(one.value, reader.gettext(words)) for one, words in NEEDS.items()],
    )


@router.get(f"{HERE}/new")
def show_new(
    rooms: HubRooms,
    caller: Configuring,
    reader: Reader,
    address: Annotated[str, Query(max_length=SCAN_MAX)] = "",
    box: Annotated[str, Query(max_length=SCAN_MAX)] = "",
) -> HTMLResponse:
    """Show the form that registers a logger."""
    sheet = sheet_of(address=address, box=box, kind=LoggerKind.RUUVITAG.value, memory_interval_s="300")
    return _show_new(rooms, caller, reader, sheet)


@router.post(f"{HERE}/new", response_model=None)
def register(rooms: HubRooms, caller: Configuring, reader: Reader, sheet: Filled) -> HTMLResponse | RedirectResponse:
    """Register a logger, with its first certificate if there is one."""
    fields = Fields(sheet, reader)
    address = fields.code("address", needed=True)
    if address and any(one.address == address for one in rooms.registry.loggers()):
        fields.refuse("address", TAKEN)
    calibration = read_certificate(fields)
    logger = _read_logger(rooms, fields, address, None, calibration)
    if logger is None or not _put(rooms, caller, fields, logger, fields.text("reason", longest=NOTE_MAX)):
        return _show_new(rooms, caller, reader, fields.sheet)
    return _to_logger(address, "saved")


@router.get(f"{HERE}/one")
def show_logger(
    rooms: HubRooms,
    caller: ReadingFleet,
    reader: Reader,
    address: Annotated[str, Query(max_length=SCAN_MAX)],
    done: Annotated[str, Query(max_length=16)] = "",
) -> HTMLResponse:
    """Show a logger: how it stands, where it was, its certificates, and what can be done with it."""
    return _show(rooms, caller, reader, _known(rooms, address), {}, done=done)


@router.post(f"{HERE}/change", response_model=None)
def change(rooms: HubRooms, caller: Configuring, reader: Reader, sheet: Filled) -> HTMLResponse | RedirectResponse:
    """Move a logger, take it out, or correct what is known of it."""
    known = _known(rooms, sheet.text("address"))
    fields = Fields(sheet, reader)
    logger = _read_logger(rooms, fields, known.address, known, known.calibration)
    if logger is None or not _put(rooms, caller, fields, logger, fields.text("reason", longest=NOTE_MAX)):
        return _show(rooms, caller, reader, known, {"change": fields.sheet})
    return _to_logger(known.address, "saved")


@router.post(f"{HERE}/certificate", response_model=None)
def certify(rooms: HubRooms, caller: Configuring, reader: Reader, sheet: Filled) -> HTMLResponse | RedirectResponse:
    """Note a new certificate; found out of tolerance before it was adjusted, the way leads to what would change."""
    known = _known(rooms, sheet.text("address"))
    fields = Fields(sheet, reader)
    calibration = read_certificate(fields, needed=True)
    since = fields.moment("since")
    found_c = fields.number("as_found_c", -5, 5)
    reason = fields.text("reason", longest=NOTE_MAX)
    if calibration is None or not fields.is_sound:
        return _show(rooms, caller, reader, known, {"certificate": fields.sheet})
    changed = known.model_copy(update={"calibration": calibration, "since": since or known.since})
    if not _put(rooms, caller, fields, changed, reason):
        return _show(rooms, caller, reader, known, {"certificate": fields.sheet})
    before = known.calibration
    if found_c is not None and before is not None and abs(found_c - before.offset_c) > before.uncertainty_c:
        asked = {"address": known.address, "offset_c": found_c, "uncertainty_c": calibration.uncertainty_c}
        since_then = {"since": before.calibrated_at.date().isoformat()}
        return RedirectResponse(f"{HERE}/recalibration?{urlencode(asked | since_then)}", 303)
    return _to_logger(known.address, "certified")


@router.post(f"{HERE}/swap", response_model=None)
def swap(rooms: HubRooms, caller: Configuring, reader: Reader, sheet: Filled) -> HTMLResponse | RedirectResponse:
    """Let another logger take the place of this one."""
    known = _known(rooms, sheet.text("address"))
    fields = Fields(sheet, reader)
    new = fields.code("new", needed=True)
    reason = fields.choice("swap_reason", SwapReason, needed=True)
    note = fields.text("note", longest=NOTE_MAX)
    at = fields.moment("at")
    calibration = read_certificate(fields)
    if not fields.is_sound or reason is None:
        return _show(rooms, caller, reader, known, {"swap": fields.sheet})
    try:
        asked = Swap(new=new, reason=reason, note=note, at=at, calibration=calibration)
        _, came = rooms.registry.swap_loggers(known.address, asked, caller.name)
    except InputError as error:
        is_then = error.field == "since"
        fields.refuse_as(error, {"new": "new", "old": "new", "since": "at"}, NOT_THEN if is_then else NOT_THIS_ONE)
        return _show(rooms, caller, reader, known, {"swap": fields.sheet})
    rooms.bells.ring_all()
    return _to_logger(came.address, "swapped")


def _read_logger(
    rooms: Rooms, fields: Fields, address: str, known: Logger | None, calibration: Calibration | None
) -> Logger | None:
    kind = fields.choice("kind", LoggerKind, needed=True)
    box = fields.code("box")
    if box and box not in {one.code for one in rooms.registry.boxes()}:
        fields.refuse("box", UNKNOWN_BOX)
    memory_s = fields.whole("memory_interval_s", 1, MEMORY_MAX_S)
    key = fields.text("bindkey")
    since = fields.moment("since")
    model, serial = fields.text("model", longest=NAME_MAX), fields.text("serial", longest=NAME_MAX)
    if not fields.is_sound or kind is None:
        return None
    try:
        return Logger(
            address=address,
            kind=kind,
            box=box or None,
            memory_interval_s=memory_s,
            calibration=calibration,
            bindkey=SecretStr(key) if key else None,
            since=since or (None if known is None else known.since),
            model=model,
            serial=serial,
        )
    except ValidationError:  # all else was checked: only the key can be wrong, and it is not repeated
        fields.refuse("bindkey", NOT_A_KEY)
        return None


def _put(rooms: Rooms, caller: Caller, fields: Fields, logger: Logger, reason: str) -> bool:
    """Store a logger and say whether that was possible."""
    if not fields.is_sound:
        return False
    try:
        rooms.registry.put_logger(logger, caller.name, reason)
    except InputError as error:
        fields.refuse_as(error, {"since": "since"}, NOT_THEN if error.field == "since" else "")
        return False
    rooms.bells.ring_all()
    return True


def _known(rooms: Rooms, address: str) -> Logger:
    known = next((one for one in rooms.registry.loggers() if one.address == address), None)
    if known is None:
        raise HTTPException(404, "no logger of that address is enrolled")
    return known


def _to_logger(address: str, done: str) -> RedirectResponse:
    return RedirectResponse(f"{HERE}/one?{urlencode({'address': address, 'done': done})}", 303)


def _line(state: LoggerState, speech: Speech) -> Line:
    due = None if state.logger.calibration is None else to_ms(state.logger.calibration.due_at)
    heard = None if state.heard_at is None else to_ms(state.heard_at)
    return Line(state, heard, due, tuple(speech.gettext(NEEDS[need]) for need in state.needs))


def stays_of(logger: Logger) -> list[Stay]:
    """Return where a logger was, newest first, the present included."""
    stays = [
        Stay(past.box, None if past.begins is None else to_ms(past.begins), to_ms(past.ends), True, past.calibration)
        for past in logger.former
    ]
    if logger.box is not None:
        since_ms = None if logger.since is None else to_ms(logger.since)
        stays.append(Stay(logger.box, since_ms, None, False, logger.calibration))
    return stays[::-1]


def _kinds(speech: Speech) -> list[tuple[str, str]]:
    return [(kind.value, speech.gettext(KINDS[kind])) for kind in LoggerKind]


KINDS: dict[LoggerKind, str] = {
    LoggerKind.RUUVITAG: "RuuviTag",
    LoggerKind.REFERENCE: N_("reference logger"),
    LoggerKind.BTHOME: "BTHome",
    LoggerKind.BLUEMAESTRO: "Blue Maestro",
    LoggerKind.SENSORPUSH: "SensorPush",
    LoggerKind.SENSIRION: "Sensirion",
    LoggerKind.THERMOBEACON: "ThermoBeacon",
    LoggerKind.QINGPING: "Qingping",
    LoggerKind.OTHER: N_("another"),
}


def _show_new(rooms: Rooms, caller: Caller, speech: Speech, sheet: Sheet) -> HTMLResponse:
    return show(
        "logger_new.html",
        rooms,
        caller,
        speech,
        f"{HERE}/new",
        status=422 if sheet.faults else 200,
        sheet=sheet,
        kinds=_kinds(speech),
        boxes=[box.code for box in rooms.registry.boxes()],
    )


def _show(
    rooms: Rooms, caller: Caller, speech: Speech, logger: Logger, refused: Mapping[str, Sheet], *, done: str = ""
) -> HTMLResponse:
    """Show a logger; `refused` holds the form that could not be taken, by its name."""
    state = rooms.fleet.state(logger)
    empty = sheet_of()
    return show(
        "logger.html",
        rooms,
        caller,
        speech,
        f"{HERE}/one?{urlencode({'address': logger.address})}",
        status=422 if refused else 200,
        logger=logger,
        line=_line(state, speech),
        stays=stays_of(logger),
        done=done,
        refused=next(iter(refused.values()), empty),
        opened=next(iter(refused), ""),
        change=refused.get("change") or _change_sheet(logger),
        certificate=refused.get("certificate") or empty,
        swap=refused.get("swap") or empty,
        current=certificate_sheet(logger.calibration),
        kinds=_kinds(speech),
        kind=speech.gettext(KINDS[logger.kind]),
        boxes=[box.code for box in rooms.registry.boxes()],
        others=[one.address for one in rooms.registry.loggers() if one.box is None and one.address != logger.address],
        swap_reasons=[(one.value, speech.gettext(words)) for one, words in SWAP_REASONS.items()],
    )


def _change_sheet(logger: Logger) -> Sheet:
    memory_s = logger.memory_interval_s
    return sheet_of(
        kind=logger.kind.value,
        box=logger.box,
        memory_interval_s=None if memory_s is None else str(memory_s),
        model=logger.model,
        serial=logger.serial,
    )
