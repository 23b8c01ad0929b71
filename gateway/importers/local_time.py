"""From local time to UTC, refusing what is ambiguous.

In the hour after summer time ends every local time occurs twice; in the hour in which it begins none occurs. Which one
is meant cannot be known from the time alone, and guessing moves readings by an hour. The machine's own zone is never
used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.core.errors import InputError

_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_OFFSET_MAX_H = 14
"""No place on Earth is further from UTC."""


class Ambiguous(StrEnum):
    """What to do with a local time that occurs twice. IN_ORDER: the rows are in order, so the second pass is later."""

    REFUSE = "refuse"
    EARLIER = "earlier"
    LATER = "later"
    IN_ORDER = "in-order"


class Nonexistent(StrEnum):
    """What to do with a local time that does not occur. SHIFT: the clock had not been put forward yet."""

    REFUSE = "refuse"
    SHIFT = "shift"


@dataclass(frozen=True, slots=True)
class LocalClock:
    """A zone, and how to resolve what it leaves open."""

    zone: tzinfo
    name: str
    ambiguous: Ambiguous = Ambiguous.REFUSE
    nonexistent: Nonexistent = Nonexistent.REFUSE

    def to_ms(self, local: datetime, after_ms: int | None = None) -> int:
        """Return UTC milliseconds of a time without offset; `after_ms` is the row before it.

        Raises ValueError with both readings of a time that is ambiguous or does not exist.
        """
        first = local.replace(tzinfo=self.zone, fold=0)
        if isinstance(self.zone, timezone):
            return moment_ms(first)
        second = local.replace(tzinfo=self.zone, fold=1)
        early, late = first.utcoffset(), second.utcoffset()
        if early == late or early is None or late is None:
            return moment_ms(first)
        if early > late:
            return self._pick(first, second, after_ms)
        if self.nonexistent is Nonexistent.REFUSE:
            raise ValueError(
                f"{_plain(local)} does not exist in {self.name}: the clock was put forward."
                f" Before the change it would be {_both(first)}, after it {_both(second)};"
                " --nonexistent shift takes the former"
            )
        return moment_ms(first)

    def _pick(self, first: datetime, second: datetime, after_ms: int | None) -> int:
        match self.ambiguous:
            case Ambiguous.EARLIER:
                return moment_ms(first)
            case Ambiguous.LATER:
                return moment_ms(second)
            case Ambiguous.IN_ORDER:
                return moment_ms(first if after_ms is None or moment_ms(first) > after_ms else second)
            case Ambiguous.REFUSE:
                raise ValueError(
                    f"{_plain(first)} occurs twice in {self.name}: {_both(first)} and {_both(second)};"
                    " choose with --ambiguous earlier, later or in-order"
                )


def moment_ms(moment: datetime) -> int:
    """Return UTC milliseconds of a time with an offset, exactly."""
    return (moment - _EPOCH) // _MILLISECOND


def local_text(at_ms: int, zone: tzinfo) -> str:
    """Write a moment in a zone, ISO 8601 with its offset, to the second."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone).isoformat(timespec="seconds")


def parse_zone(text: str) -> tuple[tzinfo, str]:
    """Return a zone by its name ("Europe/Oslo", "UTC") or offset ("+01:00"), and how to write it.

    Raises InputError for anything else.
    """
    match = _OFFSET.fullmatch(text)
    if match is not None:
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        if offset > timedelta(hours=_OFFSET_MAX_H) or int(match[3]) > 59:  # noqa: PLR2004  minutes of an hour
            raise InputError("--timezone", f"{text!r} is further from UTC than any place")
        return timezone(-offset if match[1] == "-" else offset), text
    if text in {"UTC", "Z"}:
        return UTC, "UTC"
    try:
        return ZoneInfo(text), text
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            "--timezone", f"{text!r} is no time zone; write a place such as Europe/Oslo, or an offset such as +01:00"
        ) from error


def time_parser(form: str | None) -> Callable[[str], datetime]:
    """Return a function that reads a time: ISO 8601, or by a strptime pattern. It raises ValueError."""
    if form is None:
        return datetime.fromisoformat

    def parse(text: str) -> datetime:
        return datetime.strptime(text, form)  # noqa: DTZ007  a zone is attached, or refused, by who calls

    return parse


def _plain(local: datetime) -> str:
    return local.replace(tzinfo=None).isoformat(sep=" ", timespec="minutes")


def _both(moment: datetime) -> str:
    return f"{moment:%H:%M}{moment.isoformat()[-6:]} ({moment.astimezone(UTC):%H:%M} UTC)"
