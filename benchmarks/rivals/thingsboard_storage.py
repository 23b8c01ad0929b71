"""ThingsBoard gateway's SQLite storage, in the benchmark's own environment; nothing here imports the product.

accept FOLDER        fed as fast as it takes; prints how many readings it has accepted, for ever
drain FOLDER URL N   filled with N readings, then published as its gateway does: packs out of the storage, messages of
                     8 KB, the pack deleted once the broker has confirmed; prints the seconds
"""  # noqa: INP001  a script

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from thingsboard_gateway.storage.sqlite.sqlite_event_storage import SQLiteEventStorage

EACH = 10
PAYLOAD_BYTES = 8192

logging.disable(logging.CRITICAL)
logging.Logger.trace = lambda *_arguments, **_keywords: None  # the gateway adds this level when it starts
storage = SQLiteEventStorage(
    {"data_file_path": f"{sys.argv[2]}/data.db"}, logging.getLogger("storage"), threading.Event()
)


def put(number: int) -> bool:
    """One reading."""
    reading = {"ts": 1_750_000_000_000 + number * 60_000, "values": {"temperature": 5.0, "counter": number}}
    device = f"C0:FF:EE:00:00:{number % 50:02X}"
    return bool(storage.put(json.dumps({"deviceName": device, "telemetry": [reading]})))


def drain(url: str, count: int) -> float:
    """Publish what is stored; return the seconds."""
    while not all(put(number) for number in range(count)):
        raise RuntimeError("the storage refused a reading")
    while storage.write_queue.qsize() or storage.len() < count:
        time.sleep(0.1)
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="thingsboard")
    client.connect(urlsplit(url).hostname or "", urlsplit(url).port or 1883)
    client.loop_start()
    began_s, done = time.monotonic(), 0
    while done < count:
        pack = storage.get_event_pack()
        sent = [client.publish("v1/gateway/telemetry", message, qos=1) for message in join(pack)]
        for info in sent:
            info.wait_for_publish()
        storage.event_pack_processing_done()
        done += len(pack)
    return time.monotonic() - began_s


def join(pack: list[str]) -> list[str]:
    """Events of one pack in messages of at most PAYLOAD_BYTES."""
    messages, devices, size = [], {}, 0
    for event in pack:
        if size + len(event) > PAYLOAD_BYTES:
            messages.append(json.dumps(devices))
            devices, size = {}, 0
        known = json.loads(event)
        devices.setdefault(known["deviceName"], []).extend(known["telemetry"])
        size += len(event)
    return [*messages, json.dumps(devices)] if devices else messages


if sys.argv[1] == "drain":
    print(drain(sys.argv[3], int(sys.argv[4])), flush=True)  # noqa: T201  read by the benchmark
    storage.stop()
else:
    began_s, number = time.monotonic(), 0
    while True:
        number += put(number)
        if number % EACH == 0:
            print(number, time.monotonic() - began_s, flush=True)  # noqa: T201  read by the benchmark
            time.sleep(0.001)  # a gateway is not a loop: its writer thread gets its turn
