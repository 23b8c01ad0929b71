"""Forms as typed: what stands in each field, what is wrong with it, and the values that could be read.

A page reads a form with `Fields`, which notes one fault for each field and goes on, so that whoever typed sees all of
them at once, each at its field, with everything kept as it was typed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from gateway.core.errors import InputError
from gateway.core.identifiers import check_code, refuse_identity_number
from gateway.hub.web.moments import read_local
from gateway.language import Speech
from gateway.language.faults import say_fault
from gateway.language.mistakes import IDENTITY, MISSING, NO_SUCH_MOMENT, NOT_A_CODE, TOO_LONG
from gateway.language.speech import N_

T = TypeVar("T")

TEXT_MAX = 1000
"""Characters of one field that is not a file: no text of the registry is longer."""
NOON = 12
_VERBATIM = frozenset({"password", "again"})
"""Fields in which blanks at the ends count."""
FORM = "form"
"""Where a fault stands that belongs to no field."""

NOT_A_NUMBER = N_("This is not a number.")
NOT_BETWEEN = N_("It must be from {low} to {high}.")
NOT_A_DAY = N_("There is no such day.")
NOT_OFFERED = N_("Choose one of those offered.")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A form: values by the names of fields, each with as many as were sent; faults in words, by field; files."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return the value of a field, "" if nothing was sent."""
        return next(iter(self.values.get(name, ())), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a field that can be sent several times."""
        return self.values.get(name, ())

    def fault(self, name: str) -> str:
        """Return what is wrong with a field, "" if nothing is."""
        return self.faults.get(name, "")


def sheet_of(**values: str | Sequence[str] | None) -> Sheet:
    """Return a form that is filled in already; None is empty."""
    return Sheet(
        {
            name: () if value is None else (value,) if isinstance(value, str) else tuple(value)
            for name, value in values.items()
        }
    )


async def read_sheet(request: Request) -> Sheet:
    """Return what a form has sent. Its size is bounded before, its fields to a thousand by the parser."""
    values: dict[str, list[str]] = {}
    files: dict[str, bytes] = {}
    for name, value in (await request.form()).multi_items():
        if isinstance(value, str):
            values.setdefault(name, []).append(value if name in _VERBATIM else value.strip())
        else:
            if value.filename:
                files[name] = await value.read()
            await value.close()
    return Sheet({name: tuple(found) for name, found in values.items()}, {}, files)


Filled = Annotated[Sheet, Depends(read_sheet)]


class Fields:
    """Reads the fields of a form, and notes what is wrong; what could not be read is None or ""."""

    def __init__(self, sheet: Sheet, speech: Speech) -> None:
        self._sheet = sheet
        self._speech = speech
        self._faults: dict[str, str] = {}

    @property
    def is_sound(self) -> bool:
        """Whether nothing was wrong so far."""
        return not self._faults

    @property
    def sheet(self) -> Sheet:
        """The form with its faults."""
        return Sheet(self._sheet.values, dict(self._faults), self._sheet.files)

    def refuse(self, name: str, reason: str, /, **parameters: object) -> None:
        """Note a fault, in words of the catalogue; the first one of a field stays."""
        self._faults.setdefault(name, self._speech.gettext(reason).format(**parameters))

    def refuse_as(self, error: InputError, names: Mapping[str, str], reason: str = "") -> None:
        """Note what a room has refused at the field that it means; `names` leads from its field to the form's."""
        name = names.get(error.field.partition("[")[0].partition(".")[0], FORM)
        said = self._speech.gettext(reason) if reason else say_fault(error.reason, self._speech)
        self._faults.setdefault(name, said or error.reason)

    def text(self, name: str, *, longest: int = TEXT_MAX, needed: bool = False) -> str:
        """Return a text without an identity number in it."""
        given = self._sheet.text(name)
        if not given:
            if needed:
                self.refuse(name, MISSING)
            return ""
        if len(given) > longest:
            self.refuse(name, TOO_LONG, n=longest)
            return ""
        try:
            return refuse_identity_number(name, given)
        except InputError:
            self.refuse(name, IDENTITY)
            return ""

    def code(self, name: str, *, needed: bool = False) -> str:
        """Return a code."""
        given = self.text(name, longest=TEXT_MAX, needed=needed)
        return self._code(name, given) if given else ""

    def codes(self, name: str) -> tuple[str, ...]:
        """Return codes, typed with blanks or commas between them."""
        return tuple(
            code for part in self.text(name).replace(",", " ").split() if (code := self._code(name, part)) != ""
        )

    def number(self, name: str, low: float, high: float, *, needed: bool = False) -> float | None:
        """Return a number, written with a point or a comma."""
        given = self.text(name, needed=needed)
        if not given:
            return None
        try:
            value = float(given.replace(",", ".").replace("−", "-").replace(" ", ""))
        except ValueError:
            self.refuse(name, NOT_A_NUMBER)
            return None
        if not low <= value <= high:
            self.refuse(name, NOT_BETWEEN, low=self._speech.number(low), high=self._speech.number(high))
            return None
        return value

    def whole(self, name: str, low: int, high: int, *, needed: bool = False) -> int | None:
        """Return a whole number."""
        value = self.number(name, low, high, needed=needed)
        if value is not None and value != int(value):
            self.refuse(name, NOT_A_NUMBER)
            return None
        return None if value is None else int(value)

    def moment(self, name: str, *, needed: bool = False) -> datetime | None:
        """Return a moment, typed in Norwegian time."""
        return self._read(name, read_local, NO_SUCH_MOMENT, needed=needed)

    def day(self, name: str, *, needed: bool = False) -> datetime | None:
        """Return a day as its noon, UTC: certificates bear days."""
        return self._read(name, _noon_of, NOT_A_DAY, needed=needed)

    def choice(self, name: str, offered: Callable[[str], T], *, needed: bool = False) -> T | None:
        """Return what was chosen, made by `offered`, which raises ValueError or KeyError for anything else."""
        return self._read(name, offered, NOT_OFFERED, needed=needed)

    def _read(self, name: str, read: Callable[[str], T], reason: str, *, needed: bool) -> T | None:
        given = self.text(name, needed=needed)
        try:
            return read(given) if given else None
        except (ValueError, KeyError):
            self.refuse(name, reason)
            return None

    def _code(self, name: str, text: str) -> str:
        try:
            return check_code(name, text)
        except InputError:
            self.refuse(name, NOT_A_CODE)
            return ""


def write_day(moment: datetime | None) -> str:
    """Return a day as a `date` field takes it."""
    return "" if moment is None else moment.date().isoformat()


def _noon_of(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC).replace(hour=NOON)
