"""Theengs Gateway, from bleak's callback to the message it publishes: FILE REPEATS.

Runs in the benchmark's own environment, which has theengsgateway (GPL-3.0) from PyPI; nothing here imports the product,
and nothing of the product imports this. FILE has the packets (JSON), one kind after another; prints, as JSON, the
best seconds of processor time that each kind took, and how many messages were published.
"""  # noqa: INP001  a script

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from TheengsGateway.ble_gateway import Gateway
from TheengsGateway.config import DEFAULT_CONFIG


class Broker:
    """Takes everything at once; the network is no part of what is measured."""

    def publish(self, *_message: object) -> tuple[int, int]:
        """Say that it was taken."""
        return 0, 0


def advertisement(packet: dict) -> tuple[BLEDevice, AdvertisementData]:
    """Return what bleak would hand over."""
    return BLEDevice(packet["address"], packet["name"], None), AdvertisementData(
        local_name=packet["name"] or None,
        manufacturer_data={int(company): bytes.fromhex(data) for company, data in packet["manufacturer_data"].items()},
        service_data={uuid: bytes.fromhex(data) for uuid, data in packet["service_data"].items()},
        service_uuids=packet["service_uuids"],
        tx_power=None,
        rssi=packet["rssi"],
        platform_data=(),
    )


def main() -> None:
    """Measure."""
    logging.disable(logging.CRITICAL)
    gateway = Gateway({**DEFAULT_CONFIG, "discovery": False, "enable_multi_gtw_sync": False})
    gateway.client = Broker()
    outcome = {}
    for kind, packets in json.loads(Path(sys.argv[1]).read_text()).items():
        heard = [advertisement(packet) for packet in packets]
        durations = []
        for _ in range(int(sys.argv[2])):
            gateway.published_messages = 0
            began = time.process_time()
            for one in heard:
                gateway.detection_callback(*one)
            durations.append(time.process_time() - began)
        outcome[kind] = {"seconds": min(durations), "published": gateway.published_messages}
    print(json.dumps(outcome))  # noqa: T201  read by the benchmark


if __name__ == "__main__":
    main()
