"""``coldchain report``: what is known of one consignment's transport, in one file."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.clock import open_clock
from gateway.core.errors import InputError
from gateway.hub.breaches.lifecycle import NotNowError
from gateway.hub.database.store import open_existing_store
from gateway.hub.proof.hub_key import load_hub_key
from gateway.hub.record.archive import Archive
from gateway.hub.registry.configurations import make_configurations
from gateway.hub.reports.gathering import Sources
from gateway.hub.reports.issuing import ReportForm, issue
from gateway.hub.settings import HubSettings
from gateway.language import Language
from gateway.output import STDOUT, writing
from gateway.settings import load_settings

FORMATS = {
    "pdf": ReportForm.PDF,
    "csv": ReportForm.CSV,
    "excel-no": ReportForm.EXCEL,
    "json": ReportForm.JSON,
    "fhir": ReportForm.FHIR,
}


@click.command(no_args_is_help=True)
@click.argument("code")
@click.option(
    "--settings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The hub's settings file.",
)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="pdf", show_default=True)
@click.option(
    "--language", type=click.Choice([one.value for one in Language]), help="Of PDF and FHIR; else the hub's own."
)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The file to write; - prints it.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def command(code: str, settings: Path, form: str, language: str | None, output: Path, *, force: bool) -> None:
    """Write the report on consignment CODE: verdicts with reasons, rules, traces, gaps, custody, signatures.

    The PDF (PDF/A-3a) has readings and data attached and is sealed by the hub: `coldchain verify FILE --hub-key HEX`
    proves it anywhere. CSV has the readings, excel-no the same for a Norwegian Excel; json and fhir are for programs.
    That it left is on record in the audit trail. The hub may be running meanwhile.

    \b
    Examples:
      coldchain report C-17 --settings hub.toml --output C-17.pdf
      coldchain report C-17 --settings hub.toml --language en --format fhir --output C-17.fhir.json
      coldchain report C-17 --settings hub.toml --format excel-no --output C-17.csv
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    if output.is_dir():
        raise InputError("--output", "is a folder", where=str(output))
    if output != STDOUT and output.exists() and not force:
        raise InputError("--output", "is there already; --force replaces it", where=str(output))
    loaded = load_settings(HubSettings, settings)
    now_ms = open_clock(loaded.clock).now_ms
    store = open_existing_store(loaded.database_url)
    try:
        sources = Sources(store, Archive(store), make_configurations(store, now_ms, loaded), now_ms)
        key = load_hub_key(loaded.key_file)
        spoken = loaded.language if language is None else Language(language)
        issued = issue(sources, key, code, FORMATS[form], spoken, who="command line")
    except NotNowError as error:
        raise InputError("CODE", str(error)) from error
    finally:
        store.close()
    with writing(output) as file:
        file.write(issued.data)
    told = f"{output}: report {issued.number}, SHA-256 {issued.sha256}; hub key {key.public_bytes.hex()}"
    click.echo(told, err=output == STDOUT)
