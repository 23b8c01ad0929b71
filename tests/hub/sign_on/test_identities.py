"""Who is linked to whom: settings, the command, the interface, and what is stored."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from gateway.cli import main
from gateway.core.errors import InputError
from gateway.hub.access.accounts import Accounts
from gateway.hub.access.identities import Identity, make_identity
from gateway.hub.access.roles import Role
from gateway.hub.database.store import Store
from gateway.hub.settings import HubSettings
from tests.hub.sign_on.hubs import KARI, Hub
from tests.hub.vans import sqlite_only
from tests.servers.identity_provider import Provider


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("issuer", {"issuer": "http://login.hospital.example"}),
        ("issuer", {"issuer": "https://login.hospital.example/?x=1"}),
        ("account_claim", {"account_claim": "pid"}),
        ("groups_claim and roles", {"groups_claim": "groups"}),
        ("creates_accounts", {"creates_accounts": True}),
        ("client_secret", {"client_secret": "x", "client_secret_file": "/y"}),
        ("roles", {"groups_claim": "groups", "roles": {"a": ["king"]}}),
    ],
)
def test_what_cannot_be_set_is_refused(tmp_path: Path, field: str, changes: dict[str, object]) -> None:
    oidc = {"name": "X", "issuer": "https://login.hospital.example", "client_id": "c", **changes}
    http = {"public_url": "https://hub.example"}
    with pytest.raises(ValidationError, match=field):
        HubSettings(data_dir=tmp_path, http=http, access={"oidc": oidc})


def test_the_hub_must_know_its_own_address(tmp_path: Path) -> None:
    oidc = {"name": "X", "issuer": "https://login.hospital.example", "client_id": "c"}
    for url in ("", "http://hub.example"):
        with pytest.raises(ValidationError, match="public_url"):
            HubSettings(data_dir=tmp_path, http={"public_url": url}, access={"oidc": oidc})
    assert HubSettings(
        data_dir=tmp_path,
        http={"public_url": "https://hub.example"},
        access={"oidc": oidc},
    ).access.identity_of("a b") == Identity("https://login.hospital.example", "a b")


def test_the_command_links_and_shows_an_identity(tmp_path: Path) -> None:
    settings = tmp_path / "hub.toml"
    text = f'data_dir = "{tmp_path / "hub"}"\n'
    settings.write_text(text)

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["hub", "users", *arguments, "-s", str(settings)], input="ni rolige elger\n")
        return done.exit_code, done.output

    assert run("add", "per", "--role", "nurse", "--printed-name", "Per", "--password-stdin")[0] == 0
    status, output = run("link", "per", "--subject", "per-2")
    assert (status, "access.oidc is not set" in output) == (2, True)
    provider = '[access.oidc]\nname = "X"\nissuer = "https://login.example"\nclient_id = "c"\n'
    settings.write_text(text + '[http]\npublic_url = "https://hub.example"\n' + provider)
    assert run("link", "per", "--subject", "per-2") == (0, "per = https://login.example per-2\n")
    assert "Per = https://login.example per-2" in run("list")[1]
    assert run("add", "kari", "--role", "nurse", "--printed-name", "Kari", "--subject", "per-2")[0] == 2
    assert run("add", "kari", "--role", "nurse", "--printed-name", "Kari", "--subject", "kari-1")[0] == 0
    assert run("unlink", "kari")[1] == "kari is linked no more, and has no password\n"


@sqlite_only
async def test_an_administrator_links_over_the_api(hub: Hub) -> None:
    token = (hub.rooms.settings.data_dir / "admin.token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}

    async def change(**changes: object) -> httpx.Response:
        return await hub.http.patch("/api/v1/accounts/kari", json=changes, headers=headers)

    assert (await change(subject="kari-2")).status_code == 422
    assert (await change(subject="")).json()["identity"] is None
    linked = (await change(subject="kari-2", reason="new number")).json()["identity"]
    assert linked["subject"] == "kari-2"
    assert hub.acts()[-2:] == [("admin", "unlink_user", "user kari"), ("admin", "link_user", "user kari")]


def test_a_subject_is_stored_with_its_issuer(store: Store) -> None:
    accounts = Accounts(store, lambda: 5, lambda: 7)
    one, other = Identity("https://a.example", "1"), Identity("https://b.example", "1")
    accounts.add("one", "One", [Role.NURSE], "setup", identity=one)
    accounts.add("other", "Other", [Role.NURSE], "setup", identity=other)
    with pytest.raises(InputError, match="another account"):
        accounts.add("third", "Third", [Role.NURSE], "setup", identity=one)
    with pytest.raises(InputError, match="linked already"):
        accounts.link("one", Identity("https://a.example", "2"), "setup")
    assert [account.identity for account in accounts.accounts()] == [one, other]


@sqlite_only
async def test_an_identity_number_is_no_identity(hub: Hub, quiet: Provider, caplog: pytest.LogCaptureFixture) -> None:
    quiet.set(person=KARI | {"sub": "13097248022"})
    refused = await hub.sign_in()
    assert refused.status_code == 403
    assert "13097248022" not in refused.text + caplog.text
    with pytest.raises(InputError, match="subject"):
        make_identity(quiet.url, "no:13097248022")
