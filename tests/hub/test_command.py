"""The command, as a process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.waiting import LIMIT_S

HUB = [sys.executable, "-m", "gateway.cli", "hub"]


@contextmanager
def started(settings: Path, *command: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    with subprocess.Popen(  # noqa: S603  our own interpreter
        [*HUB, *command, "--settings", str(settings)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            word, _, facts = process.stdout.readline().partition(" ")
            assert word == "READY"
            yield process, json.loads(facts)
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    settings = tmp_path / "hub.toml"
    settings.write_text(f'data_dir = "{tmp_path / "hub"}"\n')
    with started(settings) as (process, facts):
        with urlopen(f"{facts['http']}/login", timeout=LIMIT_S) as answer:  # noqa: S310  our own server
            assert answer.status == 200
        process.send_signal(number)
        _, errors = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0
        assert "Traceback" not in errors


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["hub", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_enrol_prints_the_code_and_nothing_else(tmp_path: Path) -> None:
    settings = tmp_path / "hub.toml"
    settings.write_text(f'data_dir = "{tmp_path / "hub"}"\n')
    status, output, _ = run("enrol", "VAN-1", "--settings", str(settings))
    assert (status, len(output.strip().split("-"))) == (0, 5)
    assert run("--settings", str(settings), "enrol", "VAN-1")[0] == 0


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "data_dir"),
        ("data_dir = 7", "data_dir"),
        ('data_dir = "{folder}"\nport = 1', "port"),
        ('data_dir = "{folder}"\n[http]\nport = 70000', "http.port"),
        ('data_dir = "{folder}"\n[http]\nhost = "no.such.host.invalid"', "http.host"),
        ('data_dir = "{folder}"\nbroker = "elsewhere"', "broker"),
        ('data_dir = "{folder}"\ndatabase = "oracle://x"', "database"),
        ('data_dir = "{folder}"\n[influx]\nurl = "ftp://x"', "influx.url"),
        ("data_dir = [", "file"),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, text: str, field: str) -> None:
    settings = tmp_path / "hub.toml"
    settings.write_text(text.replace("{folder}", str(tmp_path / "hub")))
    status, _, errors = run("run", "--settings", str(settings))
    assert status == 2
    assert len(errors.strip().splitlines()) == 1
    assert field in errors


def test_a_gateway_that_cannot_be_a_topic_is_refused(tmp_path: Path) -> None:
    settings = tmp_path / "hub.toml"
    settings.write_text(f'data_dir = "{tmp_path / "hub"}"\n')
    status, _, errors = run("enrol", "van/1", "--settings", str(settings))
    assert status == 2
    assert "gateway" in errors


@pytest.mark.parametrize("command", ["ingest", "watch", "serve"])
def test_several_processes_need_a_database_that_serves_several(tmp_path: Path, command: str) -> None:
    settings = tmp_path / "hub.toml"
    settings.write_text(f'data_dir = "{tmp_path / "hub"}"\n[broker]\nurl = "mqtt://127.0.0.1:1"\n')
    status, _, errors = run(command, "--settings", str(settings))
    assert (status, len(errors.strip().splitlines())) == (2, 1)
    assert "database: SQLite serves a hub of one process" in errors


def test_ingest_needs_a_broker_that_serves_several(tmp_path: Path) -> None:
    settings = tmp_path / "hub.toml"
    settings.write_text(f'data_dir = "{tmp_path / "hub"}"\ndatabase = "postgresql+psycopg://h/d"\n')
    status, _, errors = run("ingest", "--settings", str(settings))
    assert (status, len(errors.strip().splitlines())) == (2, 1)
    assert "broker: " in errors


@pytest.mark.parametrize(("command", "apart"), [("watch", "false"), ("watch", "true"), ("serve", "false")])
def test_processes_apart_start_and_stop_cleanly(tmp_path: Path, postgres_url: str, command: str, apart: str) -> None:
    settings = tmp_path / "hub.toml"
    settings.write_text(f'data_dir = "{tmp_path / "hub"}"\ndatabase = "{postgres_url}"\njudges_apart = {apart}\n')
    with started(settings, command) as (process, facts):
        if command == "serve":
            with urlopen(f"{facts['http']}/login", timeout=LIMIT_S) as answer:  # noqa: S310  our own server
                assert answer.status == 200
        process.terminate()
        _, errors = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0
        assert "Traceback" not in errors


@pytest.mark.parametrize("arguments", [[], ["run"], ["enrol"], ["ingest"], ["watch"], ["serve"]])
def test_help_reads_well(arguments: list[str]) -> None:
    status, output, _ = run(*arguments, "--help")
    assert status == 0
    assert "--settings" in output
