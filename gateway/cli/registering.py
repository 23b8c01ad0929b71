"""What `enrol` and `swap` share: a certificate in options, moments, and how a logger's place is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import ParamSpec, TypeVar
from zoneinfo import ZoneInfo

import click
from pydantic import ValidationError

from gateway.core.configuration import Calibration, Logger
from gateway.core.errors import InputError
from gateway.core.identifiers import check_code

OSLO = ZoneInfo("Europe/Oslo")
P = ParamSpec("P")
R = TypeVar("R")
MOMENT = click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])
_DAY = click.DateTime(["%Y-%m-%d"])
_FIELDS = {
    "certificate": "certificate",
    "calibrated": "calibrated_at",
    "due": "due_at",
    "offset": "offset_c",
    "uncertainty": "uncertainty_c",
}
"""Option → field of the certificate."""


def with_certificate(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options of a calibration certificate; they reach the command as `certificate`, None if none is given."""

    @wraps(command)
    def gather(*arguments: P.args, **options: P.kwargs) -> R:
        stated = {field: options.pop(name) for name, field in _FIELDS.items()}
        options["certificate"] = read_certificate(stated)
        return command(*arguments, **options)

    gathered = gather
    for option in (
        click.option("--uncertainty", type=float, metavar="°C", help="Of the certificate. [default: 0.2]"),
        click.option("--offset", type=float, metavar="°C", help="Added to what the logger says. [default: 0]"),
        click.option("--due", type=_DAY, help="The day on which the next calibration is due."),
        click.option("--calibrated", type=_DAY, help="Its day, 2026-01-15."),
        click.option("--certificate", metavar="NUMBER", help="The calibration certificate."),
    ):
        gathered = option(gathered)
    return gathered


def read_certificate(stated: Mapping[str, object]) -> Calibration | None:
    """Return the certificate that the options state, None if they state none; raises InputError naming the option."""
    given = {
        field: value.replace(hour=12, tzinfo=UTC) if isinstance(value, datetime) else value  # certificates bear days
        for field, value in stated.items()
        if value is not None
    }
    if not given:
        return None
    for name in ("certificate", "calibrated", "due"):
        if _FIELDS[name] not in given:
            raise InputError(f"--{name}", "is missing: a certificate has a number, its day, and the day it is due")
    try:
        return Calibration.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        named = [name for name, field in _FIELDS.items() if first["loc"] and field == first["loc"][0]]
        raise InputError(f"--{named[0] if named else 'due'}", first["msg"].removeprefix("Value error, ")) from error


def read_moment(moment: datetime | None) -> datetime | None:
    """Return a moment with its offset; without one it is Norwegian time."""
    return None if moment is None else (moment if moment.tzinfo is not None else moment.replace(tzinfo=OSLO))


def place_of(logger: Logger | None) -> str:
    """Say where a logger is, and under which certificate."""
    if logger is None:
        return "not enrolled"
    where = "in no box" if logger.box is None else f"in {logger.box}"
    since = "" if logger.since is None else f" since {say_moment(logger.since)}"
    if logger.calibration is None:
        return f"{where}{since}, no certificate"
    known = logger.calibration
    return f"{where}{since}, certificate {known.certificate} ({known.offset_c:+g} °C) until {known.due_at:%Y-%m-%d}"


def say_moment(moment: datetime) -> str:
    """Return a moment for people, in Norwegian time."""
    return moment.astimezone(OSLO).strftime("%Y-%m-%d %H:%M")


def echo_change(address: str, before: Logger | None, after: Logger, *, dry_run: bool) -> None:
    """Say what becomes of a logger."""
    click.echo(f"{address}: {place_of(before)}")
    click.echo(f"{'would be' if dry_run else 'now'}: {place_of(after)}")


def read_address(field: str, text: str) -> str:
    """Return a logger's address as loggers are enrolled by; raises InputError."""
    return check_code(field, text.upper() if ":" in text else text)
