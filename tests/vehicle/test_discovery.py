from __future__ import annotations

from gateway.cli.scan import line_of, table_of
from gateway.core.configuration import LoggerKind
from gateway.vehicle import discovery as module
from gateway.vehicle.discovery import Discovery
from gateway.vehicle.loggers.measurement import Packet
from tests.vehicle.samples import TAG
from tests.vehicle.tags import payload
from tests.vehicle.test_families import _encrypted

OTHER = "C0:FF:EE:00:00:02"


def ruuvi(counter: int, *, address: str = TAG, rssi: int = -60) -> Packet:
    return Packet(address, "Ruuvi", rssi, {0x0499: payload(counter, 5.25)})


def test_a_logger_is_told_once_for_each_measurement_and_its_signal_is_kept_up() -> None:
    discovery = Discovery()
    first = discovery.hear(ruuvi(1), 10.0)
    assert first is not None
    assert (first.kind, first.maker, first.rssi) == (LoggerKind.RUUVITAG, "Ruuvi", -60)
    assert discovery.hear(ruuvi(1, rssi=-80), 12.0) is None
    (seen,) = discovery.sightings()
    assert (seen.rssi, seen.heard_s, seen.measurement) == (-80, 12.0, first.measurement)
    assert discovery.hear(ruuvi(2), 13.0) is not None


def test_foreign_devices_leave_no_trace() -> None:
    discovery = Discovery()
    assert discovery.hear(Packet(OTHER, manufacturer_data={0x004C: b"abc"}), 0.0) is None
    assert discovery.sightings() == []


def test_what_cannot_be_read_is_shown_with_the_reason() -> None:
    discovery = Discovery()
    sealed = discovery.hear(_encrypted(1), 0.0)
    assert sealed is not None
    assert "bindkey" in sealed.note
    other_format = discovery.hear(Packet(OTHER, manufacturer_data={0x0499: b"\x03abc"}), 0.0)
    assert other_format is not None
    assert "format 3" in other_format.note


def test_there_is_an_end_to_what_is_remembered() -> None:
    discovery = Discovery()
    for number in range(module.SIGHTINGS_MAX + 5):
        discovery.hear(ruuvi(1, address=f"C0:FF:EE:00:{number >> 8:02X}:{number & 255:02X}"), 0.0)
    assert len(discovery.sightings()) == module.SIGHTINGS_MAX


def test_the_line_and_the_table() -> None:
    discovery = Discovery()
    sighting = discovery.hear(ruuvi(1), 0.0)
    assert sighting is not None
    assert line_of(sighting) == f"{TAG}\truuvitag\t5.25\t3.00 V\t-60\t"
    discovery.hear(Packet(OTHER, manufacturer_data={0x0499: b"\x03abc"}), 0.0)
    table = table_of(discovery.sightings(), 7.0)
    assert table.row_count == 2
    assert next(iter(table.columns[2].cells)) == "5.25"
    assert "format" in str(list(table.columns[2].cells)[1])
    assert next(iter(table.columns[5].cells)) == "7 s"
