from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Connection, select

from gateway.cli import main
from gateway.core.configuration import Box, Consignment, Logger
from gateway.core.verdicts import Verdict
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.judgement.verdict_history import read_current
from gateway.hub.judgement.watch import Watch
from gateway.hub.proof.verification import verify_consignment, verify_store
from gateway.hub.record.archive import Archive
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.registry import Registry
from gateway.hub.replication import importing
from gateway.hub.replication.authenticity import Delivery
from gateway.importers.files import read_recording
from tests.hub.test_vigils import WARM
from tests.hub.test_watch import Hand
from tests.hub.vans import LOGGER, START_MS, iso, sqlite_only
from tests.importers.conftest import Q_TAG, recording_path

NOW_S = 30 * 86_400
"""As these imports have it, since START_MS."""


@pytest.fixture
def registered(store: Store) -> Store:
    registry = Registry(store, lambda: START_MS)
    registry.put_box(Box(code="BOX-1"), "test")
    registry.put_logger(Logger(address=LOGGER, box="BOX-1"), "test")
    return store


def run(folder: Path, database: str, *arguments: str) -> Result:
    settings = folder / "hub.toml"
    now = f'[clock]\nstart = "{iso(0)}"\nstop = "{iso(NOW_S)}"\nrate = 1e5\nanchor_ns = 0\n'
    settings.write_text(f'data_dir = "{folder / "data"}"\ndatabase = "{database}"\n{now}')
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


@sqlite_only
def test_one_refused_file_is_named_and_the_others_are_taken(registered: Store, database: str, tmp_path: Path) -> None:
    for name, at_s in (("a.csv", NOW_S + 86_400), ("b.csv", 0)):
        (tmp_path / name).write_text(f"t,c\n{iso(at_s)},4\n{iso(at_s + 60)},5\n")
    result = run(tmp_path, database, *(str(tmp_path / name) for name in ("a.csv", "b.csv")))
    assert (result.exit_code, result.stdout.count("imported"), Archive(registered).counts().chained) == (1, 1, 1)
    assert "a.csv: time: 2026-07-22 00:00 UTC is in the future" in result.stderr
    nameless = run(tmp_path, database, "--logger", "", str(tmp_path / "b.csv"))
    assert "--logger: is needed" in nameless.stderr


@sqlite_only
def test_every_option_that_a_refusal_names_is_there(registered: Store, database: str, tmp_path: Path) -> None:
    path = tmp_path / "autumn.csv"
    path.write_text("t;c\n" + "".join(f"26.10.2025 {hour:02}:30;4,5\n" for hour in (1, 2, 2, 3)))
    given = ["--timezone", "Europe/Oslo", "--format", "%d.%m.%Y %H:%M", "--ambiguous", "in-order"]
    refused = [run(tmp_path, database, *given[:count], str(path)).stderr for count in (2, 4)]
    assert ["--format" in refused[0], "--ambiguous" in refused[1]] == [True, True]
    assert run(tmp_path, database, *given, str(path)).exit_code == 0
    found = [one.measured_at_ms for one in Archive(registered).observations(LOGGER, 0, 1 << 60)]
    assert {after - before for before, after in pairwise(found)} == {3_600_000}
    path.write_text("t;c\n26.10.2025 12:00;4,5\n")
    assert "--interval" in run(tmp_path, database, *given, str(path)).stderr
    with registered.read() as connection:
        kept = connection.execute(select(schema.quarantine.c.times)).scalars().all()
    assert kept == [2]  # an interval that is not given is no fault of the file
    assert run(tmp_path, database, *given, "--interval", "5 min", str(path)).exit_code == 0


def test_what_breaks_off_leaves_nothing_and_is_taken_again(
    registered: Store, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t,c\n" + "".join(f"{iso(place * 60)},{4 + place % 3}\n" for place in range(9000)))
    take, taken = importing.take_within, []

    def fail_at_the_second(connection: Connection, portion: list[Delivery], now_ms: int) -> None:
        taken.append(portion)
        if len(taken) == 2:
            raise OSError("the disk is full")
        take(connection, portion, now_ms)

    monkeypatch.setattr(importing, "PORTION", 1)
    monkeypatch.setattr(importing, "take_within", fail_at_the_second)
    assert isinstance(run(tmp_path, database, str(path)).exception, OSError)
    with registered.read() as connection:
        assert "import" not in connection.execute(select(schema.audit.c.act)).scalars().all()
    assert Archive(registered).counts().chained == 0
    assert run(tmp_path, database, str(path)).exit_code == 0
    assert (len(taken), Archive(registered).counts().chained) == (5, 3)
    assert verify_store(registered).is_proven


@pytest.mark.parametrize("form", ["berlinger", "csv"])
def test_a_recording_is_judged_from_import_to_verdict(store: Store, database: str, tmp_path: Path, form: str) -> None:
    if form == "berlinger":
        path = recording_path(Q_TAG)
        recording = read_recording(path)
        readings, begins_ms, ends_ms = recording.readings, recording.begins_ms or 0, recording.ends_ms or 0
    else:
        path = tmp_path / "trip.csv"
        path.write_text("t,c\n" + "".join(f"{iso(place * 60)},{12 if place > 60 else 5}\n" for place in range(120)))
        begins_ms, ends_ms, readings = START_MS, START_MS + 120 * 60_000, (None,) * 120
    clock = Hand()
    clock.now = ends_ms + 3_600_000
    registry = Registry(store, clock.now_ms)
    registry.put_box(Box(code="BOX-1"), "test")
    registry.put_logger(Logger(address=LOGGER, box="BOX-1", memory_interval_s=600), "test")
    registry.put_profile(WARM.model_copy(update={"lives": ()}), "test")
    begins, ends = (datetime.fromtimestamp(at_ms / 1000, UTC).isoformat() for at_ms in (begins_ms, ends_ms))
    document = {
        "code": "C-1",
        "items": [{"code": "T-1", "kind": "sample", "examinations": [{"code": "K", "profile": "warm-8"}]}],
        "carriage": [{"box": "BOX-1", "begins": begins}],
        "received_at": ends,
    }
    registry.put_consignment(Consignment.model_validate(document), "nurse")
    watch = Watch(
        store,
        Archive(store),
        registry,
        Configurations(store, clock.now_ms, demonstration=True),
        clock,
    )
    watch.judge_marked()
    assert _verdict(store) is Verdict.INSUFFICIENT_DATA
    result = run(tmp_path, database, "--box", "BOX-1", str(path))
    assert result.exit_code == 0, result.output
    watch.judge_marked()
    with store.read() as connection:
        (judged,) = read_current(connection, "C-1")
    assert judged.judgement.verdict is Verdict.REJECT
    assert judged.judgement.figures.readings == len(readings)
    assert judged.judgement.breaches
    proven = verify_consignment(store, "C-1")
    assert proven is not None
    assert proven.is_proven


def _verdict(store: Store) -> Verdict:
    with store.read() as connection:
        (judged,) = read_current(connection, "C-1")
    return judged.judgement.verdict
