"""The obvious script: MQTT in, InfluxDB out, by the client's batching WriteApi: BROKER INFLUX BUCKET.

What its author would find in the documentation of paho and of influxdb-client, with their defaults. Prints READY when
it listens, then how many readings it was given, message by message; ends when it is told to, after WriteApi has closed.
"""  # noqa: INP001  a script

from __future__ import annotations

import json
import signal
import sys
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from influxdb_client import InfluxDBClient, Point

TOPIC = "script/+/log"
given = 0
influx = InfluxDBClient(url=sys.argv[2], token="", org="", enable_gzip=True)
api = influx.write_api()  # batching is the default


def take(_client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
    """Write a message's readings."""
    global given  # noqa: PLW0603  as in the examples
    for reading in json.loads(message.payload):
        point = Point("reading").tag("logger", reading["logger"])
        point.field("temperature_c", reading["t"]).field("counter", reading["n"]).time(reading["ts"], "ms")
        api.write(bucket=sys.argv[3], record=point)
        given += 1
    print(given, flush=True)  # noqa: T201  read by the benchmark


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="script", clean_session=False)
client.on_message = take
client.on_subscribe = lambda *_arguments: print("READY", flush=True)  # noqa: T201  the same
client.on_connect = lambda *_arguments: client.subscribe(TOPIC, qos=1)
client.connect(urlsplit(sys.argv[1]).hostname or "", urlsplit(sys.argv[1]).port or 1883)
signal.signal(signal.SIGTERM, lambda *_arguments: client.disconnect())
client.loop_forever()
api.close()
