"""``coldchain evaluate``: judge recordings that loggers wrote, and compare with what the device itself said."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

import click

from gateway import profiles
from gateway.cli.evaluation import Criteria, Evaluation, evaluate, parse_limits
from gateway.cli.evaluation_forms import CSV_FIELDS, to_document, to_lines, to_rows
from gateway.cli.progress import show_progress
from gateway.core.errors import InputError
from gateway.core.quantities import parse_duration
from gateway.core.verdicts import Verdict
from gateway.importers.delimited import Mapping, Unit
from gateway.importers.files import read_recording
from gateway.importers.local_time import Ambiguous, LocalClock, Nonexistent, parse_zone

NOT_ACCEPTED = 1
WRONG_INPUT = 2

_FILE = click.Path(dir_okay=False, path_type=Path)
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}


class Options(TypedDict):
    """The options as click hands them over."""

    profile: str | None
    limits: str | None
    calibrated: bool
    uncertainty: float | None
    energy: float | None
    compare: bool
    form: str | None
    output: Path | None
    time_columns: tuple[str, ...]
    temperature_column: str | None
    unit: str
    timezone: str | None
    ambiguous: str
    nonexistent: str
    time_form: str | None
    interval: str | None
    delimiter: str | None
    skip_lines: int
    encoding: str


@click.command(no_args_is_help=True)
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
@click.option("--profile", metavar="NAME", help="An id of the library (`coldchain profiles list`), or a TOML file.")
@click.option(
    "--limits",
    metavar="low=2,high=8,single=30,cumulative=60",
    help="Instead of a profile: °C, and the minutes allowed beyond them at a time and in all.",
)
@click.option("--calibrated", is_flag=True, help="State that the logger's calibration certificate was checked.")
@click.option("--uncertainty", type=click.FloatRange(0, 5), metavar="°C", help="Of the logger.  [the profile's, 0.5]")
@click.option(
    "--energy",
    type=click.FloatRange(0, 1000, min_open=True),
    metavar="KJ/MOL",
    help="ΔH of the mean kinetic temperature.  [the profile's, 83.144]",
)
@click.option("--compare-device", "compare", is_flag=True, help="Show the device's own alarms beside ours.")
@click.option("--json", "form", flag_value="json", help="JSON: an object, for several files a list.")
@click.option("--csv", "form", flag_value="csv", help="CSV: a row for each excursion, at least one for each file.")
@click.option("--output", type=_FILE, help="Write into this file instead of printing.")
@click.option(
    "--time-column",
    "time_columns",
    multiple=True,
    metavar="NAME",
    help="CSV: title or number. Twice if date and time are apart.",
)
@click.option("--temperature-column", metavar="NAME", help="CSV: title or number.")
@click.option(
    "--unit", type=click.Choice([unit.value for unit in Unit]), default="c", show_default=True, help="CSV: °C, °F or K."
)
@click.option(
    "--timezone",
    metavar="ZONE",
    help="Of times without an offset: Europe/Oslo, +01:00, UTC. Replaces what a device states.",
)
@click.option(
    "--ambiguous",
    type=click.Choice([choice.value for choice in Ambiguous]),
    default="refuse",
    show_default=True,
    help="A local time that occurs twice, as summer time ends.",
)
@click.option(
    "--nonexistent",
    type=click.Choice([choice.value for choice in Nonexistent]),
    default="refuse",
    show_default=True,
    help="A local time that is skipped, as summer time begins.",
)
@click.option("--format", "time_form", metavar="PATTERN", help="CSV: of times, '%d.%m.%Y %H:%M' for one.  [ISO 8601]")
@click.option("--interval", metavar="DURATION", help="CSV: logging interval, '5 min' for one.  [most common step]")
@click.option("--delimiter", type=click.Choice(list(_DELIMITERS)), help="CSV.  [what the header has most of]")
@click.option("--skip-lines", type=click.IntRange(0, 1000), default=0, help="CSV: lines before the header.")
@click.option("--encoding", default="utf-8", show_default=True, help="Of the files.")
def command(files: tuple[Path, ...], **options: Unpack[Options]) -> int:
    """Judge recordings: excursions, figures, gaps, and the verdict with its reasons.

    Reads text files of Berlinger's Q-tag and Fridge-tag by themselves, and CSV by a stated mapping. A
    logger that nobody says was calibrated, or a profile that nobody approved, is Review at best.
    With --compare-device and neither --profile nor --limits the device's own alarms judge.

    Exit status: 0 all accepted, 1 one was not, 2 wrong input.

    \b
    Examples:
      coldchain evaluate trip.txt --profile vaccines
      coldchain evaluate *.txt --limits low=2,high=8,single=30,cumulative=60 --json
      coldchain evaluate trip.txt --compare-device
      coldchain evaluate log.csv --time-column Time --temperature-column Temp \\
          --timezone Europe/Oslo --profile carfilzomib --calibrated
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    criteria = _criteria(options)
    clock = _clock(options)
    mapping = _mapping(options, clock)
    results: list[Evaluation | InputError] = []
    for path in files:
        try:
            results.append(_evaluate_file(path, criteria, mapping, clock, options["encoding"]))
        except InputError as error:
            if len(files) == 1:
                raise
            click.echo(f"coldchain: {error}", err=True)
            results.append(error)
    _write(_formed(results, [str(path) for path in files], options["form"]), options["output"])
    return _status(results)


