"""``coldchain register``: many boxes, loggers and gateways from one file."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import click
from pydantic import ValidationError

from gateway.cli.registrar import Place, with_place
from gateway.core.batches import Outcome, SetUp, SetUpDone
from gateway.core.errors import InputError

_PATH = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(no_args_is_help=True)
@click.argument("file", type=_PATH)
@click.option("--dry-run", is_flag=True, help="Only check, and say what would change.")
@with_place
def command(file: Path, place: Place, *, dry_run: bool) -> None:
    """Register the boxes and loggers of FILE, and issue one-time codes for its gateways: all of it or nothing.

    FILE is JSON, or TOML if its name ends so, as POST /api/v1/registry takes it: boxes, loggers, codes_for, reason; at
    most 500 of each. It may be sent again: what is registered and says the same stays as it is.

    \b
    Examples:
      coldchain register delivery.toml --dry-run --settings /etc/coldchain/hub.toml
      coldchain register delivery.json --hub https://hub.example --token-file admin.token
    \b
    delivery.toml:
      reason = "delivery of March"
      codes_for = ["VAN-1"]
      boxes = [{code = "BOX-1", gateways = ["VAN-1"]}, {code = "BOX-2", gateways = ["VAN-1"]}]
      loggers = [{address = "C0:FF:EE:00:00:01", box = "BOX-1"}, {address = "C0:FF:EE:00:00:02", box = "BOX-2"}]
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    wanted = read_set_up(file)
    with place.open() as registrar:
        done = registrar.set_up(wanted, dry_run=dry_run)
    for line in _in_words(done):
        click.echo(line)


def read_set_up(file: Path) -> SetUp:
    """Read a file; raises InputError naming it and the field."""
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix.lower() == ".toml":
            return SetUp.model_validate(tomllib.loads(text))
        return SetUp.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise InputError(field.removeprefix(".") or "file", first["msg"], where=str(file)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("file", f"not TOML: {error}", where=str(file)) from error


def _in_words(done: SetUpDone) -> list[str]:
    would = "would be " if done.dry_run else ""
    counted = [f"{kind}: {_count(outcomes, would)}" for kind, outcomes in _kinds(done).items() if outcomes]
    changed = [
        f"{would}changed: {code}"
        for outcomes in _kinds(done).values()
        for code, outcome in outcomes.items()
        if outcome is Outcome.CHANGED
    ]
    return [*counted, *changed, *(f"one-time code of {gateway}: {code}" for gateway, code in done.codes.items())]


def _kinds(done: SetUpDone) -> dict[str, Mapping[str, Outcome]]:
    return {"boxes": done.boxes, "loggers": done.loggers}


def _count(outcomes: Mapping[str, Outcome], would: str) -> str:
    counts = Counter(outcomes.values())
    words = {Outcome.NEW: f"{would}new", Outcome.CHANGED: f"{would}changed", Outcome.SAME: "as before"}
    return ", ".join(f"{counts[outcome]} {words[outcome]}" for outcome in Outcome if counts[outcome])
