"""``coldchain import``: recordings into the hub's archive."""

from __future__ import annotations

from hashlib import file_digest
from pathlib import Path
from typing import TypedDict, Unpack

import click

from gateway.cli.progress import show_progress
from gateway.cli.recordings import Reading, with_reading_options
from gateway.clock import open_clock
from gateway.core.errors import InputError
from gateway.hub.database.store import open_existing_store
from gateway.hub.replication.importing import KEPT_BYTES_MAX, File, Importer
from gateway.hub.settings import HubSettings
from gateway.importers.files import Opened, open_recording
from gateway.settings import load_settings

NOT_ALL = 1
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Options(TypedDict):
    """The options as click hands them over."""

    settings: Path
    logger: str | None
    box: str | None
    reading: Reading
    dry_run: bool


@click.command("import", no_args_is_help=True)
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
@click.option("--settings", type=_FILE, required=True, help="The hub's settings file.")
@click.option("--logger", metavar="ADDRESS", help="Whose readings they are, as enrolled.  [the serial in the file]")
@click.option("--box", metavar="CODE", help="Refuse readings of a time when the logger was not in this box.")
@with_reading_options
@click.option("--dry-run", is_flag=True, help="Read and check, and change nothing.")
def command(files: tuple[Path, ...], **options: Unpack[Options]) -> int:
    """Import recordings that loggers wrote, for a box that travelled without a vehicle.

    Reads text files of Berlinger's Q-tag and Fridge-tag by themselves, and CSV by a stated mapping. The logger must be
    enrolled, in its box at the time. A file that was imported already changes nothing; one that cannot be read is set
    aside. Of several files each is taken for itself. Exit status 1: not all could be taken.

    \b
    Example:
      coldchain import trip.txt --logger 150016 --box BOX-1 --timezone Europe/Oslo --settings hub.toml
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    dry_run = options["dry_run"]
    loaded = load_settings(HubSettings, options["settings"])
    store = open_existing_store(loaded.database_url)
    importer, now_ms, failed = Importer(store, loaded.data_dir), open_clock(loaded.clock).now_ms(), 0
    try:
        for path in files:
            try:
                recording = _open(path, options["reading"])
            except InputError as error:
                failed += 1
                click.echo(f"coldchain: {error}", err=True)
                if not dry_run and not error.field.startswith("--"):  # then the options do not fit, not the file
                    with path.open("rb") as raw:
                        importer.set_aside(raw.read(KEPT_BYTES_MAX), str(error), now_ms)
                continue
            try:
                click.echo(f"{path}: {_take(importer, path, recording, options, now_ms)}")
            except InputError as error:
                if len(files) == 1:
                    raise
                failed += 1
                click.echo(f"coldchain: {InputError(error.field, error.reason, where=str(path))}", err=True)
    finally:
        store.close()
    return NOT_ALL if failed else 0


def _open(path: Path, how: Reading) -> Opened:
    with show_progress(f"characters read of {path.name}") as progress:
        return open_recording(path, mapping=how.mapping, clock=how.clock, encoding=how.encoding, progress=progress)


def _take(importer: Importer, path: Path, recording: Opened, options: Options, now_ms: int) -> str:
    logger = options["logger"] or recording.serial
    if not logger:
        raise InputError("--logger", "is needed: the file does not say whose readings they are")
    with path.open("rb") as raw:
        file = File(path.name, file_digest(raw, "sha256").hexdigest(), recording.form)
    dry_run = options["dry_run"]
    done = importer.take(file, recording.readings, logger, now_ms, box=options["box"], dry_run=dry_run)
    word = "would be imported" if dry_run and done.is_new else "imported" if done.is_new else "was here already"
    return f"{done.readings} readings of {logger}: {word}"
