"""`coldchain enrol`, `swap` and `loggers`, on the hub's own store and over its API."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import TypeVar

import httpx
import pytest
from click import ClickException
from click.testing import CliRunner, Result
from sqlalchemy import select

from gateway.cli import main, registrar
from gateway.cli.loggers import age_of
from gateway.cli.registrar import HubRegistrar, Place, Registrar
from gateway.hub.database import schema
from gateway.hub.database.store import open_existing_store, open_store
from gateway.hub.processes.app import create_app
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings

T = TypeVar("T")
OLD, NEW = "C0:FF:EE:00:00:01", "C0:FF:EE:00:00:02"
CERTIFICATE = ["--certificate", "K-1", "--calibrated", "2026-01-15", "--due", "2100-01-15", "--offset", "-0.12"]


class InProcess(httpx.BaseTransport):
    """Carries requests to a hub in this process, whose loop runs in a thread."""

    def __init__(self, settings: HubSettings) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)
        self._thread.start()
        self.rooms = self._run(self._open(settings))
        self._transport = httpx.ASGITransport(create_app(self.rooms))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._run(self._handle(request))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self.rooms.store.close()

    def _run(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @staticmethod
    async def _open(settings: HubSettings) -> Rooms:
        return open_rooms(settings)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        asked = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        answer = await self._transport.handle_async_request(asked)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


@contextmanager
def called(settings: HubSettings, token: str = "") -> Iterator[httpx.Client]:
    transport = InProcess(settings)
    given = token or (settings.data_dir / "admin.token").read_text().strip()
    headers = {"Authorization": f"Bearer {given}"}
    with httpx.Client(transport=transport, base_url="http://hub", headers=headers) as client:
        yield client


class Desk:
    """The command line in a folder with a hub's settings."""

    def __init__(self, folder: Path) -> None:
        self.settings = HubSettings(data_dir=folder / "hub")
        self.file = folder / "hub.toml"
        self.file.write_text(f'data_dir = "{folder / "hub"}"\n')

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--settings", str(self.file)])

    def acts(self) -> list[tuple[str, str, str]]:
        store = open_existing_store(self.settings.database_url)
        with store.read() as connection:
            rows = connection.execute(select(schema.audit).order_by(schema.audit.c.id)).all()
        store.close()
        return [(row.act, row.subject, row.reason) for row in rows]


