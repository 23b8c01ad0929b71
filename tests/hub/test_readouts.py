"""Boxes without a vehicle: which gateway reads them out, how far it is, and the bench that follows by itself."""

from __future__ import annotations

import shutil

import pytest
from playwright.async_api import Page, expect

from gateway.core.configuration import Box, Calibration, Consignment, Logger
from gateway.core.errors import InputError
from gateway.core.observations import Observation, Source
from gateway.core.records import MemoryRead
from gateway.hub.database.schema import epochs, gateways, logger_hours
from gateway.hub.database.store import Store
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.enrolment import Enrolment
from gateway.hub.registry.registry import Registry
from gateway.hub.replication import readouts
from gateway.hub.replication.readouts import ReadOut, note_reads, read_readout
from gateway.hub.rooms import Rooms
from gateway.hub.web.bench import BenchView, look_up
from gateway.language import Language, speech_of
from gateway.vehicle.loggers.memories import MEMORIES
from tests.hub.test_bench_browser import CHROMIUM, page, rooms
from tests.hub.vans import LOGGER, START_MS, Enrol, Van, iso, observe
from tests.waiting import LIMIT_MS

__all__ = ["page", "rooms"]

HOUR_MS = 3_600_000
NOW_MS = START_MS + 2 * HOUR_MS
OTHER = "C0:FF:EE:00:00:02"
SSCC = "376130321109103420"
ITEM = {"kind": "sample", "examinations": [{"code": "K", "profile": "potassium"}]}


def consignment(code: str = "C-1", box: str = "BOX-1", **others: object) -> Consignment:
    carriage = [{"box": box, "begins": iso(0)}]
    return Consignment.model_validate(
        {"code": code, "items": [{"code": f"T-{code}", **ITEM}], "carriage": carriage} | others
    )


def read(from_min: int, to_min: int, *, complete: bool = True) -> MemoryRead:
    at_ms = START_MS + to_min * 60_000
    return MemoryRead(
        at_ms=at_ms,
        clock_trusted=True,
        logger=LOGGER,
        from_ms=START_MS + from_min * 60_000,
        to_ms=at_ms,
        records=1,
        new_records=1,
        complete=complete,
    )


@pytest.fixture
def logger(store: Store) -> Logger:
    registry = Registry(store, lambda: NOW_MS)
    registry.put_box(Box(code="BOX-1", gateways=("van-1",)), "test")
    return registry.put_logger(Logger(address=LOGGER, box="BOX-1", since=iso(-3600)), "test")


@pytest.fixture
def bench(store: Store, enrolled: Enrol) -> str:
    """A gateway at the reception whose log is here."""
    van = enrolled(Van("bench-1"))
    Enrolment(store, b"secret", lambda: NOW_MS).place(van.name, "test", reception=True)
    with store.write() as connection:
        connection.execute(gateways.update().values(sealed_at_ms=NOW_MS))
    return van.name


def test_the_kinds_with_a_memory_are_those_that_gateways_can_read() -> None:
    assert frozenset(MEMORIES) == readouts.WITH_MEMORY


def test_a_reception_is_told_of_every_box(store: Store, logger: Logger, bench: str) -> None:
    known = consignment()
    Registry(store, lambda: NOW_MS).put_consignment(known, "test")
    (given,) = Configurations(store, lambda: NOW_MS).refresh()
    assert (given.gateway, given.reception, [one.code for one in given.consignments]) == (bench, True, ["C-1"])
    enrolment = Enrolment(store, b"secret", lambda: NOW_MS)
    enrolment.place(bench, "test", reception=False)
    assert [one.reception for one in enrolment.gateways()] == [False]
    (given,) = Configurations(store, lambda: NOW_MS).refresh()
    assert (given.reception, given.boxes, given.consignments) == (False, (), ())
    with pytest.raises(InputError, match="bench-9"):
        enrolment.place("bench-9", "test", reception=True)


