"""What `evaluate` and `import` share: how a file that a logger wrote is to be read, from options."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click

from gateway.core.errors import InputError
from gateway.core.quantities import parse_duration
from gateway.importers.delimited import Mapping, Unit
from gateway.importers.local_time import Ambiguous, LocalClock, Nonexistent, parse_zone

P = ParamSpec("P")
R = TypeVar("R")
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read: `mapping` says what the columns of a CSV are, `clock` what times without offset mean."""

    mapping: Mapping | None
    clock: LocalClock | None
    encoding: str


def with_reading_options(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options that say how files are read; they reach the command as `reading`."""

    @wraps(command)
    def gather(*arguments: P.args, **options: P.kwargs) -> R:
        stated = {name: options.pop(name) for name in _NAMES}
        options["reading"] = _read(stated)
        return command(*arguments, **options)

    gathered = gather
    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


_OPTIONS = (
    click.option(
        "--time-column",
        "time_columns",
        multiple=True,
        metavar="NAME",
        help="CSV: title or number. Twice if date and time are apart.",
    ),
    click.option("--temperature-column", metavar="NAME", help="CSV: title or number."),
    click.option(
        "--unit",
        type=click.Choice([unit.value for unit in Unit]),
        default="c",
        show_default=True,
        help="CSV: °C, °F or K.",
    ),
    click.option(
        "--timezone",
        metavar="ZONE",
        help="Of times without an offset: Europe/Oslo, +01:00, UTC. Replaces what a device states.",
    ),
    click.option(
        "--ambiguous",
        type=click.Choice([choice.value for choice in Ambiguous]),
        default="refuse",
        show_default=True,
        help="A local time that occurs twice, as summer time ends.",
    ),
    click.option(
        "--nonexistent",
        type=click.Choice([choice.value for choice in Nonexistent]),
        default="refuse",
        show_default=True,
        help="A local time that is skipped, as summer time begins.",
    ),
    click.option(
        "--format", "time_form", metavar="PATTERN", help="CSV: of times, '%d.%m.%Y %H:%M' for one.  [ISO 8601]"
    ),
    click.option("--interval", metavar="DURATION", help="CSV: logging interval, '5 min' for one.  [most common step]"),
    click.option("--delimiter", type=click.Choice(list(_DELIMITERS)), help="CSV.  [what the header has most of]"),
    click.option("--skip-lines", type=click.IntRange(0, 1000), default=0, help="CSV: lines before the header."),
    click.option("--encoding", default="utf-8", show_default=True, help="Of the files."),
)
_NAMES = (
    "time_columns",
    "temperature_column",
    "unit",
    "timezone",
    "ambiguous",
    "nonexistent",
    "time_form",
    "interval",
    "delimiter",
    "skip_lines",
    "encoding",
)


def _read(stated: dict[str, Any]) -> Reading:
    clock = None
    if stated["timezone"] is not None:
        zone, name = parse_zone(stated["timezone"])
        clock = LocalClock(zone, name, Ambiguous(stated["ambiguous"]), Nonexistent(stated["nonexistent"]))
    return Reading(_map(stated, clock), clock, _check_encoding(stated["encoding"]))


def _map(stated: dict[str, Any], clock: LocalClock | None) -> Mapping | None:
    if not stated["time_columns"] and stated["temperature_column"] is None:
        return None
    if not stated["time_columns"]:
        raise InputError("--time-column", "is needed with --temperature-column")
    if stated["temperature_column"] is None:
        raise InputError("--temperature-column", "is needed with --time-column")
    return Mapping(
        time_columns=stated["time_columns"],
        temperature_column=stated["temperature_column"],
        unit=Unit(stated["unit"]),
        clock=clock,
        time_form=stated["time_form"],
        delimiter=None if stated["delimiter"] is None else _DELIMITERS[stated["delimiter"]],
        interval_s=_interval_s(stated["interval"]),
        skip_lines=stated["skip_lines"],
    )


def _interval_s(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        interval_s, rest = divmod(parse_duration(text), 1000)
    except ValueError as error:
        raise InputError("--interval", str(error)) from error
    if rest or not interval_s:
        raise InputError("--interval", f"{text!r} is no whole number of seconds above 0")
    return interval_s


def _check_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError as error:
        raise InputError("--encoding", f"{name!r} is no encoding of text") from error
    return name
