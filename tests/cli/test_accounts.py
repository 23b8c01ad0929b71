from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.hub import command
from gateway.core.errors import InputError
from gateway.hub.access import passwords

PASSWORD = "ni rolige elger\n"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=1, memory_cost=64))


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "hub.toml"
    file.write_text(f'data_dir = "{tmp_path / "data"}"\n')
    return file


def run(settings: Path, *arguments: str, given: str = "") -> Result:
    done = CliRunner().invoke(command, ["--settings", str(settings), *arguments], input=given)
    if isinstance(done.exception, InputError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def add(settings: Path, name: str = "kari", *more: str) -> None:
    run(settings, "users", "add", name, "--role", "receiver", "--printed-name", "Kari N", *more, given=PASSWORD * 2)


def test_an_account_is_made_changed_and_disabled(settings: Path) -> None:
    add(settings)
    assert "kari             receiver" in run(settings, "users", "list").output
    run(settings, "users", "change", "kari", "--role", "nurse", "--role", "driver")
    assert "driver, nurse" in run(settings, "users", "list").output
    run(settings, "users", "password", "kari", "--password-stdin", given="et helt nytt passord\n")
    run(settings, "users", "disable", "kari", "--reason", "has left")
    assert "(disabled" in run(settings, "users", "list").output
    run(settings, "users", "enable", "kari")
    assert "(disabled" not in run(settings, "users", "list").output


def test_a_password_is_asked_for_twice_and_never_shown(settings: Path) -> None:
    done = CliRunner().invoke(
        command,
        ["--settings", str(settings), "users", "add", "per", "--role", "nurse", "--printed-name", "Per"],
        input="ni rolige elger\nni rolige elge\nni rolige elger\nni rolige elger\n",
    )
    assert done.exit_code == 0
    assert "do not match" in done.output
    assert "rolige" not in done.output


def test_wrong_input_names_the_field(settings: Path) -> None:
    with pytest.raises(InputError, match="password"):
        run(
            settings,
            "users",
            "add",
            "ola",
            "--role",
            "nurse",
            "--printed-name",
            "O",
            "--password-stdin",
            given="kort\n",
        )
    with pytest.raises(InputError, match="no account ola"):
        run(settings, "users", "disable", "ola", "--reason", "x")
    with pytest.raises(InputError, match="roles"):
        run(settings, "users", "add", "ola", "--printed-name", "Ola", "--password-stdin", given=PASSWORD)


def test_a_token_is_printed_once_and_ends(settings: Path) -> None:
    add(settings)
    secret = run(settings, "tokens", "make", "kari", "--label", "lab", "--right", "look_up").output.strip()
    listed = run(settings, "tokens", "list").output
    assert secret.startswith("ccp_")
    assert secret not in listed
    assert "kari" in listed
    assert "until" in listed
    run(settings, "tokens", "revoke", "1")
    assert "ended" in run(settings, "tokens", "list").output


def test_the_rights_of_each_role_are_explained(settings: Path) -> None:
    assert "manage_users     make, change and disable accounts: administrator" in run(settings, "users", "roles").output
