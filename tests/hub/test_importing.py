from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from gateway.cli import main
from gateway.core.configuration import Box, Logger
from gateway.hub import schema
from gateway.hub.archive import Archive
from gateway.hub.registry import Registry
from gateway.hub.store import Store
from gateway.hub.verification import verify_store
from tests.hub.vans import LOGGER, START_MS, iso


@pytest.fixture
def registered(store: Store) -> Store:
    registry = Registry(store, lambda: START_MS)
    registry.put_box(Box(code="BOX-1"), "test")
    registry.put_logger(Logger(address=LOGGER, box="BOX-1"), "test")
    return store


def run(folder: Path, database: str, *arguments: str) -> Result:
    settings = folder / "hub.toml"
    settings.write_text(f'data_dir = "{folder / "data"}"\ndatabase = "{database}"\n')
    columns = ["--time-column", "t", "--temperature-column", "c", "--logger", LOGGER]
    return CliRunner().invoke(main, ["import", "--settings", str(settings), *columns, *arguments])


def test_files_are_archived_once_signed_and_on_record(registered: Store, database: str, tmp_path: Path) -> None:
    files = [tmp_path / "a.csv", tmp_path / "broken.csv", tmp_path / "b.csv"]
    for number, path in enumerate(files):
        rows = "".join(f"{iso(number * 600_000 + place * 60)},{4 + place % 3}\n" for place in range(5000))
        path.write_text("t,c\n" + ("nonsense,1\n" if "broken" in path.name else rows))
    names = [str(path) for path in files]
    dry = run(tmp_path, database, "--dry-run", *names)
    assert (dry.exit_code, Archive(registered).counts().chained) == (1, 0)
    assert run(tmp_path, database, "--box", "BOX-1", *names).exit_code == 1
    assert run(tmp_path, database, *names).stdout.count("was here already") == 2
    report = verify_store(registered)
    assert (report.is_proven, report.epochs, report.tally.segments) == (True, 2, 4), report.findings
    found = Archive(registered).observations(LOGGER, 0, 1 << 60)
    assert (len(found), found[1].measured_at_ms, found[1].temperature_mc) == (10_000, START_MS + 60_000, 5000)
    with registered.read() as connection:
        acts = connection.execute(select(schema.audit.c.act)).scalars().all()
        assert acts.count("import") == 2
        assert connection.execute(select(schema.quarantine.c.times)).scalars().all() == [2]
        assert connection.execute(select(schema.alerts.c.kind)).scalars().all() == []


@pytest.mark.parametrize(
    ("more", "field"), [(["--logger", "C0:FF:EE:00:00:99"], "--logger"), (["--box", "BOX-9"], "--box")]
)
def test_readings_that_cannot_be_the_loggers_are_refused(
    registered: Store, database: str, tmp_path: Path, more: list[str], field: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"t,c\n{iso(0)},4\n{iso(60)},5\n")
    result = run(tmp_path, database, *more, str(path))
    assert (result.exit_code, result.stderr.startswith(f"coldchain: {field}: ")) == (2, True), result.output
