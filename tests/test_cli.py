"""The command line: help that reads well, and one line for what is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
from click.testing import CliRunner

from gateway import cli
from gateway.core.errors import InputError

COMMANDS = ("demo", "evaluate", "hub", "profiles", "simulate", "vehicle")


Pretend = Callable[[Callable[[], Any]], None]


def _python(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, check=False)  # noqa: S603  ourselves


def _run(*args: str) -> subprocess.CompletedProcess[str]:
    return _python("-m", "gateway.cli", *args)


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Put a command of the test's own in place of every sub-command."""

    def install(function: Callable[[], Any]) -> None:
        command = click.command(name="evaluate")(function)
        monkeypatch.setattr(cli.CommandLine, "get_command", lambda *_: command)

    return install


def test_help_lists_every_command_without_importing_them() -> None:
    script = "import sys\nfrom gateway.cli import main\ntry:\n main(['--help'])\nfinally:\n print(*sys.modules)"
    text = _python("-c", script).stdout
    assert all(f"  {name} " in text for name in COMMANDS)
    assert "coldchain demo" in text
    modules = set(text.splitlines()[-1].split())
    assert not {name for name in modules if name.startswith(("gateway.hub", "gateway.vehicle", "bleak", "fastapi"))}


def test_version_names_the_command() -> None:
    done = _run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("coldchain, version ")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["--wrong"], "No such option '--wrong'"),
    ],
)
def test_wrong_use_is_one_line(args: list[str], says: str) -> None:
    done = _run(*args)
    assert done.returncode == 2
    assert done.stderr.startswith("coldchain: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_wrong_input_is_one_line_with_file_field_and_reason(pretend: Pretend) -> None:
    def fail() -> NoReturn:
        raise InputError("items[2].use_before", "is not after\nprepared_at", where="trip.toml")

    pretend(fail)
    done = CliRunner().invoke(cli.main, ["evaluate"])
    assert done.exit_code == 2
    assert done.stderr == "coldchain: trip.toml: items[2].use_before: is not after prepared_at\n"


def test_a_command_s_number_is_the_exit_status(pretend: Pretend) -> None:
    pretend(lambda: 1)
    assert CliRunner().invoke(cli.main, ["evaluate"]).exit_code == 1
    pretend(lambda: None)
    assert CliRunner().invoke(cli.main, ["evaluate"]).exit_code == 0


def test_interruption_leaves_no_traceback(pretend: Pretend) -> None:
    def interrupt() -> NoReturn:
        raise KeyboardInterrupt

    pretend(interrupt)
    done = CliRunner().invoke(cli.main, ["evaluate"])
    assert done.exit_code == 130
    assert "Traceback" not in done.output


def test_simulate_explains_itself() -> None:
    done = _run("simulate", "--help")
    assert done.returncode == 0
    assert "coldchain simulate check" in done.stdout


def test_simulate_relays_the_simulator_s_complaint_and_status(tmp_path: Path) -> None:
    scenario = tmp_path / "trip.toml"
    scenario.write_text("[clock]\nstart = 2026-03-10T08:00:00+01:00\n", encoding="utf-8")
    done = _run("simulate", "check", str(scenario))
    assert done.returncode == 2
    assert done.stderr.startswith(f"{scenario}: clock.stop: Field required")
    assert done.stderr.count("\n") == 1


def test_simulate_needs_nothing_but_a_radio(monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.cli import simulate  # noqa: PLC0415  only here

    started: list[tuple[str, ...]] = []
    monkeypatch.setattr(simulate, "_start", lambda *arguments: started.append(arguments) or 0)
    for radio in ("bumble:usb:0", "bumble:virtual:vhci"):
        done = CliRunner().invoke(cli.main, ["simulate", "--radio", radio])
        assert done.exit_code == 0, done.output
    one, all_of_them = started
    assert Path(one[1]).is_file()
    assert one[one.index("--radio") + 1] == "bumble:usb:0"
    assert one[one.index("--box") + 1] == "RUUVI"
    assert "--box" not in all_of_them


def test_simulate_says_where_a_dongle_is_missing() -> None:
    done = _run("simulate", "--radio", "bumble:usb:99")
    assert done.returncode == 2
    assert "--radio: usb:99: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_simulate_checks_the_day() -> None:
    scenario = Path(__file__).parents[1] / "firmware_sim" / "scenarios" / "day.toml"
    done = _run("simulate", "check", str(scenario), "--json")
    assert done.returncode == 0
    assert '"BOX-6"' in done.stdout
