"""Each fault of Bluetooth through the whole vehicle; once it is over, the hub holds all that the loggers measured."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from firmware_sim.bluez import FakeBluez
from firmware_sim.misbehaviour import BadLog
from gateway.core.configuration import Logger
from gateway.vehicle import adapters, recovery
from gateway.vehicle import radio as module
from tests.vehicle.carried import configuration
from tests.vehicle.samples import T0, TAG
from tests.vehicle.test_misbehaving import AWAY, INTERVAL_S, Road, road

__all__ = ["road"]

Until = Callable[[Callable[[], object]], Awaitable[None]]
Act = Callable[[FakeBluez], Awaitable[None]]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    monkeypatch.setattr(module, "LOST_S", 0.1)
    monkeypatch.setattr(module, "MISSING_S", 0.0)
    monkeypatch.setattr(module, "CONNECT_LIMIT_S", 1.0)
    monkeypatch.setattr(recovery, "RESET_AFTER_S", 0.05)
    monkeypatch.setattr(adapters, "RESTART_MAX_S", 0.02)
    monkeypatch.setattr(adapters, "START_TIMEOUT_S", 0.3)


async def _nothing(_bluez: FakeBluez) -> None:
    pass


async def _stop_bus(bluez: FakeBluez) -> None:
    await bluez.stop()


async def _start_bus(bluez: FakeBluez) -> None:
    await bluez.start()


def _do(act: Callable[[FakeBluez], object]) -> Act:
    async def do(bluez: FakeBluez) -> None:
        act(bluez)

    return do


FAULTS: dict[str, tuple[Act, Act, str]] = {
    "the daemon dies behind its bus": (
        _do(lambda bluez: bluez.crash_daemon()),
        _do(lambda bluez: bluez.restart_daemon()),
        "adapter_missing",
    ),
    "the bus dies": (_stop_bus, _start_bus, "adapter_missing"),
    "the adapter is pulled out": (
        _do(lambda bluez: bluez.unplug()),
        _do(lambda bluez: bluez.plug("hci0")),
        "adapter_missing",
    ),
    "the adapter is switched off": (_do(lambda bluez: bluez.power_off()), _nothing, "radio_adapter_reset"),
    "the scan is refused": (
        _do(lambda bluez: (bluez.fail("StartDiscovery", "org.bluez.Error.InProgress", times=None), bluez.power_off())),
        _do(lambda bluez: bluez.heal()),
        "radio_adapter_reset",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_record_is_complete_and_tells_of_the_fault(
    road: Road, bluez: FakeBluez, until: Until, fault: str
) -> None:
    begin, end, code = FAULTS[fault]
    async with road.travel("ruuvitag") as journey:
        await journey.hear(5.0, 5.1)
        await begin(bluez)
        await until(lambda: not journey.vehicle.state().radio.scanning)
        journey.carry_away(*AWAY)
        await until(lambda: journey.vehicle.counters().get("device_faults"))
        await end(bluez)
        await until(lambda: journey.vehicle.state().radio.scanning)
        await asyncio.sleep(0.1)  # a scan that has begun may still be one that ends
        await until(lambda: journey.vehicle.state().radio.scanning)
        await journey.hear(8.1)
        await journey.be_complete()
        await until(lambda: code in {one.code for one in journey.faults if not one.logger})
    assert journey.reads[-1].complete
    assert all(one.at_ms >= T0 for one in journey.faults)


CONVERSATIONS = {
    "a connection fails": lambda bluez: bluez.fail("Connect", "org.bluez.Error.Failed", times=2),
    "a connection is aborted": lambda bluez: bluez.fail(
        "Connect", "org.bluez.Error.Failed", text="br-connection-canceled", times=2
    ),
    "another one is in progress": lambda bluez: bluez.fail("Connect", "org.bluez.Error.InProgress", times=2),
    "a connection hangs": lambda bluez: bluez.hang("Connect"),
    "the request hangs": lambda bluez: bluez.hang("WriteValue"),
    "notifications are refused": lambda bluez: bluez.fail("AcquireNotify", "org.bluez.Error.NotPermitted", times=1),
    "the link is not let go": lambda bluez: bluez.hang("Disconnect"),
}


@pytest.mark.parametrize("fault", CONVERSATIONS)
async def test_a_conversation_that_fails_is_begun_again(
    road: Road, bluez: FakeBluez, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr("gateway.vehicle.download.GATT_TIMEOUT_S", 0.3)
    monkeypatch.setattr(module, "DISCONNECT_TIMEOUT_S", 0.3)
    async with road.travel("reference") as journey:
        await journey.hear(5.0)
        journey.carry_away(*AWAY)
        CONVERSATIONS[fault](bluez)
        await journey.hear(8.1)
        await journey.be_complete()
    assert journey.reads[-1].complete


async def test_a_new_configuration_takes_away_nothing_that_waits(road: Road, until: Until) -> None:
    async with road.travel("ruuvitag") as journey:
        hub, vehicle = journey.world.hub, journey.vehicle
        hub.answers = False
        await journey.hear(5.0, 5.1)
        journey.carry_away(*AWAY)
        journey.logger.misbehaviour.bad_log = BadLog(truncates_after=0)
        await journey.hear(8.1)
        await until(lambda: vehicle.state().outbox.segments and vehicle.state().backfill.missing)
        logger = Logger.model_validate({"address": TAG, "box": "BOX-1", "memory_interval_s": INTERVAL_S})
        other = configuration(version=2).model_copy(update={"loggers": (logger,)})
        await hub.configure(other.model_dump_json().encode())
        await until(lambda: vehicle.state().configuration == 2)
        journey.logger.misbehaviour.bad_log = BadLog()
        hub.answers = True
        await hub.acknowledge()
        await journey.hear(8.2)
        await journey.be_complete()
        await until(lambda: vehicle.state().outbox.segments == 0)
