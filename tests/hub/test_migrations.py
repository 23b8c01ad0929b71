"""What a database of an earlier version says after it was brought to the newest one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, Table, inspect, select

from gateway.core.configuration import Consignment
from gateway.core.contents import decode_content
from gateway.core.dating import Dating, Mark
from gateway.core.observations import Observation
from gateway.hub.database import migrations, schema
from gateway.hub.database.store import Store, make_engine, open_store
from gateway.hub.record.archive import Archive
from gateway.hub.record.boots import encode_dating
from gateway.hub.record.index import BLOCK, HOUR_MS
from tests.hub.vans import BOOT, LOGGER, START_MS, Van, observe
from tests.servers.postgres import Cluster

OTHER = "C0:FF:EE:00:00:02"
SEGMENTS = 520
"""More than the re-indexing reads at once."""
LATE_MS = 86_400_000
UNTRUSTED, UNREADABLE, HELD = 0, 7, SEGMENTS - 1


@pytest.fixture
def van() -> Van:
    """Seals each 30 s; one segment holds a logger's memory of five hours, one cannot be decoded."""
    van = Van()
    unsure = msgspec.structs.replace(observe(0, 5.0), clock_trusted=False)
    van.seal(unsure)
    for number in range(1, SEGMENTS):
        rows = [observe(30 * number, 5.0), observe(30 * number + 10, 6.0, logger=OTHER)]
        if number == UNREADABLE:
            van.seal_bytes(b"\x07nothing")
        elif number == BLOCK:
            van.seal(*rows, *(observe(-3600 * hours, 4.0) for hours in (5, 4, 2)))
        else:
            van.seal(*rows)
    return van


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest, tmp_path: Path, van: Van) -> Iterator[str]:
    """A database as version 7 left it."""
    postgres: Cluster | None = None
    database = f"sqlite:///{tmp_path / 'hub.sqlite3'}"
    if request.param == "postgresql":
        postgres = request.getfixturevalue("postgres")
        database = postgres.make_database(empty=True)
    engine = make_engine(database)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        command.upgrade(config, "0007")
        _fill(connection, van)
    engine.dispose()
    yield database
    if postgres is not None:
        postgres.drop_database(database)


def _fill(connection: Connection, van: Van) -> None:
    def put(table: str, *rows: Mapping[str, object]) -> None:
        connection.execute(Table(table, MetaData(), autoload_with=connection).insert(), [dict(row) for row in rows])

    put("gateways", {"name": van.name, "created_at_ms": START_MS})
    known = {"id": 1, "gateway": van.name, "epoch": van.epoch, "next_offset": HELD, "head": van.sealed[HELD - 1].hash}
    put("epochs", known | {"opened_at_ms": START_MS, "projected_offset": 0})
    same = {"epoch_id": 1, "received_at_ms": START_MS, "config_version": 1}
    put(
        "segments",
        *(
            {
                **same,
                "id": number + 1,
                "position": number,
                "hash": segment.hash,
                "verbatim": segment.to_bytes(),
                "sealed_at_ms": segment.header.sealed_at_ms,
                "chained": number != HELD,
                "content": "undecodable" if number == UNREADABLE else "readable",
            }
            for number, segment in enumerate(van.sealed)
        ),
    )
    dating = encode_dating(Dating((Mark(0, START_MS + LATE_MS, 0),)))
    put("boots", {"id": 1, "gateway": van.name, "boot": BOOT, "dating": dating, "due": False})
    put("untrusted_segments", {"segment_id": UNTRUSTED + 1, "boot_id": 1})
    parcels = [
        _parcel("C-1", receiver="lab", vehicle="van-1", planned_arrival="2026-06-21T02:00:00+02:00"),
        _parcel("C-2"),
    ]
    put(
        "consignments",
        *(
            {"code": one.code, "version": 1, "document": one.model_dump_json(), "registered_at_ms": 0}
            for one in parcels
        ),
    )
    put("consignment_items", *({"item": item.code, "consignment": one.code} for one in parcels for item in one.items))


def _parcel(code: str, **stated: str) -> Consignment:
    examinations = [{"code": "K", "profile": "potassium"}]
    items = [{"code": f"{code}-{kind}", "kind": kind, "examinations": examinations} for kind in ("sample", "medicine")]
    return Consignment.model_validate({"code": code, "items": items, **stated})


def _expected(van: Van) -> Iterator[tuple[int, Observation]]:
    """What may be read: (offset, observation), the first as its boot's dating has it."""
    for number, segment in enumerate(van.sealed):
        if number not in {UNREADABLE, HELD}:
            for observation in decode_content(segment.body or b"").observations:
                late_ms = LATE_MS if number == UNTRUSTED else 0
                yield number, msgspec.structs.replace(observation, measured_at_ms=observation.measured_at_ms + late_ms)


def test_version_8_finds_every_reading_of_before_and_none_beside(old: str, van: Van) -> None:
    store: Store = open_store(old)
    try:
        with store.read() as connection:
            rows = connection.execute(select(schema.logger_hours)).all()
            assert "segment_loggers" not in inspect(connection).get_table_names()
        found = {
            (row.logger, row.hour, row.epoch_id, row.block * BLOCK + bit)
            for row in rows
            for bit in range(BLOCK)
            if row.places >> bit & 1
        }
        wanted = list(_expected(van))
        assert found == {(o.logger, o.measured_at_ms // HOUR_MS, 1, number) for number, o in wanted}
        archive = Archive(store)
        for logger in (LOGGER, OTHER):
            read = archive.observations(logger, START_MS - LATE_MS, START_MS + 2 * LATE_MS)
            moments = Counter((o.measured_at_ms, o.temperature_mc) for o in read)
            assert moments == Counter((o.measured_at_ms, o.temperature_mc) for _, o in wanted if o.logger == logger)
    finally:
        store.close()


def test_version_13_knows_of_consignments_what_their_documents_state(old: str) -> None:
    store: Store = open_store(old)
    try:
        with store.read() as connection:
            table, items = schema.consignments.c, schema.consignment_items.c
            stated = connection.execute(select(table.code, table.receiver, table.vehicle, table.planned_ms)).all()
            kinds = connection.execute(select(items.item, items.kind)).all()
    finally:
        store.close()
    assert sorted(map(tuple, stated)) == [("C-1", "lab", "van-1", START_MS), ("C-2", None, None, None)]
    assert sorted(map(tuple, kinds)) == [
        ("C-1-medicine", "medicine"),
        ("C-1-sample", "sample"),
        ("C-2-medicine", "medicine"),
        ("C-2-sample", "sample"),
    ]