def _evaluate_file(
    path: Path, criteria: Criteria, mapping: Mapping | None, clock: LocalClock | None, encoding: str
) -> Evaluation:
    with show_progress(f"characters read of {path.name}") as progress:
        recording = read_recording(path, mapping=mapping, clock=clock, encoding=encoding, progress=progress)
    with show_progress(f"readings judged of {path.name}") as progress:
        return evaluate(str(path), recording, criteria, progress)


def _criteria(options: Options) -> Criteria:
    name, limits = options["profile"], options["limits"]
    if name is not None and limits is not None:
        raise InputError("--limits", "stands in place of a profile: give one of --profile and --limits")
    if name is None and limits is None and not options["compare"]:
        raise InputError("--profile", "say what to judge by: --profile NAME, --limits, or --compare-device")
    profile = None
    if name is not None:
        profile = profiles.find(name)
    elif limits is not None:
        profile = parse_limits(limits)
    return Criteria(
        profile=profile,
        approved=limits is not None,
        uncertainty_c=options["uncertainty"],
        calibrated=options["calibrated"],
        energy_kj_mol=options["energy"],
        compare=options["compare"],
    )


def _clock(options: Options) -> LocalClock | None:
    if options["timezone"] is None:
        return None
    zone, name = parse_zone(options["timezone"])
    return LocalClock(zone, name, Ambiguous(options["ambiguous"]), Nonexistent(options["nonexistent"]))


def _mapping(options: Options, clock: LocalClock | None) -> Mapping | None:
    if not options["time_columns"] and options["temperature_column"] is None:
        return None
    if not options["time_columns"]:
        raise InputError("--time-column", "is needed with --temperature-column")
    if options["temperature_column"] is None:
        raise InputError("--temperature-column", "is needed with --time-column")
    return Mapping(
        time_columns=options["time_columns"],
        temperature_column=options["temperature_column"],
        unit=Unit(options["unit"]),
        clock=clock,
        time_form=options["time_form"],
        delimiter=None if options["delimiter"] is None else _DELIMITERS[options["delimiter"]],
        interval_s=_interval_s(options["interval"]),
        skip_lines=options["skip_lines"],
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


def _formed(results: Sequence[Evaluation | InputError], names: Sequence[str], form: str | None) -> str:
    match form:
        case "json":
            documents: list[dict[str, Any]] = [
                {"file": name, "error": str(result)} if isinstance(result, InputError) else to_document(result)
                for name, result in zip(names, results, strict=True)
            ]
            return json.dumps(documents[0] if len(documents) == 1 else documents, indent=2, ensure_ascii=False) + "\n"
        case "csv":
            return _csv(results, names)
        case _:
            shown = ("\n".join(to_lines(result)) + "\n" for result in results if isinstance(result, Evaluation))
            return "\n".join(shown)


def _csv(results: Sequence[Evaluation | InputError], names: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_FIELDS, lineterminator="\n")
    writer.writeheader()
    for name, result in zip(names, results, strict=True):
        if isinstance(result, InputError):
            writer.writerow({"file": name, "verdict": "error", "reasons": str(result)})
        else:
            writer.writerows(to_rows(result))
    return text.getvalue()


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError("--output", error.strerror or str(error), where=str(output)) from error


def _status(results: Sequence[Evaluation | InputError]) -> int:
    if any(isinstance(result, InputError) for result in results):
        return WRONG_INPUT
    accepted = all(isinstance(result, Evaluation) and result.judgement.verdict is Verdict.ACCEPT for result in results)
    return 0 if accepted else NOT_ACCEPTED
