"""Plain paho-mqtt, which keeps what is published while there is no network.

offline         prints how many readings it has accepted, for ever
count           a new start under the same name: prints how many it still knows
drain URL N     publishes N readings, one a message, and prints the seconds until the last is confirmed
"""  # noqa: INP001  a script

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt

EACH = 100
QUEUE_MAX = 65_000
"""There are 65,535 packet identifiers, and paho refuses a second message under one."""


def publish(client: mqtt.Client, number: int) -> mqtt.MQTTMessageInfo:
    """One reading."""
    reading = {"ts": 1_750_000_000_000 + number * 60_000, "logger": f"C0:FF:EE:00:00:{number % 50:02X}", "t": 5.0}
    return client.publish("van/log", json.dumps(reading), qos=1)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="van", clean_session=False)
client.max_queued_messages_set(0)
if sys.argv[1] == "count":
    print(len(client._out_messages))  # noqa: SLF001, T201  paho offers no other way to look
elif sys.argv[1] == "drain":
    # What was published while offline waits in memory, at most one message for each packet identifier; then the
    # network is there, and the rest follows.
    count, sent, confirmed = int(sys.argv[3]), 0, itertools.count(1)
    last = threading.Event()
    # Not wait_for_publish: it raises for whatever was published while offline.
    client.on_publish = lambda *_arguments: last.set() if next(confirmed) == count else None
    while sent < min(count, QUEUE_MAX):
        publish(client, sent)
        sent += 1
    began_s = time.monotonic()
    client.connect(urlsplit(sys.argv[2]).hostname or "", urlsplit(sys.argv[2]).port or 1883)
    client.loop_start()
    while sent < count:
        if publish(client, sent).rc == mqtt.MQTT_ERR_QUEUE_SIZE:
            time.sleep(0.01)
        else:
            sent += 1
    last.wait()
    print(time.monotonic() - began_s)  # noqa: T201  read by the benchmark
else:
    client.connect_async("127.0.0.1", 1)
    client.loop_start()
    began_s, number = time.monotonic(), 0
    while True:
        is_full = publish(client, number).rc == mqtt.MQTT_ERR_QUEUE_SIZE
        number += not is_full
        if is_full or number % EACH == 0:
            print(number, time.monotonic() - began_s, flush=True)  # noqa: T201  read by the benchmark
            time.sleep(0.1 if is_full else 0.001)
