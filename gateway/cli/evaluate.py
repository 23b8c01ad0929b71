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
from gateway.cli.recordings import Reading, with_reading_options
from gateway.core.errors import InputError
from gateway.core.verdicts import Verdict
from gateway.importers.files import read_recording

NOT_ACCEPTED = 1
WRONG_INPUT = 2

_FILE = click.Path(dir_okay=False, path_type=Path)


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
    reading: Reading


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
@with_reading_options
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
    results: list[Evaluation | InputError] = []
    for path in files:
        try:
            results.append(_evaluate_file(path, criteria, options["reading"]))
        except InputError as error:
            if len(files) == 1:
                raise
            click.echo(f"coldchain: {error}", err=True)
            results.append(error)
    _write(_formed(results, [str(path) for path in files], options["form"]), options["output"])
    return _status(results)


def _evaluate_file(path: Path, criteria: Criteria, how: Reading) -> Evaluation:
    with show_progress(f"characters read of {path.name}") as progress:
        recording = read_recording(path, mapping=how.mapping, clock=how.clock, encoding=how.encoding, progress=progress)
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