def test_how_far_a_box_is_read_out(store: Store, logger: Logger, bench: str) -> None:
    with store.write() as connection:
        assert read_readout(connection, consignment(), [logger], [], NOW_MS) == ReadOut(False, 0, 24)
        epoch = {"gateway": bench, "epoch": b"epoch--1", "next_offset": 1, "head": b"", "opened_at_ms": NOW_MS}
        added = connection.execute(epochs.insert().values(**epoch)).inserted_primary_key
        assert added is not None
        hour = {"logger": LOGGER, "hour": NOW_MS // HOUR_MS, "epoch_id": added[0], "block": 0, "places": 1}
        connection.execute(logger_hours.insert().values(**hour))
        assert read_readout(connection, consignment(), [logger], [], NOW_MS) == ReadOut(True, 0, 24)
        note_reads(connection, bench, [read(-5, 60), read(60, 90, complete=False)])
        assert read_readout(connection, consignment(), [logger], [], NOW_MS) == ReadOut(True, 0, 12)
        note_reads(connection, bench, [read(60, 90), read(90, 118)])
        assert read_readout(connection, consignment(), [logger], [], NOW_MS) is None


def test_nothing_is_awaited_where_nothing_can_come(store: Store, logger: Logger, bench: str) -> None:
    silent = logger.model_copy(update={"memory_interval_s": None})
    long_ago = consignment(received_at=iso(60 - 2 * 86_400), carriage=[{"box": "BOX-1", "begins": iso(-2 * 86_400)}])
    with store.write() as connection:
        assert read_readout(connection, consignment(), [silent], [], NOW_MS) is None
        assert read_readout(connection, long_ago, [logger], [], NOW_MS) is None
        connection.execute(gateways.update().values(sealed_at_ms=NOW_MS - HOUR_MS))
        assert read_readout(connection, consignment(), [logger], [], NOW_MS) is None


def test_a_scanned_bar_code_finds_what_is_registered_under_its_key(rooms: Rooms) -> None:
    def show(scanned: str) -> BenchView:
        with rooms.store.read() as connection:
            return look_up(rooms, connection, scanned, speech_of(Language.EN))

    link = "https://id.gs1.org/01/07038010068980/21/X-9"
    items = [{"code": "010703801006898021X-8", **ITEM}, {"code": link, **ITEM}]
    rooms.registry.put_box(Box(code="800307038010068980BOX-17"), "test")
    rooms.registry.put_consignment(consignment(f"00{SSCC}", items=items), "test")
    for scanned in (SSCC, f"]C100{SSCC}", f"(00){SSCC}"):
        assert [one.code for one in show(scanned).found] == [f"00{SSCC}"], scanned
    for scanned in (
        "]d2010703801006898021X-9",
        "(01)07038010068980(21)X-9",
        "https://a.example/01/07038010068980/21/X-9",
    ):
        assert [one.chosen for one in show(scanned).found] == [link], scanned
    for scanned in ("07038010068980BOX-17", "7038010068980BOX-17", "]C1800307038010068980BOX-17"):
        assert show(scanned).box == "800307038010068980BOX-17", scanned


@pytest.mark.skipif(CHROMIUM is None or shutil.which("chromium") is None, reason="chromium is not installed")
async def test_the_bench_follows_by_itself(rooms: Rooms, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readouts, "ALIVE_MS", HOUR_MS)
    calibration = Calibration(certificate="K", calibrated_at=iso(-86400), due_at=iso(86400))
    rooms.registry.put_box(Box(code="BOX-2"), "test")
    rooms.registry.put_logger(Logger(address=OTHER, box="BOX-2", calibration=calibration, since=iso(-60)), "test")
    rooms.registry.put_consignment(consignment("SEND-2", "BOX-2"), "test")
    bench = Van("bench-1", epoch=b"epoch--2")
    rooms.enrolment.enrol(bench.name, rooms.enrolment.issue_code(bench.name, "test"), bench.key.public_bytes)
    rooms.enrolment.place(bench.name, "test", reception=True)

    def tell(*observations: Observation, records: tuple[MemoryRead, ...] = ()) -> None:
        rooms.ingest.take(bench.deliveries([bench.seal(*observations, records=records)]))
        rooms.watch.judge_marked()
        rooms.bells.told.ring()

    tell(observe(0, 20.0))
    await page.goto("/bench?code=SEND-2")
    await expect(page.get_by_text("put the box where the gateway")).to_be_visible(timeout=LIMIT_MS)
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    tell(observe(1790, 5.0, logger=OTHER, counter=1))
    await expect(page.get_by_text("being read out from the logger, 0 of")).to_be_visible(timeout=LIMIT_MS)
    remembered = [
        Observation(
            logger=OTHER,
            source=Source.MEMORY,
            measured_at_ms=START_MS + at_s * 1000,
            clock_trusted=True,
            monotonic_ms=at_s * 1000,
            interval_s=300,
            temperature_mc=5000,
        )
        for at_s in range(0, 1800, 300)
    ]
    whole = MemoryRead(
        at_ms=START_MS + 1_795_000,
        clock_trusted=True,
        logger=OTHER,
        from_ms=START_MS - 300_000,
        to_ms=START_MS + 1_800_000,
        records=6,
        new_records=6,
        complete=True,
    )
    tell(*remembered, records=(whole,))
    await expect(page.get_by_role("heading", name="Reject K")).to_be_visible(timeout=LIMIT_MS)
    await expect(page.get_by_text("being read out")).to_have_count(0, timeout=LIMIT_MS)
    assert loads == []
