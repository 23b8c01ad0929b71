"""Loggers at the hub: moved and swapped with the box's history kept, and what they need is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, select

from gateway.core.assignments import Swap, SwapReason, tenures_of
from gateway.core.configuration import Box, Calibration, Consignment, Logger, LoggerKind, reveal
from gateway.core.contents import Content, encode_content
from gateway.core.errors import InputError
from gateway.core.records import DeviceFault
from gateway.core.upkeep import Need, calibration_need
from gateway.hub.database import migrations, schema
from gateway.hub.database.store import Store, open_store
from gateway.hub.projection.rides import read_rides
from gateway.hub.proof.verification import segments_of
from gateway.hub.record.archive import Archive
from gateway.hub.registry.configurations import HISTORY_MS, Configurations
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.ingest import Ingest
from gateway.hub.views.fleet import Fleet, LoggerState
from gateway.hub.views.trips import read_trips
from tests.hub.vans import LOGGER, START_MS, Enrol, Van, iso, observe, sqlite_only

NEW = "C0:FF:EE:00:00:02"
DAY_MS = 86_400_000
NOW = datetime.fromtimestamp(START_MS / 1000, UTC)
BATTERY = Swap(new=NEW, reason=SwapReason.BATTERY, at=NOW + timedelta(seconds=1800))


def certificate(due_in_days: float = 365, **fields: object) -> Calibration:
    due_at = NOW + timedelta(days=due_in_days)
    known = {"certificate": "C-1", "calibrated_at": NOW - timedelta(days=400), "due_at": due_at, **fields}
    return Calibration.model_validate(known)


class Desk:
    """A hub without its tasks, at a clock that a test moves."""

    def __init__(self, store: Store, van: Van) -> None:
        self.store, self.van, self.now_ms = store, van, START_MS + 3_600_000
        self.registry = Registry(store, lambda: self.now_ms)
        self.configurations = Configurations(store, lambda: self.now_ms)
        self.ingest = Ingest(store, lambda: self.now_ms)
        self.archive = Archive(store)
        self.fleet = Fleet(store, self.archive, lambda: self.now_ms)
        self.registry.put_box(Box(code="BOX-1"), "test")
        self.registry.put_box(Box(code="BOX-2"), "test")
        self.registry.put_logger(Logger(address=LOGGER, box="BOX-1", calibration=certificate()), "test")

    def register(self, code: str, begins_s: float, ends_s: float | None, box: str = "BOX-1") -> Consignment:
        carriage = {"box": box, "begins": iso(begins_s), "ends": None if ends_s is None else iso(ends_s)}
        item = {"code": "T-1", "kind": "sample", "examinations": [{"code": "K", "profile": "potassium"}]}
        consignment = Consignment.model_validate({"code": code, "items": [item], "carriage": [carriage]})
        self.registry.put_consignment(consignment, "test")
        return consignment

    def deliver(self, content: Content, van: Van | None = None) -> None:
        sender = van or self.van
        segment = sender.seal_bytes(encode_content(content))
        (receipt,) = self.ingest.take(sender.deliveries([segment]))
        assert receipt is not None

    def take_marks(self) -> set[str]:
        with self.store.write() as connection:
            marked = set(connection.execute(select(schema.dirty.c.consignment)).scalars())
            connection.execute(schema.dirty.delete())
        return marked

    def state(self, address: str = LOGGER) -> LoggerState:
        (found,) = (state for state in self.fleet.states() if state.logger.address == address)
        return found


@pytest.fixture
def desk(store: Store, van: Van) -> Desk:
    return Desk(store, van)


def test_after_a_swap_a_trip_has_both_loggers_each_in_its_time(desk: Desk) -> None:
    consignment = desk.register("C-1", 0, 3600)
    desk.registry.swap_loggers(LOGGER, BATTERY, "test")
    everybody = [observe(30 * i, 5.0) for i in range(120)] + [observe(30 * i, 6.0, logger=NEW) for i in range(120)]
    desk.deliver(Content(tuple(everybody)))
    case = desk.configurations.case("C-1")
    assert case is not None
    assert [logger.address for logger in case.configuration.loggers] == [LOGGER, NEW]
    trips = read_trips(desk.archive, consignment.carriage, case.configuration.loggers, desk.now_ms)
    assert [(trip.logger, trip.from_ms, trip.to_ms, len(trip.readings)) for trip in trips] == [
        (LOGGER, START_MS, START_MS + 1_800_000, 60),
        (NEW, START_MS + 1_800_000, START_MS + 3_600_000, 60),
    ]
    with desk.store.read() as connection:
        rides = read_rides(connection, "C-1")
        assert len(segments_of(connection, consignment)) == 1
    assert [(ride.logger, ride.begins_ms, ride.ends_ms) for ride in rides] == [
        (trip.logger, trip.from_ms, trip.to_ms) for trip in trips
    ]


def test_a_swap_is_judged_where_it_matters_and_nowhere_else(desk: Desk) -> None:
    desk.register("OVER", -7200, -3600)
    desk.register("UNDER-WAY", 0, None)
    desk.register("ELSEWHERE", 0, None, box="BOX-2")
    desk.take_marks()
    desk.registry.swap_loggers(LOGGER, BATTERY, "test")
    assert desk.take_marks() >= {"UNDER-WAY"}
    desk.deliver(Content((observe(-5400, 5.0, logger=NEW),)))
    assert desk.take_marks() == set(), "the new logger was not there yet"
    desk.deliver(Content((observe(1700, 5.0, logger=NEW), observe(3000, 5.0, logger=NEW))))
    assert desk.take_marks() == {"UNDER-WAY"}
    desk.now_ms += 30 * DAY_MS
    desk.register("LATER", 20 * 86_400, None)
    desk.take_marks()
    desk.deliver(Content((observe(21 * 86_400, 5.0),)))
    assert desk.take_marks() == set(), "the old logger is in no box any more"
    desk.deliver(Content((observe(21 * 86_400, 5.0, logger=NEW),)))
    assert desk.take_marks() == {"UNDER-WAY", "LATER"}


def test_the_reason_of_a_swap_is_on_record_for_both(desk: Desk) -> None:
    swap = BATTERY.model_copy(update={"reason": SwapReason.CALIBRATION, "note": "certificate ends in May"})
    desk.registry.swap_loggers(LOGGER, swap, "test")
    with desk.store.read() as connection:
        acts = connection.execute(select(schema.audit).where(schema.audit.c.act == "swap")).all()
    assert [(act.subject, act.reason) for act in acts] == [
        (f"logger {address}", "calibration: certificate ends in May") for address in (LOGGER, NEW)
    ]


def test_an_unknown_logger_cannot_be_swapped_and_a_reason_names_nobody(desk: Desk) -> None:
    with pytest.raises(InputError, match="is not enrolled"):
        desk.registry.swap_loggers("C0:FF:EE:00:00:09", BATTERY, "test")
    with pytest.raises(InputError, match="identity number"):
        desk.registry.swap_loggers(LOGGER, BATTERY.model_copy(update={"note": "15076500565"}), "test")
    assert desk.state().logger.box == "BOX-1"


def test_vehicles_are_told_of_both_and_of_what_is_recent(desk: Desk) -> None:
    desk.registry.swap_loggers(LOGGER, BATTERY, "test")
    (configuration,) = desk.configurations.refresh()
    assert [(entry.address, entry.box, len(entry.former)) for entry in configuration.loggers] == [
        (LOGGER, None, 1),
        (NEW, "BOX-1", 0),
    ]
    desk.now_ms += HISTORY_MS
    (later,) = desk.configurations.refresh()
    assert [entry.address for entry in later.loggers] == [NEW]
    desk.register("OLD", 60, None)
    (again,) = desk.configurations.refresh()
    assert [entry.address for entry in again.loggers] == [LOGGER, NEW], "what is still carried needs its whole history"


def test_two_gateways_that_hear_one_logger_make_one_reading(desk: Desk, enrolled: Enrol) -> None:
    consignment = desk.register("C-1", 0, 3600)
    other = enrolled(Van("van-2", b"2"))
    heard = [observe(30 * i, 5.0, counter=i) for i in range(10)]
    desk.deliver(Content(tuple(heard)))
    desk.deliver(Content(tuple(heard)), other)
    (logger,) = desk.registry.loggers()
    (trip,) = read_trips(desk.archive, consignment.carriage, [logger], desk.now_ms)
    assert (len(trip.readings), trip.repeated, trip.conflicts) == (10, 10, 0)


def test_a_new_certificate_leaves_the_readings_of_before_and_the_raw_ones_alone(desk: Desk) -> None:
    consignment = desk.register("C-1", 0, 3600)
    desk.deliver(Content(tuple(observe(30 * i, 5.0) for i in range(120))))
    at = NOW + timedelta(seconds=1800)
    new = certificate(certificate="C-2", offset_c=-0.5)
    desk.registry.put_logger(Logger(address=LOGGER, box="BOX-1", calibration=new, since=at), "test")
    trips = read_trips(desk.archive, consignment.carriage, desk.registry.loggers(), desk.now_ms)
    assert [{reading.temperature_c for reading in trip.readings} for trip in trips] == [{5.0}, {4.5}]
    raw = desk.archive.observations(LOGGER, START_MS, START_MS + 3_600_000)
    assert {observation.temperature_mc for observation in raw} == {5000}


def test_a_key_is_kept_when_the_asterisks_come_back(desk: Desk) -> None:
    key = "231d39c1d7cc1ab1aee224cd096db932"
    sensor = Logger.model_validate({"address": NEW, "kind": "bthome", "bindkey": key, "memory_interval_s": None})
    desk.registry.put_logger(sensor, "test")
    read_back = Logger.model_validate_json(sensor.model_dump_json())
    assert read_back.bindkey is None
    desk.registry.put_logger(read_back.model_copy(update={"box": "BOX-2"}), "test")
    (_, kept) = desk.registry.loggers()
    assert (kept.box, kept.kind) == ("BOX-2", LoggerKind.BTHOME)
    assert key in reveal(kept)


# --- what loggers need


@pytest.mark.parametrize(
    ("days", "need"),
    [(31, None), (29.9, Need.CALIBRATION_DUE), (0, Need.CALIBRATION_OVERDUE), (-5, Need.CALIBRATION_OVERDUE)],
)
def test_a_calibration_is_told_of_thirty_days_ahead(days: float, need: Need | None) -> None:
    assert calibration_need(Logger(address=LOGGER, box="BOX-1", calibration=certificate(days)), NOW) is need


def test_who_is_in_no_box_needs_no_calibration_and_who_has_none_does() -> None:
    assert calibration_need(Logger(address=LOGGER, calibration=certificate(1)), NOW) is None
    assert calibration_need(Logger(address=LOGGER, box="BOX-1"), NOW) is Need.NOT_CALIBRATED


def test_the_state_tells_what_was_heard_last_corrected(desk: Desk) -> None:
    assert desk.state().heard_at is None
    corrected = certificate(offset_c=0.25)
    desk.registry.put_logger(Logger(address=LOGGER, box="BOX-1", calibration=corrected), "test")
    first, last = observe(60, 5.0), observe(90, 4.0)
    desk.deliver(Content((first, last)))
    state = desk.state()
    assert (state.heard_at, state.temperature_c) == (NOW + timedelta(seconds=90), 4.25)
    assert state.needs == []


def test_a_low_battery_is_told_until_it_is_replaced(desk: Desk) -> None:
    low = DeviceFault(
        START_MS + 60_000, clock_trusted=True, logger=LOGGER, code="battery_low", detail={"battery_pct": 8}
    )
    desk.deliver(Content((observe(60, 5.0),), (low,)))
    assert desk.state().needs == [Need.BATTERY_LOW]
    assert desk.state().faults == {"battery_low": NOW + timedelta(seconds=60)}
    assert desk.fleet.needs() == {Need.BATTERY_LOW: 1}
    over = DeviceFault(START_MS + 90_000, clock_trusted=True, logger=LOGGER, code="battery_low_over")
    desk.deliver(Content((observe(90, 5.0),), (over,)))
    desk.deliver(Content((), (low,)))  # an old word that comes late
    assert (desk.state().needs, desk.state().faults) == ([], {})


@sqlite_only
def test_a_database_of_before_keeps_who_was_where(database: str, tmp_path: Path) -> None:
    del database
    url = f"sqlite:///{tmp_path / 'old.sqlite3'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        command.upgrade(config, "0005")
        document = '{"address": "C0:FF:EE:00:00:01", "kind": "ruuvitag", "box": "BOX-1", "memory_interval_s": 300}'
        connection.exec_driver_sql(
            "INSERT INTO loggers (address, document, box) VALUES (?, ?, ?)", (LOGGER, document, "BOX-1")
        )
    engine.dispose()
    again = open_store(url)
    (logger,) = Registry(again, lambda: START_MS).loggers()
    with again.read() as connection:
        rows = connection.execute(select(schema.assignments)).all()
    again.close()
    assert [tuple(row) for row in rows] == [(LOGGER, 0, None, "BOX-1")]
    assert [(tenure.box, tenure.from_ms) for tenure in tenures_of(logger)] == [("BOX-1", 0)]
