from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Boolean, Connection, Float, LargeBinary, Table, event, insert, select, update
from sqlalchemy.types import Integer, String

from gateway.cli import main
from gateway.core.errors import InputError
from gateway.hub.audit.acts import Act, record_act
from gateway.hub.database import schema
from gateway.hub.database.store import Store, make_engine, open_store
from gateway.hub.proof.verification import verify_store
from gateway.hub.replication.ingest import Ingest
from gateway.hub.upkeep import relocation
from gateway.hub.upkeep.relocation import Progress, digest_rows, move_store, plan_move
from tests.hub.vans import START_MS, Van, observe
from tests.servers.postgres import Cluster

ROWS = 3


@pytest.fixture
def elsewhere(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of the other kind."""
    if not database.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'new' / 'hub.sqlite3'}"
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    url = cluster.make_database(empty=True)
    yield url
    cluster.drop_database(url)


def value_for(table: Table, name: str, number: int) -> object:
    """A value that is as awkward as its column allows, and another one in each row."""
    kind = table.c[name].type
    if table.c[name].foreign_keys:
        (key,) = table.c[name].foreign_keys
        if key.column.table is table:
            return ROWS + 1 - number if name == "merged_into" else None  # rows refer to later ones
        return value_for(key.column.table, key.column.name, number)
    if isinstance(kind, String):
        return f"{number} «Ærø'\"\n" if kind.length is None else f"{number}Å"
    by_kind: dict[type, object] = {
        LargeBinary: bytes([0, 255, number]) * 5,
        Boolean: bool(number % 2),
        Float: number + 0.1,
        Integer: number,
    }
    return by_kind.get(type(kind), number if table.c[name].primary_key else (1 << 40) + number)


def fill(store: Store) -> None:
    """Put rows into every table that has none."""
    with store.write() as connection:
        for table in schema.metadata.sorted_tables:
            if connection.execute(select(*table.primary_key).limit(1)).first() is not None or table is schema.audit:
                continue
            rows = [
                {name: value_for(table, name, number) for name in table.columns.keys()}  # noqa: SIM118  not a dict
                for number in range(1, ROWS + 1)
            ]
            if table is not schema.breaches:
                connection.execute(insert(table), rows)
                continue
            connection.execute(insert(table), [row | {"merged_into": None} for row in rows])
            for row in rows:
                connection.execute(update(table).where(table.c.id == row["id"]).values(merged_into=row["merged_into"]))
        record_act(connection, Act("tester", "try", "hub", reason="Grønn"), START_MS)


def content(connection: Connection) -> dict[str, set[tuple[object, ...]]]:
    return {
        table.name: {tuple(row) for row in connection.execute(select(table))} for table in schema.metadata.sorted_tables
    }


def contents_of(url: str) -> dict[str, set[tuple[object, ...]]]:
    store = open_store(url)
    try:
        with store.read() as connection:
            return content(connection)
    finally:
        store.close()


@pytest.fixture
def filled(store: Store, van: Van, database: str) -> str:
    """Two real segments, the rest of the tables full of awkward rows, and nobody who has it open."""
    for place in range(2):
        van.seal(observe(place * 30, 5.0 + place / 10, counter=place))
    Ingest(store, lambda: START_MS).take(van.deliveries())
    store.close()
    return database


def test_every_table_arrives_as_it_was(database: str, elsewhere: str, store: Store) -> None:
    fill(store)
    store.close()
    before = contents_of(database)
    assert [name for name, rows in before.items() if not rows] == []
    rows = move_store(database, elsewhere, START_MS)
    assert contents_of(database) == before
    after = contents_of(elsewhere)
    acts = after.pop("audit") - before.pop("audit")
    assert after == before
    assert [row[3] for row in acts] == ["migrate_store"]
    assert rows["logger_hours"] == len(before["logger_hours"])


def test_the_moved_store_is_proven_and_goes_on(filled: str, elsewhere: str, van: Van) -> None:
    move_store(filled, elsewhere, START_MS)
    moved = open_store(elsewhere)
    van.seal(observe(90, 5.5, counter=9))
    Ingest(moved, lambda: START_MS).take(van.deliveries())
    report = verify_store(moved)
    moved.close()
    assert (report.is_proven, report.tally.segments, report.acts) == (True, 3, 1)


def test_numbers_that_were_given_do_not_come_back(filled: str, elsewhere: str, store: Store) -> None:
    with store.write() as connection:
        for _ in range(5):
            connection.execute(insert(schema.events).values(kind="k", data="{}", at_ms=1))
        last = connection.execute(select(schema.events.c.id).order_by(schema.events.c.id.desc())).scalars().first()
        connection.execute(schema.events.delete())
    store.close()
    move_store(filled, elsewhere, START_MS)
    moved = open_store(elsewhere)
    with moved.write() as connection:
        connection.execute(insert(schema.events).values(kind="k", data="{}", at_ms=1))
        found = connection.execute(select(schema.events.c.id)).scalar_one()
    moved.close()
    assert last is not None
    assert found > last


def test_it_holds_few_rows_at_a_time(
    filled: str, elsewhere: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.write() as connection:
        connection.execute(insert(schema.boxes), [{"code": f"B-{n}", "document": "{}"} for n in range(100)])
    store.close()
    sizes: list[int] = []
    batches = relocation._batches

    def watched(connection: Connection, table: Table) -> Iterator[Sequence[Sequence[object]]]:
        for batch in batches(connection, table):
            sizes.append(len(batch))
            yield batch

    monkeypatch.setattr(relocation, "FETCHED", 7)
    monkeypatch.setattr(relocation, "_batches", watched)
    counts: list[int] = []
    move_store(filled, elsewhere, START_MS, progress=counts.append)
    assert max(sizes) == 7
    assert counts == sorted(counts)
    assert len(counts) > 100 // 7


def test_a_database_in_use_is_refused(filled: str, elsewhere: str) -> None:
    hub = open_store(filled)
    with hub.read() as connection:
        connection.execute(select(schema.hub_state))
    try:
        with pytest.raises(InputError, match=r"^database: is in use"):
            move_store(filled, elsewhere, START_MS)
        assert any("database: is in use" in each for each in plan_move(filled, elsewhere).obstacles)
    finally:
        hub.close()
    move_store(filled, elsewhere, START_MS)


def test_a_target_that_holds_something_is_refused(filled: str, elsewhere: str) -> None:
    other = open_store(elsewhere)  # a hub that was only started leaves nothing of worth
    other.close()
    assert plan_move(filled, elsewhere).obstacles == []
    move_store(filled, elsewhere, START_MS)
    before = contents_of(elsewhere)
    with pytest.raises(InputError, match=r"^--to: is not empty: "):
        move_store(filled, elsewhere, START_MS)
    assert any("not empty" in each for each in plan_move(filled, elsewhere).obstacles)
    assert contents_of(elsewhere) == before


def test_what_breaks_off_leaves_nothing_and_can_be_done_again(
    filled: str, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall(count: int) -> None:
        if count > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move_store(filled, elsewhere, START_MS, progress=fall)
    move_store(filled, elsewhere, START_MS)


def test_a_copy_that_differs_is_not_kept(filled: str, elsewhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = relocation._copy

    def corrupt(
        old: Connection, new: Connection, table: Table, done: int, progress: Progress | None
    ) -> relocation.Contents:
        contents = copy(old, new, table, done, progress)
        if table is schema.gateways:
            new.execute(update(table).values(created_at_ms=1))
        return contents

    with monkeypatch.context() as patched:
        patched.setattr(relocation, "_copy", corrupt)
        with pytest.raises(InputError, match="table gateways is not what was written"):
            move_store(filled, elsewhere, START_MS)
    assert not plan_move(filled, elsewhere).obstacles
    move_store(filled, elsewhere, START_MS)


def test_a_row_that_does_not_fit_names_its_table(postgres: Cluster, tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path / 'hub.sqlite3'}"
    store = open_store(source)
    with store.write() as connection:
        connection.execute(insert(schema.boxes).values(code="B" * 65, document="{}"))
    store.close()
    target = postgres.make_database(empty=True)
    with pytest.raises(InputError, match=r"^--to: table boxes: .*too long"):
        move_store(source, target, START_MS)
    postgres.drop_database(target)


def test_an_older_database_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "hub.sqlite3"
    open_store(f"sqlite:///{source}").close()
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(InputError, match="database: has tables of version 0001"):
        move_store(f"sqlite:///{source}", f"sqlite:///{tmp_path / 'new.sqlite3'}", START_MS)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nonsense", "--to: is not a database URL"),
        ("mysql://hub@db/coldchain", "--to: is not a database URL"),
        ("{source}", "--to: is the database in use"),
    ],
)
def test_a_wrong_target_is_one_line(tmp_path: Path, target: str, reason: str) -> None:
    source = f"sqlite:///{tmp_path / 'hub.sqlite3'}"
    open_store(source).close()
    with pytest.raises(InputError, match=reason):
        move_store(source, target.format(source=source), START_MS)


def test_the_digest_needs_no_order_and_sees_one_bit() -> None:
    rows = [(1, b"a", "x", 0.5, None, True), (2, b"b", "y", 1.5, 7, False)]
    assert digest_rows(iter(rows)) == digest_rows(iter(rows[::-1]))
    assert digest_rows(iter(rows)) != digest_rows(iter([rows[0], (2, b"c", "y", 1.5, 7, False)]))
    assert digest_rows(iter(rows)) != digest_rows(iter([*rows, rows[0]]))


def test_the_command_plans_moves_and_verifies(filled: str, elsewhere: str, tmp_path: Path) -> None:
    settings = tmp_path / "hub.toml"
    settings.write_text(f'data_dir = "{tmp_path / "data"}"\ndatabase = "{filled}"\n')
    command = ["hub", "migrate-store", "--settings", str(settings), "--to", elsewhere]
    planned = CliRunner().invoke(main, [*command, "--dry-run"])
    assert planned.exit_code == 0, planned.output
    assert "would be moved" in planned.stdout
    assert not Path(elsewhere.removeprefix("sqlite:///")).exists()
    moved = CliRunner().invoke(main, command)
    assert moved.exit_code == 0, moved.output
    assert "verified: 2 segments in 1 epochs" in moved.stdout
    again = CliRunner().invoke(main, [*command, "--dry-run"])
    assert (again.exit_code, "in the way: --to: is not empty" in again.stdout) == (1, True)


def test_only_the_source_is_read(filled: str, elsewhere: str) -> None:
    """No statement changes the source."""
    said: list[str] = []
    engine = make_engine(filled)

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        said.append(statement.split(maxsplit=1)[0].upper())

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(relocation, "make_engine", lambda url: engine if url == filled else make_engine(url))
        event.listen(engine, "before_cursor_execute", note)
        move_store(filled, elsewhere, START_MS)
    assert set(said) <= {"SELECT", "LOCK", "BEGIN", "PRAGMA", "SHOW"}
