from __future__ import annotations

import csv
import io
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result
from pyarrow import parquet
from sqlalchemy import select

from gateway.cli import main
from gateway.core.configuration import Box, Calibration, Consignment, Logger
from gateway.core.errors import InputError
from gateway.core.readings import merge_observations
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.projection.points import reading_lines
from gateway.hub.record.archive import Archive
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.ingest import Ingest
from gateway.hub.tabular import forms, selection
from gateway.hub.tabular.exporting import export_readings
from gateway.hub.tabular.forms import COLUMNS, Form, guard_cell
from gateway.hub.tabular.selection import Selection, iter_rows, select_pieces
from tests.hub.vans import LOGGER, START_MS, Van, iso, observe

OTHER = "C0:FF:EE:00:00:02"
STRAY = "=cmd|' /C calc'!A0"
DAYS = 2
STEP_S = 3600
PER_LOGGER = DAYS * 24


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Which database it is changes nothing here."""
    return f"sqlite:///{tmp_path / 'hub.sqlite3'}"


@pytest.fixture
def archived(store: Store, van: Van) -> Store:
    """Two days of three loggers: two in boxes, with a certificate of +0.5 °C for one, and a stray."""
    registry = Registry(store, lambda: START_MS)
    for box in ("BOX-1", "BOX-2"):
        registry.put_box(Box(code=box), "test")
    certificate = Calibration(
        certificate="C-1",
        calibrated_at=datetime.fromtimestamp(START_MS / 1000, UTC) - timedelta(days=9),
        due_at=datetime.fromtimestamp(START_MS / 1000, UTC) + timedelta(days=90),
        offset_c=0.5,
    )
    registry.put_logger(Logger(address=LOGGER, box="BOX-1", calibration=certificate), "test")
    registry.put_logger(Logger(address=OTHER, box="BOX-2"), "test")
    for hour in range(PER_LOGGER):
        at_s = hour * STEP_S
        van.seal(
            observe(at_s, -5.0, logger=LOGGER, counter=hour),
            observe(at_s + 1, 4.0, logger=OTHER),
            observe(at_s + 1, 4.0, logger=OTHER),  # heard twice
            observe(at_s + 2, 6.0, logger=STRAY),
        )
    Ingest(store, lambda: START_MS).take(van.deliveries())
    return store


def export(store: Store, asked: Selection, form: Form, *, zone: str = "UTC") -> bytes:
    file = io.BytesIO()
    export_readings(store, asked, form, file, START_MS, zone=ZoneInfo(zone))
    return file.getvalue()


def table(data: bytes, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig")), delimiter=delimiter))


def test_a_csv_says_what_the_archive_holds(archived: Store) -> None:
    rows = table(export(archived, Selection(), Form.CSV, zone="Europe/Oslo"))
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == 3 * PER_LOGGER
    first = next(row for row in rows if row["logger"] == LOGGER)
    assert (first["temperature_c"], first["box"], first["counter"]) == ("-4.500", "BOX-1", "0")
    moment = datetime.fromisoformat(first["time"])
    assert (moment.timestamp() * 1000, moment.utcoffset()) == (START_MS, timedelta(hours=2))


def test_excel_gets_commas_a_mark_and_no_formula(archived: Store) -> None:
    data = export(archived, Selection(), Form.EXCEL)
    assert data.startswith(b"\xef\xbb\xbftime;logger;")
    rows = table(data, ";")
    assert {row["temperature_c"] for row in rows} == {"-4,500", "4,000", "6,000"}
    assert {row["logger"] for row in rows} == {LOGGER, OTHER, f"'{STRAY}"}


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_cell_that_would_be_a_formula_is_text(text: str) -> None:
    assert guard_cell(text) == f"'{text}"
    assert guard_cell(f"a{text}") == f"a{text}"


def test_line_protocol_is_what_the_projection_writes(archived: Store) -> None:
    merged = merge_observations(Archive(archived).observations(LOGGER, 0, 1 << 60), offset_c=0.5)
    lines = export(archived, Selection(loggers=[LOGGER]), Form.LINES).decode().splitlines()
    assert lines == reading_lines(LOGGER, merged.readings)
    assert len(lines) == PER_LOGGER


def test_parquet_is_read_back(archived: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "ROWS_PER_GROUP", 20)
    path = tmp_path / "t.parquet"
    path.write_bytes(export(archived, Selection(boxes=["BOX-1"]), Form.PARQUET))
    file = parquet.ParquetFile(path)
    rows = file.read().to_pylist()
    assert file.num_row_groups > 1
    assert len(rows) == PER_LOGGER
    assert rows[0] == {
        "time": datetime.fromtimestamp(START_MS / 1000, UTC),
        "logger": LOGGER,
        "box": "BOX-1",
        "temperature_c": -4.5,
        "interval_s": 30,
        "source": "live",
        "clock_trusted": True,
        "time_error_ms": 0,
        "counter": 0,
        "light_lux": None,
        "shock_g": None,
    }


def test_an_export_of_nothing_has_its_columns(archived: Store, tmp_path: Path) -> None:
    nothing = Selection(loggers=[LOGGER], from_ms=0, to_ms=1)
    assert table(export(archived, nothing, Form.CSV)) == []
    path = tmp_path / "t.parquet"
    path.write_bytes(export(archived, nothing, Form.PARQUET))
    assert parquet.ParquetFile(path).schema_arrow.names == list(COLUMNS)


def test_a_span_ends_before_its_end(archived: Store) -> None:
    span = Selection(loggers=[LOGGER], from_ms=START_MS + STEP_S * 1000, to_ms=START_MS + 3 * STEP_S * 1000)
    assert [row["counter"] for row in table(export(archived, span, Form.CSV))] == ["1", "2"]


def test_a_consignment_is_its_boxes_while_they_carried_it(archived: Store) -> None:
    carriage = [{"box": "BOX-1", "begins": iso(STEP_S), "ends": iso(STEP_S * 4)}]
    item = {"code": "T-1", "kind": "sample", "examinations": [{"code": "K", "profile": "potassium"}]}
    document = Consignment.model_validate({"code": "C-1", "items": [item], "carriage": carriage}).model_dump_json()
    with archived.write() as connection:
        connection.execute(
            schema.consignments.insert().values(code="C-1", version=1, document=document, registered_at_ms=START_MS)
        )
    rows = table(export(archived, Selection(consignment="C-1"), Form.CSV))
    assert [(row["logger"], row["counter"]) for row in rows] == [(LOGGER, str(hour)) for hour in (1, 2, 3)]


def test_windows_change_nothing_and_few_rows_are_held(archived: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = export(archived, Selection(), Form.CSV)
    monkeypatch.setattr(selection, "WINDOW_MS", 3 * STEP_S * 1000)
    assert export(archived, Selection(), Form.CSV) == whole
    sizes = [len(rows) for rows in iter_rows(Archive(archived), select_pieces(archived, Selection()))]
    assert (max(sizes), sum(sizes)) == (3, 3 * PER_LOGGER)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (Selection(loggers=["NOBODY"]), "--logger"),
        (Selection(boxes=["BOX-9"]), "--box"),
        (Selection(consignment="C-9"), "--consignment"),
    ],
)
def test_what_is_not_known_is_named(archived: Store, asked: Selection, field: str) -> None:
    with pytest.raises(InputError, match=f"^{field}: "):
        export(archived, asked, Form.CSV)


def test_without_pyarrow_the_extra_is_named(archived: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"--parquet: needs pyarrow: .*\[parquet\]"):
        export(archived, Selection(), Form.PARQUET)


def run(tmp_path: Path, database: str, *arguments: str) -> Result:
    settings = tmp_path / "hub.toml"
    settings.write_text(f'data_dir = "{tmp_path / "data"}"\ndatabase = "{database}"\n')
    return CliRunner().invoke(main, ["export", "--settings", str(settings), *arguments])


def test_the_command_writes_prints_and_is_on_record(archived: Store, database: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    result = run(tmp_path, database, "--csv", "--logger", LOGGER, "--from", iso(STEP_S), "--output", str(path))
    assert result.exit_code == 0, result.output
    printed = run(tmp_path, database, "--csv", "--logger", LOGGER, "--from", iso(STEP_S), "--output", "-")
    assert printed.stdout_bytes == path.read_bytes()
    assert len(table(path.read_bytes())) == PER_LOGGER - 1
    with archived.read() as connection:
        told = connection.execute(select(schema.audit.c.new).where(schema.audit.c.act == "export")).scalars().all()
    assert [json.loads(each)["rows"] for each in told] == [PER_LOGGER - 1] * 2


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--box", "B"], "--box"),
        (["--csv", "--gateway", "van-1"], "--gateway"),
        (["--csv", "--from", "yesterday"], "--from"),
        (["--csv", "--from", "2026-03-02", "--to", "2026-03-01"], "--to"),
        (["--csv", "--timezone", "Mars"], "--timezone"),
        (["--csv", "--from", "2026-03-29T02:30", "--timezone", "Europe/Oslo"], "--from"),
        (["--consignment", "C-9"], "consignment"),
    ],
)
def test_wrong_options_are_one_line(
    archived: Store, database: str, tmp_path: Path, arguments: list[str], field: str
) -> None:
    result = run(tmp_path, database, *arguments, "--output", str(tmp_path / "t"))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"coldchain: {field}: ")
    assert result.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("t")] == []


def test_a_file_that_is_there_stays(archived: Store, database: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("mine")
    assert run(tmp_path, database, "--csv", "--output", str(path)).exit_code == 2
    assert path.read_text() == "mine"
    assert run(tmp_path, database, "--csv", "--force", "--output", str(path)).exit_code == 0


@pytest.mark.parametrize("form", ["--csv", "--force"])
def test_a_folder_that_is_not_there_is_named(archived: Store, database: str, tmp_path: Path, form: str) -> None:
    result = run(tmp_path, database, form, "--output", str(tmp_path / "no" / "t"))
    assert (result.exit_code, result.stderr.endswith("t: --output: No such file or directory\n")) == (2, True)
