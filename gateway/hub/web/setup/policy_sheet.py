"""The form of a policy: read, and filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from gateway.core.profiles import Kind
from gateway.hub.notification.policies import AFTER_MAX_MIN, RECEIVER, REQUESTER, STEPS_MAX, Policy, Subject
from gateway.hub.web.setup.recipient_sheet import fill_hours, read_hours
from gateway.hub.web.setup.sheets import FORM, NOT_OFFERED, Fields, Sheet, sheet_of
from gateway.language.speech import N_

ORDER_MAX = 10_000
NO_STEP = N_("Say who is told first.")
NOBODY = N_("Say who is told then.")
NOT_LATER = N_("Each step comes later than the one before it.")
NOT_A_NAME = N_("A name has small letters, digits and -.")
TOO_MANY = N_("There are too many of them.")
_ASKED = (("requester", REQUESTER), ("receiver", RECEIVER))


def read_policy_sheet(fields: Fields, sheet: Sheet, known: Policy | None) -> Policy | None:
    """Return the policy that a form describes, None with the faults noted."""
    steps = _read_steps(fields, sheet)
    document: dict[str, Any] = {
        "name": known.name if known is not None else fields.text("name", longest=64, needed=True),
        "order": fields.whole("order", 0, ORDER_MAX, needed=True),
        "subjects": _read_ticks(fields, sheet, "subjects", {one.value for one in Subject}),
        "kinds": _read_ticks(fields, sheet, "kinds", {one.value for one in Kind}),
        "places": fields.codes("places"),
        "hours": read_hours(fields, sheet),
        "steps": list(steps.values()),
        "can_wait": bool(sheet.text("can_wait")),
    }
    if not fields.is_sound:
        return None
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_context=False):
            _refuse(fields, fault["loc"], list(steps))
        return None


def fill_policy_sheet(known: Policy | None) -> Sheet:
    """Return the form as it is known."""
    if known is None:
        return sheet_of(order="100")
    values: dict[str, str | Sequence[str]] = {
        "name": known.name,
        "order": str(known.order),
        "subjects": sorted(known.subjects),
        "kinds": sorted(known.kinds),
        "places": ", ".join(known.places),
        "can_wait": "1" if known.can_wait else "",
    }
    for place, hours in enumerate(known.hours, 1):
        values |= fill_hours(place, hours)
    for place, step in enumerate(known.steps, 1):
        values[f"step{place}_after"] = str(step.after_min)
        values[f"step{place}_asked"] = [name for name, target in _ASKED if target in step.to]
        values[f"step{place}_to"] = ", ".join(to for to in step.to if not to.startswith("@"))
    return sheet_of(**values)


def step_rows(sheet: Sheet) -> int:
    """Return how many steps a form has room for: those that are known or typed, and one more."""
    used = [place for place in range(1, STEPS_MAX + 1) if _is_used(sheet, place)]
    return min(STEPS_MAX, max(used, default=0) + 1)


def _is_used(sheet: Sheet, place: int) -> bool:
    return any(sheet.text(f"step{place}_{part}") for part in ("after", "asked", "to"))


def _read_steps(fields: Fields, sheet: Sheet) -> dict[int, dict[str, Any]]:
    """Return the steps by their rows; an empty row is none. Without minutes the first is at once."""
    found: dict[int, dict[str, Any]] = {}
    for place in range(1, STEPS_MAX + 1):
        if not _is_used(sheet, place):
            continue
        asked = sheet.all(f"step{place}_asked")
        to = [target for name, target in _ASKED if name in asked] + list(fields.codes(f"step{place}_to"))
        if not to and not sheet.text(f"step{place}_to"):
            fields.refuse(f"step{place}_to", NOBODY)
        after_min = fields.whole(f"step{place}_after", 0, AFTER_MAX_MIN, needed=bool(found))
        found[place] = {"after_min": after_min or 0, "to": to}
    if not found:
        fields.refuse("step1_to", NO_STEP)
    return found


def _read_ticks(fields: Fields, sheet: Sheet, name: str, offered: set[str]) -> tuple[str, ...]:
    if not set(sheet.all(name)) <= offered:
        fields.refuse(name, NOT_OFFERED)
    return sheet.all(name)


def _refuse(fields: Fields, location: Sequence[int | str], rows: Sequence[int]) -> None:
    match location:
        case ("name", *_):
            fields.refuse("name", NOT_A_NAME)
        case ("steps", int(number), *_):
            fields.refuse(f"step{rows[number]}_to", TOO_MANY)
        case () | ("steps",):
            fields.refuse(f"step{rows[-1]}_after", NOT_LATER)
        case (str(name), *_) if name in {"places", "hours"}:
            fields.refuse("places" if name == "places" else "quiet1_begins", TOO_MANY)
        case _:
            fields.refuse(FORM, N_("This is not as it must be: {name}."), name=".".join(map(str, location)))
