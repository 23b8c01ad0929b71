"""What is lost when InfluxDB, or the program that writes to it, is killed: the obvious script beside the hub."""  # noqa: INP001  beside scripts

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import click
import paho.mqtt.client as mqtt
from fleet.growth import SHAPE, START_MS
from fleet.hubs import BUCKET, Hub, count_stored, end_load, is_projected, wait_for

from gateway.hub.database.store import open_existing_store
from tests.integration.influx_engine import Debian, Front, ask

SCRIPT = Path(__file__).resolve().parents[1] / "rivals" / "influx_batching.py"
EACH = SHAPE.readings_per_segment
LOGGERS = 200
QUIET_S = 5.0
"""Nothing given to the script for so long: it has been given all."""
CLOSE_S = 400.0
"""WriteApi waits up to 300 s when it is closed."""


class Fault(StrEnum):
    """What is killed in the middle. InfluxDB comes back after the outage, the program at once."""

    NOTHING = "nothing"
    INFLUX = "InfluxDB"
    PROGRAM = "the program"
    BOTH = "both"


@dataclass(frozen=True)
class Kept:
    """How it ended. `readings_per_s` is until all are in InfluxDB, where nothing was killed."""

    program: str
    killed: Fault
    readings: int
    lost: int
    readings_per_s: float
    mib: float


class Script:
    """The script as a process; counts what it has been given."""

    def __init__(self, broker: str, influx: str, bucket: str) -> None:
        command = [sys.executable, str(SCRIPT), broker, influx, bucket]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603  ours
        self.given = 0
        self.heard_s = time.monotonic()
        if self.process.stdout is None or not self.process.stdout.readline():  # READY, or what the broker kept for it
            raise click.ClickException("the script does not start")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def end(self) -> float:
        """Let it write what it has; return its memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        self.process.terminate()
        self.process.wait(CLOSE_S)
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def _read(self) -> None:
        for line in self.process.stdout or ():
            if line.strip().isdecimal():
                self.given, self.heard_s = int(line), time.monotonic()


def try_script(broker: str, engine: Debian, front: Front, messages: int, fault: Fault, outage_s: float) -> Kept:
    """Publish readings to the script, kill something in the middle, and count what InfluxDB has in the end."""
    bucket = _new_bucket(engine, f"script_{fault.name.lower()}")
    script = Script(broker, front.url, bucket)
    sender = _connect(broker)
    began_s = time.monotonic()
    _publish(sender, 0, messages // 2)
    if fault in {Fault.INFLUX, Fault.BOTH}:
        engine.kill()
    _publish(sender, messages // 2, messages)
    wait_for(lambda: script.given >= messages * EACH * 3 // 4)
    if fault in {Fault.PROGRAM, Fault.BOTH}:
        script.process.kill()
        script.process.wait()
        script = Script(broker, front.url, bucket)
    if fault in {Fault.INFLUX, Fault.BOTH}:
        time.sleep(outage_s)
        engine.restart()
    if fault is Fault.NOTHING:
        wait_for(lambda: _count(engine, bucket) == messages * EACH)
    lasted_s = time.monotonic() - began_s
    wait_for(lambda: script.given >= messages * EACH or time.monotonic() - script.heard_s > QUIET_S)
    mib = script.end()
    sender.disconnect()
    lost = messages * EACH - _count(engine, bucket)
    return Kept("paho + WriteApi", fault, messages * EACH, lost, round(messages * EACH / lasted_s), round(mib, 1))


def try_hub(hub: Hub, engine: Debian, gateways: int, segments: int, fault: Fault, outage_s: float) -> Kept:
    """The same with a hub and a fleet; its bucket must be new."""
    _new_bucket(engine, BUCKET)
    store = open_existing_store(hub.database)
    try:
        readings, half = gateways * segments * EACH, gateways * segments // 2
        began = count_stored(store)
        fleet = hub.begin_load(gateways, segments)
        wait_for(lambda: count_stored(store) > began or fleet.poll() is not None)
        began_s = time.monotonic()  # it has registered what it carries
        wait_for(lambda: count_stored(store) >= began + half or fleet.poll() is not None)
        if fault in {Fault.INFLUX, Fault.BOTH}:
            engine.kill()
        if fault in {Fault.PROGRAM, Fault.BOTH}:
            hub.kill()
            hub.start()
        if fault in {Fault.INFLUX, Fault.BOTH}:
            time.sleep(outage_s)
            engine.restart()
        end_load(fleet)
        wait_for(lambda: is_projected(store))
        lasted_s = time.monotonic() - began_s
        lost = readings - _count(engine, BUCKET)
    finally:
        store.close()
    return Kept("this hub", fault, readings, lost, round(readings / lasted_s), 0.0)


def _new_bucket(engine: Debian, name: str) -> str:
    ask(engine.url, "", f'DROP DATABASE "{name}"')
    ask(engine.url, "", f'CREATE DATABASE "{name}"')
    return name


def _count(engine: Debian, bucket: str) -> int:
    rows = ask(engine.url, bucket, "SELECT count(temperature_c) AS n FROM reading")
    return int(str(rows[0]["n"])) if rows else 0


def _connect(broker: str) -> mqtt.Client:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="sender")
    client.connect(urlsplit(broker).hostname or "", urlsplit(broker).port or 1883)
    client.loop_start()
    return client


def _publish(client: mqtt.Client, first: int, end: int) -> None:
    sent = [client.publish(f"script/{number % 20}/log", _message(number), qos=1) for number in range(first, end)]
    for one in sent:
        one.wait_for_publish()


def _message(number: int) -> str:
    """Fifty readings, as the fleet's segments hold them."""
    return json.dumps(
        [
            {"logger": f"L-{reading % LOGGERS}", "n": reading // LOGGERS, "t": 5.0, "ts": START_MS + reading}
            for reading in range(number * EACH, (number + 1) * EACH)
        ]
    )
