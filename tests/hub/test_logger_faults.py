"""Faults of loggers that last: segments come late and twice, and two gateways hear the same logger."""

from __future__ import annotations

from gateway.core.records import DeviceFault
from gateway.hub.database.store import Store
from gateway.hub.record.logger_faults import note_faults, read_faults
from tests.hub.vans import LOGGER


def note(store: Store, at_ms: int, code: str, gateway: str = "van-1") -> dict[str, dict[str, int]]:
    fault = DeviceFault(at_ms, clock_trusted=True, logger=LOGGER, code=code)
    with store.write() as connection:
        note_faults(connection, gateway, [fault])
        return read_faults(connection)


def test_what_comes_late_takes_back_nothing_newer(store: Store) -> None:
    assert note(store, 2000, "battery_low") == {LOGGER: {"battery_low": 2000}}
    assert note(store, 1000, "battery_low_over") == {LOGGER: {"battery_low": 2000}}
    assert note(store, 3000, "battery_low_over") == {}
    assert note(store, 2500, "battery_low") == {}


def test_of_several_gateways_the_latest_word_counts(store: Store) -> None:
    note(store, 1000, "stuck", "van-1")
    assert note(store, 2000, "stuck_over", "van-2") == {}
    assert note(store, 3000, "stuck", "van-1") == {LOGGER: {"stuck": 3000}}


def test_silence_is_no_fault_that_lasts(store: Store) -> None:
    assert note(store, 1000, "silent") == {}
