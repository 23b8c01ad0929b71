"""``coldchain profiles``: the library of transport profiles, and checks of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from gateway import profiles
from gateway.core.profiles import Kind, Profile
from gateway.profiles.description import describe, differences
from gateway.profiles.schema import profile_schema_text

_WRONG_INPUT = 2
_FILE = click.Path(dir_okay=False, path_type=Path)
_KINDS = click.Choice([kind.value for kind in Kind])


@click.group(no_args_is_help=True)
def command() -> None:
    """Transport profiles: what an item tolerates, with the source of each figure.

    The library's profiles are examples; the laboratory or the pharmacy approves its own copies. NAME is an
    id of the library, or a TOML file.

    \b
    Examples:
      coldchain profiles list --kind sample
      coldchain profiles show potassium
      coldchain profiles show carfilzomib --toml > mine.toml
      coldchain profiles check mine.toml
      coldchain profiles diff carfilzomib mine.toml
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape


@command.command(name="list")
@click.option("--kind", type=_KINDS, help="Only samples, medicines, or storage classes.")
def list_(kind: str | None) -> int:
    """List the library: id, kind, evidence, title."""
    shown = [profile for profile in profiles.load_all() if kind is None or profile.kind == kind]
    width = max(len(profile.id) for profile in shown)
    for profile in shown:
        click.echo(f"{profile.id:<{width}}  {profile.kind:<8}  {_evidence(profile):<17}  {profile.title}")
    return 0


@command.command(no_args_is_help=True)
@click.argument("name")
@click.option("--toml", "form", flag_value="toml", help="As it is written, comments included.")
@click.option("--json", "form", flag_value="json", help="Complete, defaults filled in.")
def show(name: str, form: str | None) -> int:
    """Show a profile in words."""
    profile = profiles.find(name)
    match form:
        case "toml":
            text = Path(name).read_text(encoding="utf-8") if profiles.is_path(name) else profiles.text_of(name)
            click.echo(text, nl=False)
        case "json":
            click.echo(profile.model_dump_json(indent=2))
        case _:
            for line in describe(profile):
                click.echo(line)
    return 0


@command.command(no_args_is_help=True)
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
def check(files: tuple[Path, ...]) -> int:
    """Check profile files: every fault with file, line, field and reason. Exit status 2 if there is one."""
    status = 0
    for path in files:
        faults = profiles.find_faults(path)
        for fault in faults:
            click.echo(f"coldchain: {fault}", err=True)
        if faults:
            status = _WRONG_INPUT
        else:
            profile = profiles.load_file(path)
            click.echo(f"{path}: {profile.id}, version {profile.version}, {profile.status}: no fault")
    return status


@command.command(no_args_is_help=True)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
def diff(before: str, after: str) -> int:
    """Show where profile B differs from profile A. Exit status 1 if it does."""
    found = list(differences(profiles.find(before), profiles.find(after)))
    for field, old, new in found:
        click.echo(f"{field}: {old} → {new}")
    return 1 if found else 0


@command.command()
def schema() -> int:
    """Print the JSON Schema of a profile file."""
    click.echo(profile_schema_text(), nl=False)
    return 0


def _evidence(profile: Profile) -> str:
    return profile.evidence.value.replace("_", " ")
