"""A language and a time zone together. Times carry their offset: on some autumn nights 02:30 comes twice.

English is written in the code; Norwegian (bokmål) stands in `nb.po`, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo
from enum import StrEnum
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO
from zoneinfo import ZoneInfo

from babel.dates import get_month_names
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

OSLO = ZoneInfo("Europe/Oslo")
MINUTES_IN_HOUR = 60
MINUS = "−"
NO_BREAK = "\u00a0"
"""Stands between a number and its unit: a line never ends there."""


class Language(StrEnum):
    """What pages, reports and messages are written in; the codes of BCP 47."""

    NB = "nb"
    EN = "en"


class Speech:
    """Words, numbers and moments for one reader. Immutable; made by `speech_of`."""

    def __init__(self, language: Language, zone: tzinfo = OSLO) -> None:
        self.language = language
        self.zone = zone
        self._translations = _load(language)
        self._months = get_month_names("abbreviated", locale=language.value)
        self._is_english = language is Language.EN

    # --- words

    def gettext(self, text: str) -> str:
        """Return a text of the code in this language."""
        return self._translations.gettext(text) if text else ""

    def ngettext(self, one: str, many: str, number: int) -> str:
        """Return the form that fits a number."""
        return self._translations.ngettext(one, many, number)

    def quoted(self, text: str) -> str:
        """Return “text”, or «text»."""
        return f"“{text}”" if self._is_english else f"«{text}»"

    def listed(self, texts: Iterable[str]) -> str:
        """Return "a, b and c"."""
        *first, last = texts
        joint = " and " if self._is_english else " og "
        return f"{', '.join(first)}{joint}{last}" if first else last

    # --- numbers

    def number(self, value: float, digits: int | None = None) -> str:
        """Return a number with so many decimals, or no more than it has: "9.6", "−0,5"."""
        text = f"{value:g}" if digits is None else f"{value:.{digits}f}"
        if text.lstrip("-0.") == "":
            text = text.removeprefix("-")  # no −0.0
        text = text.replace("-", MINUS)
        return text if self._is_english else text.replace(".", ",")

    def quantity(self, value: float, unit: str, digits: int | None = None) -> str:
        """Return a number with its unit, which stay on one line: "25 g"."""
        return f"{self.number(value, digits)}{NO_BREAK}{unit}"

    def celsius(self, value: float | None) -> str:
        """Return "9.6 °C"."""
        return "–" if value is None else self.quantity(value, "°C", 1)

    def threshold(self, value: float) -> str:
        """Return a limit with no more digits than it has: "8 °C", "−0.5 °C"."""
        return self.quantity(value, "°C")

    def percent(self, fraction: float) -> str:
        """Return "98 %", never "100 %" for less than all and never "0 %" for more than nothing."""
        value = fraction * 100
        if 99 < value < 100:  # noqa: PLR2004  what the docstring says
            return self.quantity(min(value, 99.9), "%", 1)
        if 0 < value < 1:
            return self.quantity(max(value, 0.1), "%", 1)
        return self.quantity(value, "%", 0)

    def duration(self, minutes: float) -> str:
        """Return "35 min", "4 h 20 min" or "3 d 2 h" ("4 t 20 min", "3 d 2 t"); under a minute "20 s"."""
        hour = "h" if self._is_english else "t"
        if 0 < minutes < 1:
            return self.quantity(round(minutes * 60), "s")
        hours, rest = divmod(round(minutes), MINUTES_IN_HOUR)
        if not hours:
            return self.quantity(rest, "min")
        days, hours_rest = divmod(hours, 24)
        # "26 h" is clearer than "1 d 2 h"
        parts = ((days, "d"), (hours_rest, hour)) if days >= 2 else ((hours, hour), (rest, "min"))  # noqa: PLR2004
        return " ".join(f"{number}{NO_BREAK}{unit}" for number, unit in parts if number)

    # --- moments, in UTC milliseconds

    def moment(self, at_ms: int) -> str:
        """Return "24 Oct 2026 10:05 +02:00"."""
        return f"{self.day(at_ms)} {self.clock_time(at_ms)} {self.offset(at_ms)}"

    def clock_time(self, at_ms: int) -> str:
        """Return "10:05"."""
        return self._local(at_ms).strftime("%H:%M")

    def day(self, at_ms: int) -> str:
        """Return "24 Oct 2026", "24. okt. 2026"."""
        local = self._local(at_ms)
        return f"{local.day}{'' if self._is_english else '.'} {self._months[local.month]} {local.year}"

    def offset(self, at_ms: int) -> str:
        """Return "+02:00"."""
        text = self._local(at_ms).strftime("%z")
        return f"{text[:3]}:{text[3:5]}"

    def _local(self, at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms / 1000, self.zone)


def plain(text: str) -> str:
    """Return a text with ordinary spaces, as data and messages carry it."""
    return text.replace(NO_BREAK, " ")


@cache
def speech_of(language: Language, zone: tzinfo = OSLO) -> Speech:
    """Return the speech of a language, with moments of a zone."""
    return Speech(language, zone)


@cache
def _load(language: Language) -> NullTranslations:
    """Read a catalogue: text in the repository, the form of gettext in memory."""
    if language is Language.EN:
        return NullTranslations()
    with files("gateway.language").joinpath(f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language.value)
    packed = BytesIO()
    write_mo(packed, catalogue)
    packed.seek(0)
    return GNUTranslations(packed)


ENGLISH = speech_of(Language.EN)
NORWEGIAN = speech_of(Language.NB)


def N_(text: str) -> str:  # noqa: N802  gettext's own name for it
    """Mark a text for translation where it is written; it is translated where it is said."""
    return text