@pytest.fixture(params=["store", "api"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    found = Desk(tmp_path)
    if request.param == "store":
        open_store(found.settings.database_url).close()
        yield found
        return
    with called(found.settings) as client:

        @contextmanager
        def over_the_api(_place: Place) -> Iterator[Registrar]:
            yield HubRegistrar(client)

        monkeypatch.setattr(registrar.Place, "open", over_the_api)
        yield found


def test_a_delivery_is_registered_from_one_file(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "delivery.toml"
    file.write_text(
        'reason = "delivery of March"\ncodes_for = ["VAN-1"]\n'
        f'boxes = [{{code = "BOX-1", gateways = ["VAN-1"]}}]\nloggers = [{{address = "{OLD}", box = "BOX-1"}}]\n'
    )
    tried = desk.run("register", str(file), "--dry-run")
    assert tried.output == "boxes: 1 would be new\nloggers: 1 would be new\n"
    done = desk.run("register", str(file))
    assert done.output.startswith("boxes: 1 new\nloggers: 1 new\none-time code of VAN-1: ")
    assert desk.acts() == [
        ("register", "box BOX-1", "delivery of March"),
        ("register", f"logger {OLD}", "delivery of March"),
        ("issue_code", "gateway VAN-1", ""),
    ]
    file.write_text('boxes = [{code = "BOX-1", label = "red"}, {code = "BOX-2"}]\ncodes_for = ["a+b"]\n')
    assert "codes_for[0]" in desk.run("register", str(file)).output
    file.write_text('boxes = [{code = "BOX-1", label = "red"}, {code = "BOX-2"}]\n')
    assert desk.run("register", str(file)).output == "boxes: 1 new, 1 changed\nchanged: BOX-1\n"
    file.write_text('boxes = [{code = "BOX 1"}]\n')
    assert "boxes[0].code" in desk.run("register", str(file)).output


def test_a_day_with_a_logger(desk: Desk) -> None:
    refused = desk.run("enrol", OLD.lower(), "BOX-1")
    assert (refused.exit_code, "no box BOX-1 is registered" in refused.stderr) == (2, True)
    tried = desk.run("enrol", OLD.lower(), "BOX-1", "--new-box", *CERTIFICATE, "--dry-run")
    assert (tried.exit_code, "would be: in BOX-1 since" in tried.stdout) == (0, True)
    assert desk.acts() == [], "a dry run leaves nothing"
    done = desk.run("enrol", OLD.lower(), "BOX-1", "--new-box", *CERTIFICATE, "--serial", "4711")
    assert "certificate K-1 (-0.12 °C) until 2100-01-15" in done.stdout
    listed = desk.run("loggers")
    assert listed.exit_code == 0
    assert listed.stdout.splitlines()[1].split("\t")[:5] == [OLD, "BOX-1", "Ruuvi", "", "4711"]

    tried = desk.run("swap", OLD, NEW, "--reason", "battery", "--note", "2.3 V", "--dry-run")
    assert "would be: in no box since" in tried.stdout
    assert "has no certificate" in tried.stdout
    swapped = desk.run("swap", OLD, NEW, "--reason", "battery", "--note", "2.3 V")
    assert (swapped.exit_code, swapped.stdout) == (0, tried.stdout.replace("would be", "now")), swapped.stderr
    lacking = desk.run("loggers")
    assert lacking.exit_code == 1
    assert [line.split("\t")[0] for line in lacking.stdout.splitlines()] == ["logger", NEW]
    assert lacking.stdout.splitlines()[1].endswith("\tcertificate")
    assert desk.run("enrol", NEW, *CERTIFICATE).exit_code == 0
    assert desk.run("loggers").exit_code == 0
    everybody = desk.run("loggers", "--all", "--json").stdout
    assert OLD in everybody
    assert desk.run("enrol", NEW, "--out", "--reason", "holidays").exit_code == 0
    assert desk.acts() == [
        ("register", "box BOX-1", ""),
        ("register", f"logger {OLD}", ""),
        ("swap", f"logger {OLD}", "battery: 2.3 V"),
        ("swap", f"logger {NEW}", "battery: 2.3 V"),
        ("register", f"logger {NEW}", ""),
        ("register", f"logger {NEW}", "holidays"),
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["enrol", OLD], "box: C0:FF:EE:00:00:01 is not enrolled: into which box?"),
        (["enrol", OLD, "--out"], "--out: takes a logger out that is enrolled"),
        (["enrol", OLD, "B", "--certificate", "K-1"], "--calibrated: is missing"),
        (
            ["enrol", OLD, "B", "--certificate", "K", "--calibrated", "2026-01-01", "--due", "2026-01-01"],
            "--due: due",
        ),
        (["enrol", OLD, "B", *CERTIFICATE, "--offset", "9"], "--offset: Input should be less"),
        (["enrol", OLD, "B", "--new-box", "--since", "2999-01-01T00:00"], "since: lies in the future"),
        (["enrol", OLD, "B", "--new-box", "--since", "2999-01-01T00:00+01:00"], "since: lies in the future"),
        (["enrol", "no such!", "B"], "logger: a code has"),
        (["swap", OLD, NEW, "--reason", "battery"], "old: C0:FF:EE:00:00:01 is not enrolled"),
        (["swap", OLD, NEW], "Missing option '--reason'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_said_in_one_line(desk: Desk, arguments: list[str], complaint: str) -> None:
    result = desk.run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"coldchain: {complaint}"), result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert desk.acts() == []


def test_which_hub_must_be_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["loggers"])
    assert (result.exit_code, "say which hub" in result.stderr) == (2, True)
    result = CliRunner().invoke(main, ["loggers", "--hub", "http://127.0.0.1:9"])
    assert result.stderr.startswith("coldchain: --token-file: is needed")
    token = tmp_path / "token"
    token.write_text("t")
    result = CliRunner().invoke(main, ["loggers", "--hub", "http://127.0.0.1:9", "--token-file", str(token)])
    assert (result.exit_code, "does not answer" in result.stderr) == (1, True)


def test_a_wrong_token_names_the_option(tmp_path: Path) -> None:
    with (
        called(HubSettings(data_dir=tmp_path), "wrong") as client,
        pytest.raises(ClickException, match="401") as raised,
    ):
        HubRegistrar(client).states()
    assert "--token-file" in raised.value.message


def test_ages_are_said_coarsely() -> None:
    ages = [timedelta(seconds=5), timedelta(minutes=119), timedelta(hours=47), timedelta(days=3)]
    assert [age_of(age) for age in ages] == ["5 s ago", "119 min ago", "47 h ago", "3 d ago"]
