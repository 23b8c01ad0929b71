"""Taking reports away: over HTTP by right, on the command line, on record; and the command that proves them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from gateway.cli import main
from gateway.hub.database import schema
from gateway.hub.processes.app import create_app
from gateway.hub.reports import gathering
from gateway.hub.reports.document import encode_document
from gateway.hub.rooms import Rooms, open_rooms
from tests.hub.reports.transports import add_ordinary, furnish, settings_of, sources_of

CODE = "SEND/1"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Rooms]:
    opened = open_rooms(settings_of(tmp_path))
    furnish(opened)
    add_ordinary(opened, CODE)
    yield opened
    opened.store.close()


async def test_every_database_gives_the_same_report(database: str, tmp_path: Path) -> None:
    documents = []
    for name, url in (("one", database), ("other", f"sqlite:///{tmp_path / 'other.sqlite3'}")):
        folder = tmp_path / name
        folder.mkdir()
        opened = open_rooms(settings_of(folder).model_copy(update={"database": url}))
        furnish(opened)
        add_ordinary(opened)
        document = gathering.gather(sources_of(opened), "SEND-1").document
        documents.append(encode_document(document))
        opened.store.close()
    assert documents[0] == documents[1]


@pytest.fixture
async def http(hub: Rooms) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(hub), client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        yield client


@pytest.fixture
def settings(hub: Rooms, tmp_path: Path) -> Path:
    path = tmp_path / "hub.toml"
    clock = hub.settings.clock
    lines = [
        f'data_dir = "{tmp_path}"',
        'language = "en"',
        "demonstration = true",
        "[clock]",
        f'start = "{clock.start}"',
        f'stop = "{clock.stop}"',
        "anchor_ns = 0",
    ]
    path.write_text("\n".join(lines))
    return path


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, list(arguments))
    return done.exit_code, done.output


async def test_each_form_is_taken_and_stands_in_the_audit_trail(hub: Rooms, http: httpx.AsyncClient) -> None:
    base = f"/api/v1/consignments/{CODE}/report."
    kinds = {
        "pdf?language=nb": "application/pdf",
        "csv": "text/csv; charset=utf-8",
        "csv?variant=excel-no": "text/csv; charset=utf-8",
        "json": "application/json",
        "fhir.json?language=en": "application/fhir+json",
    }
    for name, kind in kinds.items():
        answer = await http.get(base + name)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == kind
        assert "SEND_1-" in answer.headers["content-disposition"]
    with hub.store.read() as connection:
        acts = connection.execute(select(schema.audit).where(schema.audit.c.act == "export")).all()
    assert [json.loads(act.new)["form"] for act in acts] == ["pdf", "csv", "excel-no.csv", "json", "fhir.json"]
    assert {act.subject for act in acts} == {f"consignment {CODE}"}
    assert {act.who for act in acts} == {"anonymous"}


async def test_what_cannot_be_taken_is_said(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await http.get("/api/v1/consignments/NONE/report.pdf")).status_code == 404
    wrong = await http.get(f"/api/v1/consignments/{CODE}/report.pdf?language=xx")
    assert wrong.status_code == 422
    assert "language" in wrong.text
    assert (await http.get(f"/api/v1/consignments/{CODE}/report.csv?variant=latin")).status_code == 422
    monkeypatch.setattr(gathering, "READINGS_MAX", 10)
    many = await http.get(f"/api/v1/consignments/{CODE}/report.csv")
    assert many.status_code == 422
    assert "coldchain export" in many.text


async def test_what_changes_all_the_time_is_not_taken(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(1000))
    monkeypatch.setattr(gathering, "_fingerprint", lambda *_: next(moments))
    assert (await http.get(f"/api/v1/consignments/{CODE}/report.json")).status_code == 409


async def test_the_bench_leads_to_the_reports(http: httpx.AsyncClient) -> None:
    page = (await http.get(f"/bench?code={CODE}", headers={"accept-language": "nb"})).text
    for link in ("report.pdf?language=nb", "report.csv?variant=excel-no", "report.fhir.json?language=nb"):
        assert f"/api/v1/consignments/{CODE}/{link}" in page
        assert (await http.get(f"/api/v1/consignments/{CODE}/{link}")).status_code == 200


def test_the_command_writes_and_the_other_proves(hub: Rooms, settings: Path, tmp_path: Path) -> None:
    file, key = tmp_path / "out.pdf", hub.key.public_bytes.hex()
    status, said = run("report", CODE, "--settings", str(settings), "--output", str(file))
    assert status == 0, said
    assert key in said
    status, said = run("verify", str(file), "--hub-key", key)
    assert status == 0, said
    assert "seal, pages, 2 attached files: complete, in order, unaltered, signed" in said
    assert "the same to the last byte" in said
    file.write_bytes(file.read_bytes().replace(b"/Author", b"/Autohr", 1))
    status, said = run("verify", str(file), "--hub-key", key, "--json")
    assert status == 1
    assert json.loads(said)["findings"][0]["reason"] == "the file was changed after the hub sealed it"


@pytest.mark.parametrize("form", ["csv", "excel-no", "json", "fhir"])
def test_the_command_writes_every_form(settings: Path, tmp_path: Path, form: str) -> None:
    file = tmp_path / "out"
    arguments = ("report", CODE, "--settings", str(settings), "--format", form, "--output", str(file))
    assert run(*arguments)[0] == 0
    first = file.read_bytes()
    status, said = run(*arguments)
    assert (status, "--force" in said) == (2, True)
    assert run(*arguments, "--force")[0] == 0
    assert file.read_bytes() == first


def test_the_command_says_what_is_wrong_in_one_line(settings: Path, tmp_path: Path, hub: Rooms) -> None:
    status, said = run("report", "NONE", "--settings", str(settings), "--output", str(tmp_path / "out.pdf"))
    assert (status, said.count("\n")) == (2, 1)
    assert "there is no consignment 'NONE'" in said
    file = tmp_path / "no.pdf"
    file.write_bytes(b"%PDF-1.7 nothing")
    status, said = run("verify", str(file), "--hub-key", hub.key.public_bytes.hex())
    assert status == 1
    assert "is not a report" in said
    status, said = run("verify", str(file))
    assert status == 2
    assert "--hub-key" in said
