"""coldchain hub users, coldchain hub tokens: who may use the hub."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.settings_file import open_existing, settings_option
from gateway.clock import open_clock
from gateway.hub.access.roles import EXPLAINED, Right, Role, roles_with
from gateway.hub.settings import HubSettings
from gateway.hub.times import real_ms, to_datetime
from gateway.settings import load_settings

if TYPE_CHECKING:
    from gateway.hub.access.accounts import Account, Accounts
    from gateway.hub.access.api_tokens import ApiTokens

WHO = "command line"
_SETTINGS = settings_option("TOML file of the hub")
_ROLES = click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([role.value for role in Role]),
    help="May be given more than once.",
)
_STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, for scripts.")
_REASON = click.option("--reason", default="", help="Why, for the audit trail.")


@click.group()
def users() -> None:
    """People who use the hub: their roles and passwords. The hub may be running meanwhile."""


@users.command("list")
@_SETTINGS
@click.pass_context
def list_users(context: click.Context, path: Path | None) -> None:
    """List accounts, roles, who they are at the sign-on, and which are disabled or rest after wrong passwords."""
    with _open_accounts(context, path) as (accounts, _):
        for account in accounts.accounts():
            roles = ", ".join(sorted(account.roles))
            linked = "" if account.identity is None else f" = {account.identity.stored}"
            click.echo(f"{account.name:<16} {roles:<32} {account.printed_name}{linked}{_tell_state(account)}")


@users.command("add")
@click.argument("name")
@_ROLES
@click.option("--printed-name", required=True, help="As a signature prints it.")
@click.option("--subject", default="", help="Who it is at the single sign-on; then no password is asked for.")
@_STDIN
@_SETTINGS
@click.pass_context
def add_user(
    context: click.Context,
    name: str,
    roles: tuple[str, ...],
    printed_name: str,
    subject: str,
    path: Path | None,
    *,
    password_stdin: bool,
) -> None:
    """Make an account NAME."""
    password = "" if subject else _ask_password(from_stdin=password_stdin)
    with _open_accounts(context, path) as (accounts, settings):
        identity = settings.access.identity_of(subject) if subject else None
        accounts.add(name, printed_name, map(Role, roles), WHO, password=password, identity=identity)
    click.echo(f"{name} may log in")


@users.command("change")
@click.argument("name")
@_ROLES
@click.option("--printed-name", help="As a signature prints it from now on; signatures made stay as they are.")
@_REASON
@_SETTINGS
@click.pass_context
def change_user(
    context: click.Context, name: str, roles: tuple[str, ...], printed_name: str | None, reason: str, path: Path | None
) -> None:
    """Change roles or printed name of NAME. The roles given are all that it has then; they count at once."""
    wanted = [Role(role) for role in roles] or None
    with _open_accounts(context, path) as (accounts, _):
        account = accounts.change(name, WHO, roles=wanted, printed_name=printed_name, reason=reason)
    click.echo(f"{name}: {', '.join(sorted(account.roles))}")


@users.command("password")
@click.argument("name")
@_STDIN
@_SETTINGS
@click.pass_context
def set_password(context: click.Context, name: str, path: Path | None, *, password_stdin: bool) -> None:
    """Set a new password of NAME. Its sessions end."""
    password = _ask_password(from_stdin=password_stdin)
    with _open_accounts(context, path) as (accounts, _):
        accounts.set_password(name, password, WHO)
    click.echo(f"{name} has a new password")


@users.command("disable")
@click.argument("name")
@click.option("--reason", required=True, help="Why, for the audit trail.")
@_SETTINGS
@click.pass_context
def disable_user(context: click.Context, name: str, reason: str, path: Path | None) -> None:
    """Let nobody in by account NAME; its sessions and tokens end at once. `enable` undoes it."""
    with _open_accounts(context, path) as (accounts, _):
        accounts.disable(name, WHO, reason)
    click.echo(f"{name} is disabled")


@users.command("enable")
@click.argument("name")
@_REASON
@_SETTINGS
@click.pass_context
def enable_user(context: click.Context, name: str, reason: str, path: Path | None) -> None:
    """Undo disable, or end the rest that NAME takes after wrong passwords."""
    with _open_accounts(context, path) as (accounts, _):
        accounts.enable(name, WHO, reason)
    click.echo(f"{name} may log in")


@users.command("link")
@click.argument("name")
@click.option("--subject", required=True, help="Who it is at the single sign-on; the page of a refused login says it.")
@_REASON
@_SETTINGS
@click.pass_context
def link_user(context: click.Context, name: str, subject: str, reason: str, path: Path | None) -> None:
    """Let somebody of the single sign-on in by account NAME. It keeps its password, if it has one."""
    with _open_accounts(context, path) as (accounts, settings):
        account = accounts.link(name, settings.access.identity_of(subject), WHO, reason)
    click.echo(f"{name} = {account.identity.stored if account.identity else ''}")


@users.command("unlink")
@click.argument("name")
@_REASON
@_SETTINGS
@click.pass_context
def unlink_user(context: click.Context, name: str, reason: str, path: Path | None) -> None:
    """Let nobody of the single sign-on in by account NAME any more; its sessions end at once."""
    with _open_accounts(context, path) as (accounts, _):
        account = accounts.unlink(name, WHO, reason)
    click.echo(f"{name} is linked no more{'' if account.has_password else ', and has no password'}")


@users.command("roles")
def show_roles() -> None:
    """Show what each right is, and which roles have it."""
    for right, words in EXPLAINED.items():
        click.echo(f"{right:<16} {words}: {', '.join(roles_with(right))}")


@click.group()
def tokens() -> None:
    """Tokens of programs: a part of the rights of an account, for a time."""


@tokens.command("list")
@_SETTINGS
@click.pass_context
def list_tokens(context: click.Context, path: Path | None) -> None:
    """List the tokens, ended ones included."""
    with _open_tokens(context, path) as api_tokens:
        for token in api_tokens.tokens():
            ended = token.revoked_at_ms or (token.expires_at_ms if token.expires_at_ms <= real_ms() else None)
            until = f"ended {_say_day(ended)}" if ended else f"until {_say_day(token.expires_at_ms)}"
            click.echo(f"{token.id:>4} {token.account:<16} {until}  {token.label}: {', '.join(sorted(token.rights))}")


@tokens.command("make")
@click.argument("account")
@click.option("--label", required=True, help="Which program it is for.")
@click.option("--right", "rights", multiple=True, required=True, type=click.Choice([right.value for right in Right]))
@click.option("--days", default=90, show_default=True, help="How long it is valid.")
@_SETTINGS
@click.pass_context
def make_token(
    context: click.Context, account: str, label: str, rights: tuple[str, ...], days: int, path: Path | None
) -> None:
    """Make a token for a program that acts for ACCOUNT, and print it. It is shown this once."""
    with _open_tokens(context, path) as api_tokens:
        _, secret = api_tokens.make(account, label, map(Right, rights), days, WHO)
    click.echo(secret)


@tokens.command("revoke")
@click.argument("number", type=int)
@_SETTINGS
@click.pass_context
def revoke_token(context: click.Context, number: int, path: Path | None) -> None:
    """End token NUMBER at once."""
    with _open_tokens(context, path) as api_tokens:
        api_tokens.revoke(number, WHO)
    click.echo(f"token {number} is ended")


@contextmanager
def _open_accounts(context: click.Context, path: Path | None) -> Iterator[tuple[Accounts, HubSettings]]:
    from gateway.hub.access.accounts import Accounts  # noqa: PLC0415  only a command that needs it pays for loading it
    from gateway.hub.database.store import open_store  # noqa: PLC0415  the same

    settings = _load(context, path)
    with closing(open_store(settings.database_url)) as store:
        yield Accounts(store, open_clock(settings.clock).now_ms, real_ms), settings


@contextmanager
def _open_tokens(context: click.Context, path: Path | None) -> Iterator[ApiTokens]:
    from gateway.hub.access.api_tokens import ApiTokens  # noqa: PLC0415  the same

    settings = _load(context, path)
    with open_existing(settings) as store:
        yield ApiTokens(store, open_clock(settings.clock).now_ms, real_ms)


def _load(context: click.Context, path: Path | None) -> HubSettings:
    settings = load_settings(HubSettings, path or context.find_object(Path))
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return settings


def _ask_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked


def _tell_state(account: Account) -> str:
    if account.disabled_at_ms is not None:
        return f" (disabled {_say_day(account.disabled_at_ms)})"
    return " (rests after wrong passwords)" if (account.rests_until_ms or 0) > real_ms() else ""


def _say_day(at_ms: int) -> str:
    return to_datetime(at_ms).date().isoformat()
