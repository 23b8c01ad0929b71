"""The form of a recipient: read, and filled in. Addresses and secrets go in and never come out again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gateway.core.errors import InputError
from gateway.hub.notification.channels import shown
from gateway.hub.notification.hours import Hours
from gateway.hub.notification.recipients import CHANNELS_MAX, URL_MAX, Recipient
from gateway.hub.web.setup.sheets import FORM, Fields, Sheet, sheet_of
from gateway.language import Language
from gateway.language.mistakes import TOO_LONG
from gateway.language.speech import N_

QUIET_MAX = 14
BLANK_ROWS = 1
"""Rows for channels and quiet hours beyond those that are known; more come after saving."""
NOT_AN_ID = N_("A channel’s name has small letters, digits and -.")
NO_ID = N_("A channel with an address needs a name.")
NOT_HOURS = N_("State from when until when.")
NOT_A_ZONE = N_("There is no time zone of this name.")
TWICE = N_("Two channels have the same name.")
SHORT = N_("A secret has at least 24 characters.")
TOO_MANY = N_("There are too many of them.")
_MESSAGES = {"zone": NOT_A_ZONE, "duties": TOO_MANY, "places": TOO_MANY}


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A row of the form; `shown` is what may be read of the address that is known."""

    place: int
    shown: str
    signed: bool


def read_recipient_sheet(fields: Fields, sheet: Sheet, known: Recipient | None) -> Recipient | None:
    """Return the recipient that a form describes, None with the faults noted. Nothing of a secret is in a fault."""
    name = known.name if known is not None else fields.code("name", needed=True)
    document: dict[str, Any] = {
        "name": name,
        "duties": fields.codes("duties"),
        "places": fields.codes("places"),
        "language": fields.choice("language", Language, needed=True),
        "zone": fields.text("zone", longest=64, needed=True),
        "messages": fields.whole("messages", 1, 100, needed=True),
        "window_min": fields.whole("window_min", 1, 120, needed=True),
        "enabled": bool(sheet.text("enabled")),
    }
    channels = _read_channels(fields, sheet)
    quiet = read_hours(fields, sheet)
    if not fields.is_sound:
        return None
    document |= {"channels": list(channels.values()), "quiet": quiet}
    try:
        return Recipient.model_validate(document)
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_context=False):
            _refuse(fields, fault["loc"], tuple(channels))
        return None


def refuse_channel(fields: Fields, error: InputError, sheet: Sheet) -> None:
    """Note what the directory has refused, at the channel that it names."""
    head, _, rest = error.field.partition("].")
    rows = [place for place in range(1, CHANNELS_MAX + 1) if sheet.text(f"channel{place}_id")]
    if head.startswith("channels[") and rest in {"url", "secret"}:
        place = rows[int(head.removeprefix("channels["))]
        fields.refuse_as(InputError(rest, error.reason), {rest: f"channel{place}_{rest}"})
    else:
        fields.refuse_as(error, {"name": "name"})


def fill_recipient_sheet(known: Recipient | None) -> Sheet:
    """Return the form as it is known, without addresses and secrets."""
    one = known or Recipient(name="NEW")
    values: dict[str, str | Sequence[str]] = {
        "name": "" if known is None else known.name,
        "duties": ", ".join(one.duties),
        "places": ", ".join(one.places),
        "language": one.language.value,
        "zone": one.zone,
        "messages": str(one.messages),
        "window_min": str(one.window_min),
        "enabled": "1" if one.enabled else "",
    }
    for place, channel in enumerate(one.channels, 1):
        values[f"channel{place}_id"] = channel.id
    for place, hours in enumerate(one.quiet, 1):
        values |= fill_hours(place, hours)
    return sheet_of(**values)


def without_secrets(sheet: Sheet) -> Sheet:
    """Return a form as it may be shown again."""
    kept = {name: value for name, value in sheet.values.items() if not name.endswith(("_url", "_secret"))}
    return Sheet(kept, sheet.faults)


def channel_rows(sheet: Sheet, known: Recipient | None) -> list[ChannelRow]:
    """Return the rows for channels: those that are known or typed, and an empty one."""
    channels = () if known is None else known.channels
    rows = [ChannelRow(place, shown(one), one.secret is not None) for place, one in enumerate(channels, 1)]
    names = {place: [f"channel{place}_{part}" for part in _PARTS] for place in range(1, CHANNELS_MAX + 1)}
    used = [place for place, each in names.items() if any(sheet.text(name) or sheet.fault(name) for name in each)]
    last = min(CHANNELS_MAX, max([len(rows), *used]) + BLANK_ROWS)
    return rows + [ChannelRow(place, "", False) for place in range(len(rows) + 1, last + 1)]


def quiet_rows(sheet: Sheet) -> int:
    """Return how many rows for quiet hours a form has."""
    used = [place for place in range(1, QUIET_MAX + 1) if any(sheet.text(f"quiet{place}_{end}") for end in _ENDS)]
    return min(QUIET_MAX, max(used, default=0) + BLANK_ROWS)


_ENDS = ("begins", "ends")
_PARTS = ("id", "url", "secret")


def fill_hours(place: int, hours: Hours) -> Mapping[str, str | Sequence[str]]:
    """Return the fields of one row of times of day."""
    return {
        f"quiet{place}_begins": f"{hours.begins:%H:%M}",
        f"quiet{place}_ends": f"{hours.ends:%H:%M}",
        f"quiet{place}_days": sorted(hours.days),
    }


def _read_channels(fields: Fields, sheet: Sheet) -> dict[int, dict[str, str]]:
    """Return the channels by their rows; a row without a name is none, and an address in it is a fault."""
    found: dict[int, dict[str, str]] = {}
    for place in range(1, CHANNELS_MAX + 1):
        given = {part: sheet.text(f"channel{place}_{part}") for part in _PARTS}
        if given["id"]:
            found[place] = {part: value for part, value in given.items() if value}
        elif given["url"] or given["secret"]:
            fields.refuse(f"channel{place}_id", NO_ID)
    return found


def read_hours(fields: Fields, sheet: Sheet) -> list[dict[str, Any]]:
    """Return the times of day that a form states; an empty row is none."""
    found: list[dict[str, Any]] = []
    for place in range(1, QUIET_MAX + 1):
        begins, ends = (sheet.text(f"quiet{place}_{end}") for end in _ENDS)
        if not begins and not ends:
            continue
        hours = {"begins": begins, "ends": ends, "days": sheet.all(f"quiet{place}_days")}
        try:
            Hours.model_validate(hours)
        except ValidationError:
            fields.refuse(f"quiet{place}_begins", NOT_HOURS)
        found.append(hours)
    return found


def _refuse(fields: Fields, location: Sequence[int | str], places: Sequence[int]) -> None:
    match location:
        case ("channels", int(number), *rest):
            part = rest[0] if rest else "secret"
            reason = {"id": NOT_AN_ID, "url": TOO_LONG}.get(str(part), SHORT)
            fields.refuse(f"channel{places[number]}_{part}", reason, n=URL_MAX)
        case ("channels",) | ():
            fields.refuse("channel1_id", TWICE)
        case (str(name), *_) if name in _MESSAGES:
            fields.refuse(name, _MESSAGES[name])
        case _:
            fields.refuse(FORM, N_("This is not as it must be: {name}."), name=".".join(map(str, location)))
